package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// Whoever asks for a mask and gets none, as there is a terminal, is told.
func TestMaskSaysOnceWhatIsATerminal(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.PutTier("a/B", "value-of-x", "standard")
	env = append(env, "X=ass://a/B", "ASS_RESOLVE=X")
	const warning = "ass-exec: warning: --mask: "
	for script, want := range map[string]string{
		"":             warning + "stdout and stderr are a terminal, and nothing is masked\r\nvalue-of-x\r\nend\r\n",
		" | cat":       warning + "stderr is a terminal, and not masked\r\n***\r\nend\r\n",
		" 2>/dev/null": "value-of-x\r\nend\r\n",
	} {
		cmd, screen, _ := onTerminal(t, env, `ass-exec --mask --mapping /dev/null -- sh -c 'echo $X'`+script+`; echo end`)
		if got := see(t, screen, "end\r\n"); got != want {
			t.Errorf("%q: got %q, want %q", script, got, want)
		}
		_ = cmd.Wait()
	}
	cmd, screen, _ := onTerminal(t, env, `ass-exec --watch 10ms --mask --mapping /dev/null -- sleep 0.1; echo end`)
	if got := see(t, screen, "end\r\n"); strings.Count(got, warning) != 1 {
		t.Errorf("got %q", got)
	}
	_ = cmd.Wait()
}

// A runner may give its steps a terminal, which nobody looks at: it is the log.
func TestMaskHidesSecretsOnTheTerminalOfACISystem(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/B", "value-of-x")
	cmd, screen, _ := onTerminal(t, append(env, "X=ass://a/B", "ASS_RESOLVE=X", "CI=true"), `ass-exec --mask --mapping /dev/null -- sh -c 'echo $X'; echo end`)
	if got, want := see(t, screen, "end\r\n"), "***\r\nend\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	_ = cmd.Wait()
}

// Whoever shares stdout with ass-exec may do that, as Node.js does.
func TestStdoutThatBecomesNonBlockingLosesNothing(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/B", "value")
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil {
		t.Fatal(err)
	}
	read, write := os.NewFile(uintptr(fds[0]), "read"), os.NewFile(uintptr(fds[1]), "write")
	defer read.Close()
	defer write.Close()
	const size = 1 << 20
	cmd := command(t, "", "--mask", "sh", "-c", "read x; exec head -c 1048576 /dev/zero")
	cmd.Env, cmd.Stdout = append(env, "X=ass://a/B"), write
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the command runs", func() bool { return len(v.Requests()) > 1 })
	if err := unix.SetNonblock(fds[1], true); err != nil {
		t.Fatal(err)
	}
	io.WriteString(input, "go\n")
	until(t, "the pipe is full", func() bool {
		_, err := unix.Write(fds[1], []byte{0})
		return err != nil
	})
	write.Close()
	got, err := io.Copy(io.Discard, read)
	if status := waitStatus(t, cmd); status != 0 || err != nil || got < size {
		t.Errorf("got status %d, %d bytes, %v; want 0 and at least %d", status, got, err, size)
	}
}
