package supervise

import (
	"strings"
	"syscall"
	"testing"
)

// generation says which command it is, then lives until a signal or the end
// of its standard input.
var generation = []string{"sh", "-c", "echo up $GENERATION; exec cat"}

// withRest leaves a process in its group that says when it gets SIGTERM, and
// lives on if STUBBORN is its first argument.
func withRest(stubborn string) []string {
	return []string{"sh", "-c", `(
		trap 'echo term; [ "$0" ] || exit' TERM
		echo up $GENERATION
		while :; do sleep 0.01; done) & wait`, stubborn}
}

func launchWithRequests(t *testing.T, args ...string) *roleProcess {
	t.Helper()
	return launch(t, nil, "init", append([]string{"-requests"}, args...)...)
}

func TestRestartStartsNewCommand(t *testing.T) {
	everywhere(t, func(t *testing.T, prefix []string) {
		p := launch(t, prefix, "init", append([]string{"-requests"}, generation...)...)
		p.expect("up 1")
		p.request("restart 2")
		p.expect("up 2")
		p.request("restart 3")
		p.expect("up 3")
		p.in.Close()
		if got := p.status(); got != 0 {
			t.Errorf("got status %d, want 0", got)
		}
	})
}

func TestRestartReachesStoppedCommand(t *testing.T) {
	p := launchWithRequests(t, generation...)
	p.expect("up 1")
	child := childrenOf(p.pid)[0]
	syscall.Kill(child, syscall.SIGSTOP)
	eventually(t, "it is stopped", func() bool { return strings.HasPrefix(statusLine(child, "State"), "T") })
	p.request("restart 2")
	p.expect("up 2")
}

func TestRestartKillsAfterStopTimeout(t *testing.T) {
	p := launchWithRequests(t, "-stop-timeout=20ms", "sh", "-c", `trap "" TERM; echo up $GENERATION; read x; exit 5`)
	p.expect("up 1")
	p.request("restart 2")
	p.expect("up 2")
	p.in.Close()
	if got := p.status(); got != 5 {
		t.Errorf("got status %d, want 5", got)
	}
}

func TestRestartWaitsForRestOfGroup(t *testing.T) {
	p := launchWithRequests(t, withRest("")...)
	p.expect("up 1")
	p.request("restart 2")
	p.expect("term")
	p.expect("up 2")
}

func TestRestartKillsRestOfGroupAfterStopTimeout(t *testing.T) {
	p := launchWithRequests(t, append([]string{"-stop-timeout=1s"}, withRest("stubborn")...)...)
	p.expect("up 1")
	rest := childrenOf(childrenOf(p.pid)[0])[0]
	p.request("restart 2")
	p.expect("term")
	p.expect("up 2")
	if statusLine(rest, "State") != "" {
		t.Error("the rest of the old group is there beside the new command")
	}
}

func TestRestartKillsCommandThatLeftItsGroup(t *testing.T) {
	p := launchWithRequests(t, "-stop-timeout=20ms", "sh", "-c", `ROLE=leaver exec "$0"`, testBinary(t))
	p.expect("left 1")
	p.request("restart 2")
	p.expect("left 2")
}

func TestRestartGivesUpOnZombiesOfOthers(t *testing.T) {
	p := launchWithRequests(t, "-stop-timeout=20ms", "sh", "-c", `echo up $GENERATION; ROLE=neglect "$0" & wait`, testBinary(t))
	p.expect("up 1")
	p.expect("neglect")
	p.request("restart 2")
	p.expect("up 2")
}

func TestRestartReportsCommandThatCannotStart(t *testing.T) {
	p := launchWithRequests(t, generation...)
	p.expect("up 1")
	p.request("restart-missing")
	if got, want := p.status(), 127; got != want {
		t.Errorf("got status %d, want %d", got, want)
	}
}

func TestCommandThatEndedByItselfIsNotRestarted(t *testing.T) {
	p := launchWithRequests(t, generation...)
	p.expect("up 1")
	p.request("restart-ended 2") // by SIGINT, before the init has seen it
	if got, want := p.status(), 128+2; got != want {
		t.Errorf("got status %d, want %d", got, want)
	}
}

