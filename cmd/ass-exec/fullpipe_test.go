package main

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// fullPipe is a pipe that takes nothing any more, and that nobody reads.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil {
		t.Fatal(err)
	}
	read, write := os.NewFile(uintptr(fds[0]), "read"), os.NewFile(uintptr(fds[1]), "full")
	t.Cleanup(func() { read.Close(); write.Close() })
	if err := unix.SetNonblock(fds[1], true); err != nil {
		t.Fatal(err)
	}
	for n := 4096; n > 0; n /= 2 {
		for err := error(nil); err == nil; {
			_, err = unix.Write(fds[1], make([]byte, n))
		}
	}
	if err := unix.SetNonblock(fds[1], false); err != nil {
		t.Fatal(err)
	}
	return write
}

func TestFullStderrDoesNotProlongTheBudget(t *testing.T) {
	for _, flags := range [][]string{{"--log-format=text"}, {"--log-format=json"}, {"--init"}, {"--mask"}} {
		cmd := command(t, broken(t), append(flags, "-v", "--timeout=1s", "true")...)
		cmd.Stderr = fullPipe(t)
		start := time.Now()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if got := waitStatus(t, cmd); got != 69 {
			t.Errorf("%q: got status %d, want 69", flags, got)
		}
		if d := time.Since(start); d > limit/2 {
			t.Errorf("%q: it took %s", flags, d)
		}
	}
}

func TestKeyCommandBehindAFullStderrEndsWithTheBudget(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{AgentKey: canaryKey})
	v.Put("a/B", "value")
	env = append(env, "X=ass://a/B", "ASS_AGENT_KEY=", "ASS_AGENT_KEY_COMMAND=sh -c 'echo unlock >&2; echo "+canaryKey+"'")
	for _, flags := range [][]string{{}, {"--init"}, {"--mask"}, {"--mask", "--watch=1h"}} {
		cmd := command(t, "", append(flags, "--timeout=1s", "true")...)
		cmd.Env, cmd.Stderr = env, fullPipe(t)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if got := waitStatus(t, cmd); got != 78 {
			t.Errorf("%q: got status %d, want 78", flags, got)
		}
	}
}

func TestSignalEndsTheFetchBehindAFullStderr(t *testing.T) {
	refused := make(chan struct{}, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		refused <- struct{}{}
	}))
	defer s.Close()
	cmd := command(t, s.URL, "-v", "true")
	cmd.Stderr = fullPipe(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 3 { // it has tried to warn by then
		select {
		case <-refused:
		case <-time.After(limit):
			t.Error("it does not go on")
		}
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if got := waitStatus(t, cmd); got != 143 {
		t.Errorf("got status %d, want 143", got)
	}
}

func TestFullStderrDoesNotKeepTheCommandFromRunning(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/B", "value")
	for _, flags := range [][]string{{"-v"}, {"-v", "--init"}, {"-v", "--mask"}} {
		cmd := command(t, "", append(flags, "sh", "-c", "exit 3")...)
		cmd.Env, cmd.Stderr = append(env, "X=ass://a/B"), fullPipe(t)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if got := waitStatus(t, cmd); got != 3 {
			t.Errorf("%q: got status %d, want 3", flags, got)
		}
	}
}

// signaledBehindFullStdout starts ass-exec with a stdout that nobody reads, and
// sends it SIGTERM at a line of its stderr.
func signaledBehindFullStdout(t *testing.T, env []string, atLine func(string) bool, args ...string) *exec.Cmd {
	t.Helper()
	cmd := command(t, "", args...)
	cmd.Env, cmd.Stdout = append(env, "X=ass://a/B"), fullPipe(t)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !atLine(lines.Text()) {
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	return cmd
}

func TestSignalEndsACheckBehindAFullStdout(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/B", "value")
	cmd := signaledBehindFullStdout(t, env, func(line string) bool { return strings.Contains(line, "X from a/B") }, "--check", "-v")
	if got := waitStatus(t, cmd); got != 143 {
		t.Errorf("got status %d, want 143", got)
	}
}

// What the filter holds then is lost, as it would have been in the command.
func TestSignalEndsAMaskBehindAFullStdout(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/B", "value")
	for _, tt := range []struct {
		script, line string
		status       int
	}{
		{"echo; echo started >&2; exec sleep 1000", "started", 143},
		{"echo; exit 3", "ass-exec: info: the command ended with status 3", 3},
	} {
		cmd := signaledBehindFullStdout(t, env, func(line string) bool { return line == tt.line }, "-v", "--mask", "sh", "-c", tt.script)
		if got := waitStatus(t, cmd); got != tt.status {
			t.Errorf("%s: got status %d, want %d", tt.script, got, tt.status)
		}
	}
}
