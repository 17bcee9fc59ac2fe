package supervise

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Keys, as the terminal's line discipline knows them.
const (
	ctrlC         = "\x03"
	ctrlD         = "\x04"
	ctrlZ         = "\x1a"
	ctrlBackslash = "\x1c"
)

// openTerminal returns both ends of a new terminal that does not echo.
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(keyboard.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	settings.Lflag &^= unix.ECHO
	settings.Oflag &^= unix.OPOST // no \r
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, settings); err != nil {
		t.Fatal(err)
	}
	return keyboard, terminal
}

// onTerminal runs a shell script as the leader of a terminal's session, with
// the init under test as $init.
func onTerminal(t *testing.T, script string) *roleProcess {
	t.Helper()
	keyboard, terminal := openTerminal(t)
	defer terminal.Close()
	p := &roleProcess{t: t, cmd: exec.Command("bash", "-c", script)}
	p.cmd.Env = append(os.Environ(), "init=env ROLE=init CHILD_ROLE=catcher "+testBinary(t), "catcher="+testBinary(t))
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = terminal, terminal, terminal
	p.start()
	p.in, p.out = keyboard, bufio.NewReader(keyboard)
	return p
}

// see skips what the shell has to say until it comes to the line want.
func (p *roleProcess) see(want string) {
	p.t.Helper()
	for p.line() != want {
	}
}

func (p *roleProcess) press(keys string) {
	p.t.Helper()
	if _, err := p.in.Write([]byte(keys)); err != nil {
		p.t.Fatal(err)
	}
}

func TestKeyReachesCommandOnce(t *testing.T) {
	p := onTerminal(t, "exec $init $catcher")
	p.expect("ready")
	p.press(ctrlC)
	p.expect("2")
	p.press(ctrlBackslash)
	p.expect("3") // and not a second 2
	p.press(ctrlD)
	if got := p.status(); got != 0 {
		t.Errorf("got status %d, want 0", got)
	}
}

func TestCtrlCEndsWith130(t *testing.T) {
	p := onTerminal(t, "exec $init sh -c 'echo ready; exec sleep 1000'")
	p.expect("ready")
	p.press(ctrlC)
	if got := p.status(); got != 130 {
		t.Errorf("got status %d, want 130", got)
	}
}

func TestResizeReachesCommandOnce(t *testing.T) {
	p := onTerminal(t, "exec $init $catcher")
	p.expect("ready")
	size := &unix.Winsize{Row: 33, Col: 44}
	if err := unix.IoctlSetWinsize(int(p.in.(*os.File).Fd()), unix.TIOCSWINSZ, size); err != nil {
		t.Fatal(err)
	}
	p.expect("28")
	p.press(ctrlC)
	p.expect("2")
}

func TestHangupReachesCommand(t *testing.T) {
	p := onTerminal(t, "exec $init sh -c 'echo ready; exec sleep 1000'")
	p.expect("ready")
	p.in.Close()
	if got, want := p.status(), 128+1; got != want {
		t.Errorf("got status %d, want %d", got, want)
	}
}

// reader is a command with the default reaction to keys.
const reader = "$init sh -c 'echo ready; exec cat'"

func TestShellStopsAndContinues(t *testing.T) {
	p := onTerminal(t, "set -m; "+reader+"; echo stopped; fg >/dev/null; echo ended $?")
	p.see("ready")
	p.press(ctrlZ)
	p.see("stopped")
	p.press("hello\n") // read in the foreground again
	p.see("hello")
	p.press(ctrlD)
	p.see("ended 0")
}

func TestContinuedCommandHasTerminal(t *testing.T) {
	p := onTerminal(t, "set -m; $init sh -c 'echo ready $$; exec sleep 1000'; echo stopped; fg")
	var command int
	fmt.Sscanf(p.line(), "ready %d", &command)
	p.press(ctrlZ)
	p.see("stopped")
	eventually(t, "it is in the foreground", func() bool {
		group, _ := unix.IoctlGetInt(int(p.in.(*os.File).Fd()), unix.TIOCGPGRP)
		return group == command
	})
}

func TestCommandInBackgroundIsStoppedWhenItReads(t *testing.T) {
	p := onTerminal(t, "set -m; "+reader+" & wait; jobs %1 >/dev/null && echo stopped; fg >/dev/null; echo ended $?")
	p.see("ready")
	p.see("stopped")
	p.press("hello\n")
	p.see("hello")
	p.press(ctrlD)
	p.see("ended 0")
}

func TestScriptAroundInitStopsToo(t *testing.T) {
	p := onTerminal(t, `set -m; sh -c "`+reader+`; echo script \$?"; echo stopped; fg >/dev/null; echo ended $?`)
	p.see("ready")
	p.press(ctrlZ)
	p.see("stopped")
	p.press("hello\n")
	p.see("hello")
	p.press(ctrlD)
	p.see("script 0")
	p.see("ended 0")
}

func TestCtrlZIsHarmlessWithoutShell(t *testing.T) {
	p := onTerminal(t, "exec "+reader)
	p.expect("ready")
	p.press(ctrlZ)
	p.press("hello\n")
	p.expect("hello")
	p.press(ctrlD)
	if got := p.status(); got != 0 {
		t.Errorf("got status %d, want 0", got)
	}
}

func TestShellInsideHasJobControl(t *testing.T) {
	p := onTerminal(t, `exec $init bash -c 'set -m; sh -c "echo ready; exec cat"; echo stopped $?; fg >/dev/null; echo ended $?'`)
	p.see("ready")
	p.press(ctrlZ)
	p.see("stopped 148")
	p.press(ctrlD)
	p.see("ended 0")
	if got := p.status(); got != 0 {
		t.Errorf("got status %d, want 0", got)
	}
}

func TestTerminalGoesBackToScript(t *testing.T) {
	p := onTerminal(t, "$init true; $init /missing 2>/dev/null; echo ready; read line; echo got $line")
	p.expect("ready")
	p.press("hello\n")
	p.expect("got hello")
}

func TestCommandThatAsksGetsTheTerminal(t *testing.T) {
	p := onTerminal(t, "$init sh -c 'read line </dev/tty; echo got $line' </dev/null")
	p.press("hello\n")
	p.expect("got hello")
}

func TestRestartedCommandHasTerminal(t *testing.T) {
	p := onTerminal(t, "exec $init -requests sh -c 'echo up $GENERATION; exec cat'")
	p.expect("up 1")
	p.request("restart 2")
	p.expect("up 2")
	p.press("hello\n")
	p.expect("hello")
}

func TestTerminalOfPID1(t *testing.T) {
	needPID1(t)
	p := onTerminal(t, "exec "+strings.Join(asPID1, " ")+" "+reader)
	p.expect("ready")
	p.press(ctrlZ)
	p.press("hello\n")
	p.expect("hello")
	p.press(ctrlC)
	if got := p.status(); got != 130 {
		t.Errorf("got status %d, want 130", got)
	}
}
