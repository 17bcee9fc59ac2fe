package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

// atTerminal is what the test binary does on a terminal of its own: it runs a
// command for its output, and says whether it has the terminal back.
func atTerminal(text string) {
	var cmd Command
	if err := json.Unmarshal([]byte(text), &cmd); err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := cmd.Output(ctx, 100, os.Stderr)
	tty, openErr := unix.Open("/dev/tty", unix.O_RDWR, 0)
	if openErr != nil {
		panic(openErr)
	}
	group, _ := unix.IoctlGetInt(tty, unix.TIOCGPGRP)
	fmt.Printf("%q, %v, back %v", out, err, group == unix.Getpgrp())
}

// within bounds a command of a test, which ends long before.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// shell is a command that runs a script; it finds a named pipe as $F.
func shell(script, fifo string) *Command {
	return &Command{Path: "/bin/sh", Argv: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin", "F=" + fifo}}
}

func TestOutputIsWhatTheCommandPrints(t *testing.T) {
	// It goes on a little after its output, which is as long as it may be.
	const script = `read x; printf "abc$x"; exec >&-; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done`
	if out, err := shell(script, "").Output(within(t, 10*time.Second), 3, os.Stderr); err != nil || string(out) != "abc" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestFailureOfACommandForItsOutputSaysHowItEnded(t *testing.T) {
	for script, want := range map[string]string{
		"echo secret; exit 3":                "ended with status 3",
		"echo secret; kill -KILL $$":         "was ended by signal 9 (killed)",
		"echo secret; kill -STOP $$":         "was stopped by signal 19 (stopped (signal))",
		"while :; do echo secret || :; done": "printed more than 100 bytes",
	} {
		if out, err := shell(script, "").Output(within(t, 5*time.Second), 100, os.Stderr); err == nil || err.Error() != want || out != nil {
			t.Errorf("%s: got %q, %v; want %s", script, out, err, want)
		}
	}
}

func TestCommandForItsOutputThatIsMissingIsNamed(t *testing.T) {
	cmd := Command{Path: "/nowhere/tool", Argv: []string{"tool"}}
	_, err := cmd.Output(within(t, 5*time.Second), 100, os.Stderr)
	var e *exit.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	checkError(t, e, exit.Error{Code: 127, Msg: `command "tool": no such file`, Hint: hintLook})
}

func TestEndOfTheContextEndsTheWholeGroup(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(within(t, 10*time.Second))
	ended := make(chan error)
	go func() {
		_, err := shell(`exec 3>"$F"; (echo ready >&3; exec sleep 15); :`, fifo).Output(ctx, 100, os.Stderr)
		ended <- err
	}()
	f, err := os.Open(fifo) // once the command has it open
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ready := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(f, ready); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	// Both the shell and sleep have it open.
	if err := f.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(f); err != nil || len(rest) > 0 {
		t.Errorf("got %q, %v: a child lives on", rest, err)
	}
}

// terminal opens a new pseudo-terminal and returns the side of the programs.
func terminal(t *testing.T) (slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if errors.Is(err, os.ErrNotExist) {
		needTool(t, false, "/dev/ptmx")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return slave
}

func TestCommandForItsOutputHasTheTerminalMeanwhile(t *testing.T) {
	const show = `read -r _ _ _ _ group _ _ foreground _ </proc/$$/stat; [ $group = $foreground ] && echo mine`
	missing := &Command{Path: "/nowhere/tool", Argv: []string{"tool"}}
	for _, tt := range []struct {
		claim  string
		cmd    *Command
		want   string
		signal syscall.Signal
	}{
		{"it prints", shell(show, ""), `"mine\n", <nil>, back true`, 0},
		{"it fails", shell("exit 3", ""), `"", ended with status 3, back true`, 0},
		{"it is missing", missing, `"", command "tool": no such file, back true`, 0},
		{"it is ended", shell("kill -TERM $$", ""), `"", was ended by signal 15 (terminated), back true`, 0},
		{"Ctrl-C ends both", shell("kill -INT $$", ""), "", syscall.SIGINT},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			slave := terminal(t)
			text, err := json.Marshal(tt.cmd)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			self := exec.Command("/proc/self/exe")
			self.Env = []string{"AT_TERMINAL=" + string(text)}
			self.Stdin, self.Stdout, self.Stderr = slave, &out, os.Stderr
			self.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			_ = self.Run() // its state says the same
			status := self.ProcessState.Sys().(syscall.WaitStatus)
			if signaled := status.Signaled(); signaled != (tt.signal != 0) || signaled && status.Signal() != tt.signal || out.String() != tt.want {
				t.Errorf("got %s, %v; want %s, signal %d", out.String(), self.ProcessState, tt.want, tt.signal)
			}
		})
	}
}