func TestStopSignalDuringRestartWins(t *testing.T) {
	p := launchWithRequests(t, "sh", "-c", `
		trap "echo term" TERM; trap "exit 9" INT
		echo up $GENERATION; while :; do sleep 0.01; done`)
	p.expect("up 1")
	p.request("restart 2")
	p.expect("term")
	p.kill(syscall.SIGINT)
	if got := p.status(); got != 9 {
		t.Errorf("got status %d, want 9, the old command's", got)
	}
}

// To a command that runs it may mean to reload; see TestRestartAfterHangup.
func TestHangupDuringRestartWins(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGQUIT} {
		p := launchWithRequests(t, "sh", "-c", `
			trap "echo term" TERM; trap "exit 9" HUP QUIT
			echo up $GENERATION; while :; do sleep 0.01; done`)
		p.expect("up 1")
		p.request("restart 2")
		p.expect("term")
		p.kill(sig)
		p.expectEnd()
		if got := p.status(); got != 9 {
			t.Errorf("%v: got status %d, want 9, the old command's", sig, got)
		}
	}
}

func TestNohupIsNoEndOfRestarts(t *testing.T) {
	p := launchWithRequests(t, "-ignored=1", "sh", "-c", `
		trap "echo term" TERM; trap "exit 9" USR1
		echo up $GENERATION; while :; do sleep 0.01; done`)
	p.expect("up 1")
	p.request("restart 2")
	p.expect("term")
	p.kill(syscall.SIGHUP)
	p.kill(syscall.SIGUSR1) // which ends the old command
	p.expect("up 2")
}

func TestStopSignalBetweenCommandsWins(t *testing.T) {
	p := launchWithRequests(t, withRest("stubborn")...)
	p.expect("up 1")
	p.request("restart 2")
	p.expect("term") // the command is gone and the rest stays
	p.kill(syscall.SIGINT)
	if got, want := p.status(), 128+2; got != want {
		t.Errorf("got status %d, want %d", got, want)
	}
}

func TestNoRestartAfterStopSignal(t *testing.T) {
	p := launchWithRequests(t, "sh", "-c", `
		trap "echo term" TERM; trap "exit 9" USR1
		echo up $GENERATION; while :; do sleep 0.01; done`)
	p.expect("up 1")
	p.kill(syscall.SIGTERM)
	p.expect("term")
	p.request("restart 2")
	p.request("stop")
	p.request("signal 10")
	p.expectEnd()
	if got := p.status(); got != 9 {
		t.Errorf("got status %d, want 9", got)
	}
}

func TestRestartAfterHangup(t *testing.T) {
	p := launchWithRequests(t, "sh", "-c", `trap "echo reload" HUP; echo up $GENERATION; while :; do sleep 0.01; done`)
	p.expect("up 1")
	p.kill(syscall.SIGHUP)
	p.expect("reload")
	p.request("restart 2")
	p.expect("up 2")
}

func TestSignalBetweenCommandsIsForTheNew(t *testing.T) {
	p := launchWithRequests(t, withRest("stubborn")...)
	p.expect("up 1")
	rest := childrenOf(childrenOf(p.pid)[0])[0]
	p.request("restart 2")
	p.expect("term")
	p.kill(syscall.SIGUSR1)
	syscall.Kill(rest, syscall.SIGKILL)
	if got, want := p.status(), 128+10; got != want {
		t.Errorf("got status %d, want %d", got, want)
	}
}

func TestStopEndsWithZero(t *testing.T) {
	p := launchWithRequests(t, generation...)
	p.expect("up 1")
	p.request("stop")
	if got := p.status(); got != 0 {
		t.Errorf("got status %d, want 0", got)
	}
}

func TestStopReplacesRestart(t *testing.T) {
	p := launchWithRequests(t, append([]string{"-stop-timeout=1s"}, withRest("stubborn")...)...)
	p.expect("up 1")
	p.request("restart 2")
	p.expect("term")
	p.request("stop")
	p.request("restart 3")
	p.expectEnd()
	if got := p.status(); got != 0 {
		t.Errorf("got status %d, want 0", got)
	}
}

func TestSignalRequestReachesCommand(t *testing.T) {
	p := launchWithRequests(t, testBinary(t))
	p.expect("ready")
	p.request("signal 1")
	p.expect("1")
}
