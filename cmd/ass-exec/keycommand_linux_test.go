package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// openPTY returns the two ends of a new terminal.
func openPTY(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	needTool(t, err == nil, "a /dev/ptmx")
	t.Cleanup(func() { keyboard.Close() })
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return keyboard, terminal
}

// onTerminal runs a shell script as the leader of a terminal's session, and
// returns what it shows and where to type.
func onTerminal(t *testing.T, environ []string, script string) (cmd *exec.Cmd, screen *bufio.Reader, keyboard *os.File) {
	t.Helper()
	keyboard, terminal := openPTY(t)
	t.Cleanup(func() { terminal.Close() }) // not before: what is written just before the last close may be lost
	cmd = exec.Command("bash", "-c", script)
	cmd.Env = append(environ, "PATH="+bin+":"+os.Getenv("PATH"))
	cmd.Dir = t.TempDir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timeout := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill(); terminal.Close() }) // which ends the reading
	t.Cleanup(func() { timeout.Stop() })
	return cmd, bufio.NewReader(keyboard), keyboard
}

// see reads the screen up to the text want, and returns what came before.
func see(t *testing.T, screen *bufio.Reader, want string) string {
	t.Helper()
	var seen strings.Builder
	for !strings.HasSuffix(seen.String(), want) {
		c, err := screen.ReadByte()
		if err != nil {
			t.Fatalf("got %q and %v, want %q", seen.String(), err, want)
		}
		seen.WriteByte(c)
	}
	return seen.String()
}

// asksPIN makes a key of what somebody types at the terminal.
const asksPIN = `ASS_AGENT_KEY_COMMAND=sh -c 'stty -echo </dev/tty; printf "PIN: " >/dev/tty; read pin </dev/tty; stty echo </dev/tty; echo $pin'`

// vaultOfPIN serves a secret for X, and returns what asks for its key.
func vaultOfPIN(t *testing.T) (env []string) {
	t.Helper()
	v, env := vaultServer(t, devvault.Config{AgentKey: "canary-agent-key"})
	v.PutTier("a/B", "value", "standard")
	return append(slices.Delete(env, 2, 3), "X=ass://a/B", "ASS_RESOLVE=X", asksPIN)
}

func TestKeyCommandAsksAtTheTerminal(t *testing.T) {
	vault := vaultOfPIN(t)
	for _, how := range []string{"ass-exec", "ass-exec </dev/null", "ass-exec --init"} {
		flags, input, _ := strings.Cut(how, " <")
		if input != "" {
			input = " <" + input
		}
		script := flags + ` --mapping /dev/null -- sh -c 'echo got $X; read line </dev/tty; echo read $line'` + input + `; echo status $?`
		cmd, screen, keyboard := onTerminal(t, vault, script)
		see(t, screen, "PIN: ")
		_, _ = keyboard.WriteString("canary-agent-key\n")
		see(t, screen, "got value\r\n")
		_, _ = keyboard.WriteString("more\n") // the terminal is the command's again
		see(t, screen, "read more\r\n")
		see(t, screen, "status 0\r\n")
		_ = cmd.Wait()
	}
}

func TestCtrlCAtThePINEndsEverything(t *testing.T) {
	vault := vaultOfPIN(t)
	cmd, screen, keyboard := onTerminal(t, vault, `trap 'echo interrupted' INT; ass-exec --mapping /dev/null -- true; echo status $?`)
	see(t, screen, "PIN: ")
	_, _ = keyboard.WriteString("\x03")
	see(t, screen, "interrupted\r\n")
	see(t, screen, "status 130\r\n")
	_ = cmd.Wait()
}

func TestCtrlZAtThePINIsTold(t *testing.T) {
	vault := vaultOfPIN(t)
	cmd, screen, keyboard := onTerminal(t, vault, `ass-exec --mapping /dev/null -- true; echo status $?`)
	see(t, screen, "PIN: ")
	_, _ = keyboard.WriteString("\x1a")
	see(t, screen, `agent key command "sh": was stopped by signal 20 (stopped)`)
	see(t, screen, "status 78\r\n")
	_ = cmd.Wait()
}
