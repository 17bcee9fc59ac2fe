package supervise

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestEndsWithStatusOfCommand(t *testing.T) {
	for status := range 256 {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			p := launch(t, nil, "init", "sh", "-c", fmt.Sprint("exit ", status))
			if got := p.status(); got != status {
				t.Errorf("got status %d, want %d", got, status)
			}
		})
	}
}

func TestEndsWith128PlusSignal(t *testing.T) {
	for _, sig := range []syscall.Signal{1, 2, 3, 6, 9, 10, 12, 13, 15, 64} {
		p := launch(t, nil, "init", "sh", "-c", fmt.Sprintf("kill -%d $$", sig))
		if got, want := p.status(), 128+int(sig); got != want {
			t.Errorf("got status %d, want %d", got, want)
		}
	}
}

func TestRunReportsCommandThatCannotStart(t *testing.T) {
	p := launch(t, nil, "init", "/missing")
	got, want := fmt.Sprint(p.status(), p.errors()), "127exec /missing: no such file or directory\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// everywhere runs test as PID 1 and, with a sub-reaper, outside.
func everywhere(t *testing.T, test func(t *testing.T, prefix []string)) {
	t.Run("subreaper", func(t *testing.T) { test(t, nil) })
	t.Run("PID 1", func(t *testing.T) {
		needPID1(t)
		test(t, asPID1)
	})
}

func TestForwardsEverySignal(t *testing.T) {
	everywhere(t, func(t *testing.T, prefix []string) {
		p := launch(t, prefix, "init", testBinary(t))
		p.expect("ready")
		for range 2 { // the second SIGTERM too
			for sig := range lastSignal + 1 {
				if sig != 0 && forwardable(sig) {
					p.kill(sig)
					p.expect(strconv.Itoa(int(sig)))
				}
			}
		}
		p.in.Close()
		if got := p.status(); got != 0 {
			t.Errorf("got status %d, want 0", got)
		}
	})
}

// The Go runtime ends on faults even if somebody only sent the signal, and
// prints all it knows.
func TestForwardsFaultThatWasSent(t *testing.T) {
	everywhere(t, func(t *testing.T, prefix []string) {
		p := launch(t, prefix, "init", testBinary(t))
		p.expect("ready")
		for _, sig := range []syscall.Signal{
			syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGSEGV, syscall.SIGSTKFLT, syscall.SIGSYS,
		} {
			p.kill(sig)
			p.expect(strconv.Itoa(int(sig)))
		}
		p.in.Close()
		if got := fmt.Sprint(p.status(), p.errors()); got != "0" {
			t.Errorf("got %s, want 0", got)
		}
	})
}

func TestForwardingTestCanFail(t *testing.T) {
	p := launch(t, nil, "lame", testBinary(t))
	p.expect("ready")
	p.kill(syscall.SIGTERM)
	p.kill(syscall.SIGUSR1)
	p.in.Close()
	p.expectEnd()
}

func TestKeepsSignalsOfItsOwn(t *testing.T) {
	p := launch(t, nil, "init", testBinary(t))
	p.expect("ready")
	for _, sig := range []syscall.Signal{syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE, syscall.SIGTTIN, syscall.SIGTTOU} {
		p.kill(sig)
	}
	p.kill(syscall.SIGUSR1)
	p.expect("10")
}

func TestDeliversSignalThatCameBeforeCommand(t *testing.T) {
	p := launch(t, nil, "init", "-raise=10", "sleep", "1000")
	if got, want := p.status(), 128+10; got != want {
		t.Errorf("got status %d, want %d", got, want)
	}
}

// orphans leaves 10,000 processes to the init, says so, and waits.
const orphans = `i=0; while [ $i -lt 1000 ]; do (: & : & : & : & : & : & : & : & : & : &); i=$((i+1)); done; echo left; read x`

func TestReapsOrphans(t *testing.T) {
	everywhere(t, func(t *testing.T, prefix []string) {
		t.Parallel()
		p := launch(t, prefix, "init", "sh", "-c", orphans)
		p.expect("left")
		eventually(t, "only the command is left", func() bool { return len(childrenOf(p.pid)) == 1 })
		p.in.Close()
		if got := p.status(); got != 1 {
			t.Errorf("got status %d, want 1", got)
		}
	})
}

func TestReapingTestCanFail(t *testing.T) {
	p := launch(t, nil, "lame", "sh", "-c", strings.Replace(orphans, "1000", "10", 1))
	p.expect("left")
	eventually(t, "100 zombies are there", func() bool {
		zombies := 0
		for _, pid := range childrenOf(p.pid) {
			if strings.HasPrefix(statusLine(pid, "State"), "Z") {
				zombies++
			}
		}
		return zombies == 100
	})
}

func TestMessagesMayBeLeftOut(t *testing.T) {
	var got []string
	keep := func(message string) { got = append(got, message) }
	for _, o := range []Options{{}, {Warn: keep}, {Info: keep}} {
		o = o.withDefaults()
		o.Warn("warning")
		o.Info("info")
	}
	if want := []string{"warning", "info"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSignalsAreNamedAsKillNamesThem(t *testing.T) {
	for sig, want := range map[syscall.Signal]string{15: "SIGTERM", 9: "SIGKILL", 37: "signal 37", 64: "signal 64"} {
		if got := signalName(sig); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
