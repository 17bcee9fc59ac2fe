package main

import (
	"bufio"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// staying is an ass-exec that stays, with what it writes line by line.
type staying struct {
	t      *testing.T
	cmd    *exec.Cmd
	pipe   io.Closer
	stdout *bufio.Reader
	stderr *strings.Builder
}

func startStaying(t *testing.T, env []string, args ...string) *staying {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "ass-exec"), args...)
	cmd.Env = env
	s := &staying{t: t, cmd: cmd, stderr: &strings.Builder{}}
	cmd.Stderr = s.stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.pipe, s.stdout = stdout, bufio.NewReader(stdout)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return s
}

func (s *staying) line(want string) {
	s.t.Helper()
	timer := time.AfterFunc(limit, func() { _ = s.cmd.Process.Kill() })
	defer timer.Stop()
	if got, err := s.stdout.ReadString('\n'); got != want+"\n" {
		s.t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func (s *staying) end(status int, stderr string) {
	s.t.Helper()
	if got := waitStatus(s.t, s.cmd); got != status || s.stderr.String() != stderr {
		s.t.Errorf("got status %d, stderr %q; want %d, %q", got, s.stderr, status, stderr)
	}
}

func TestInitPassesTheStatusOnAndKeepsNoKey(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{AgentKey: canaryKey})
	v.Put("a/X", "value")
	env = append(env, "X=ass://a/X", "F=ass://a/X?as=file")
	for _, args := range [][]string{{"--init"}, {"--init=group"}, {"--mask"}, {"--watch=1h"}} {
		script := `(tr "\0" "\n" </proc/$PPID/environ) 2>/dev/null | grep -c ` + canaryKey + `; cat $F; echo; exit 41`
		status, stdout, stderr := assExec(t, env, append(args, "sh", "-c", script)...)
		want := "0\nvalue\n"
		if args[0] == "--mask" {
			want = "0\n***\n"
		}
		if status != 41 || stdout != want || stderr != "" {
			t.Errorf("%s: got status %d, %q, %q; want 41, %q", args, status, stdout, stderr, want)
		}
	}
	status, _, _ := assExec(t, env, "--init", "sh", "-c", "kill -9 $$")
	if status != 137 {
		t.Errorf("got status %d, want 137", status)
	}
	for _, tt := range []struct {
		command string
		status  int
	}{{"/no/such", 127}, {"/", 126}} {
		if status, _, _ := assExec(t, env, "--init", tt.command); status != tt.status {
			t.Errorf("%s: got status %d, want %d", tt.command, status, tt.status)
		}
	}
}

func TestInitRunsAScriptThatNamesNoInterpreter(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/X", "value")
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("echo \"$X $1\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := assExec(t, append(env, "X=ass://a/X"), "--init", script, "arg")
	if status != 0 || stdout != "value arg\n" {
		t.Errorf("got status %d, %q, %q", status, stdout, stderr)
	}
}

const waits = `trap "echo stopped; exit 3" TERM; echo "$X"; while :; do sleep 0.01; done`

func TestNewVersionRestartsTheCommand(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/X", "one")
	s := startStaying(t, append(env, "X=ass://a/X"), "--watch=50ms", "sh", "-c", waits)
	s.line("one")
	v.Put("a/X", "two")
	s.line("stopped")
	s.line("two")
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	s.line("stopped")
	s.end(3, "ass-exec: warning: the secrets have changed: restart\n")
}

func TestNewSecretOfANamespaceRestartsTheCommand(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("ns/X", "one")
	s := startStaying(t, env, "--namespace=ns", "--watch=50ms", "sh", "-c", waits)
	s.line("one")
	v.Put("ns/Y", "more")
	s.line("stopped")
	s.line("one")
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	s.line("stopped")
	s.end(3, "ass-exec: warning: the secrets have changed: restart\n")
}

func TestNewVersionEndsTheCommandIfThatIsAsked(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/X", "one")
	s := startStaying(t, append(env, "X=ass://a/X"), "--watch=50ms", "--on-change=exit", "sh", "-c", waits)
	s.line("one")
	v.Put("a/X", "two")
	s.line("stopped")
	s.end(0, "ass-exec: warning: the secrets have changed: exit\n")
}

func TestNewVersionSendsASignalAndChangesTheFile(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/X", "one")
	script := `trap 'cat $F $G; echo; exit 0' HUP; cat $F $G; echo; while :; do sleep 0.01; done`
	s := startStaying(t, append(env, "F=ass://a/X?as=file", "G=ass://a/X?as=file&fd=70"), "--watch=50ms", "--on-change=HUP", "sh", "-c", script)
	s.line("oneone")
	v.Put("a/X", "two")
	s.line("twotwo")
	s.end(0, "ass-exec: warning: the secrets have changed: HUP\n")
}

// Whatever the vault does, a command that runs goes on.
func TestVaultInTroubleLeavesTheCommandAlone(t *testing.T) {
	for _, tt := range []struct {
		kind    string
		warning string
	}{
		{"endpoint=secrets,kind=html", "checking for new secrets failed: the reply is not JSON (200); the command keeps those it has"},
		{"endpoint=secrets,kind=status,status=403", "checking for new secrets failed: access denied (403): Forbidden; the command keeps those it has"},
		{"endpoint=secrets,kind=status,status=404", "checking for new secrets failed: environment: X: a/X does not exist; the command keeps those it has"},
		{"endpoint=secrets,kind=empty", "checking for new secrets failed: environment: X: a/X: the secret is empty; the command keeps those it has"},
	} {
		v, env := vaultServer(t, devvault.Config{})
		v.Put("a/X", "one")
		s := startStaying(t, append(env, "X=ass://a/X"), "--watch=20ms", "sh", "-c", waits)
		s.line("one")
		f, err := devvault.ParseFault(tt.kind)
		if err != nil {
			t.Fatal(err)
		}
		v.Inject(f)
		v.Put("a/X", "two")
		waitForRequests(t, v, 8)
		v.Heal()
		s.line("stopped") // by the restart with what is there again
		s.line("two")
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		s.line("stopped")
		s.end(3, "ass-exec: warning: "+tt.warning+"\nass-exec: warning: checking for new secrets works again\nass-exec: warning: the secrets have changed: restart\n")
	}
}

// waitForRequests returns when n more have been answered.
func waitForRequests(t *testing.T, v *devvault.Server, n int) {
	t.Helper()
	n += len(v.Requests())
	for end := time.Now().Add(limit); len(v.Requests()) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the vault is not asked any more")
		}
	}
}

// Another token would take a second approval, which nobody asked for.
func TestWatchEndsWithAnApprovedToken(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{TokenMaxUses: 3})
	v.PutTier("a/X", "one", "sensitive")
	cmd := exec.Command(filepath.Join(bin, "ass-exec"), "--watch=20ms", "sh", "-c", `echo "$X"; while :; do sleep 0.01; done`)
	cmd.Env = append(env, "X=ass://a/X")
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	stderr := bufio.NewReader(pipe)
	if line, err := stderr.ReadString('\n'); !strings.Contains(line, "waiting for a human") {
		t.Fatalf("got %q, %v", line, err)
	}
	if err := v.Decide(v.Approvals()[0].ID, "approved"); err != nil {
		t.Fatal(err)
	}
	const want = "ass-exec: warning: a new token needs a human's approval: the secrets are no longer watched: the command keeps those it has\n"
	if line, err := stderr.ReadString('\n'); line != want {
		t.Errorf("got %q, %v; want %q", line, err, want)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if got := waitStatus(t, cmd); got != 143 {
		t.Errorf("got status %d, want 143", got)
	}
	if n := len(v.Approvals()); n != 1 {
		t.Errorf("got %d approvals, want 1", n)
	}
}

func TestMaskHidesSecretsInBothStreams(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/X", "hunter2-secret")
	v.Put("a/PEM", "-----BEGIN-----\nline-of-a-key\n-----END-----\n")
	env = append(env, "X=ass://a/X", "URL=postgres://u:${ass://a/X?encode=url}@h", "PEM=ass://a/PEM")
	script := `echo "out $X $URL"; echo "err $X" >&2; echo "$PEM" | sed -n 2p; printf %s "$X" | base64; printf 'no newline %s' "$X"`
	status, stdout, stderr := assExec(t, env, "--mask", "sh", "-c", script)
	if status != 0 || stdout != "out *** ***\n***\n***\nno newline ***" || stderr != "err ***\n" {
		t.Errorf("got status %d, %q, %q", status, stdout, stderr)
	}
}

// Also what a reference takes out of a secret, but not what it puts in place of
// one; and the agent key, if the command has it.
func TestMaskHidesThePartsByThemselves(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{AgentKey: canaryKey})
	v.Put("a/JSON", `{"user": "plain", "password": "field-of-json"}`)
	v.Put("a/B64", "ZGVjb2RlZC10ZXh0")
	v.Put("a/BOTH", `{"cert": "YmFzZTY0LWluLWpzb24="}`)
	env = append(env, "ASS_API_KEY=key-of-a-human",
		"BARE=ass://a/JSON?field=password", "CODED=ass://a/JSON?field=password&encode=base64", "URL=http://u:${ass://a/B64?decode=base64&encode=none}@${ass://a/NO?default=host-name}",
		"F=ass://a/BOTH?field=cert&decode=base64&as=file")
	script := `echo field-of-json; echo decoded-text; echo base64-in-json; cat $F; echo; echo plain host-name; echo $ASS_AGENT_KEY $ASS_API_KEY`
	for _, tt := range []struct{ arg, want string }{
		{"--keep-agent-key", "***\n***\n***\n***\nplain host-name\n*** ***\n"},
		{"--keep-agent-key=false", "***\n***\n***\n***\nplain host-name\n\n"},
	} {
		status, stdout, stderr := assExec(t, env, "--mask", tt.arg, "sh", "-c", script)
		if status != 0 || stdout != tt.want || stderr != "" {
			t.Errorf("%s: got status %d, %q, %q; want %q", tt.arg, status, stdout, stderr, tt.want)
		}
	}
}

// Half a secret is out when a rotation comes, and the other half follows.
func TestMaskLetsNothingThroughAtARotation(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/X", "hunter2-secret")
	script := `trap 'echo -secret; cat $F; echo; exit 0' HUP; printf "ready\nhunter2"; while :; do sleep 0.01; done`
	s := startStaying(t, append(env, "F=ass://a/X?as=file"), "--mask", "--watch=50ms", "--on-change=HUP", "sh", "-c", script)
	s.line("ready")
	v.Put("a/X", "quite-another")
	timer := time.AfterFunc(limit, func() { _ = s.cmd.Process.Kill() })
	defer timer.Stop()
	// What is before the stars has been held for too long.
	if got, err := s.stdout.ReadString('\n'); got != "***\n" && got != "hunter2***\n" {
		t.Errorf("got %q, %v; want *** in place of the rest", got, err)
	}
	s.line("***")
	s.end(0, "ass-exec: warning: the secrets have changed: HUP\n")
}

// A line that tells a CI system a value has the value on stdout, which may be
// a file.
func TestMaskItselfPrintsNothing(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/X", "hunter2-secret")
	env = append(env, "X=ass://a/X", "ASS_RESOLVE=all", "GITHUB_ACTIONS=true", "GITLAB_CI=true", "CIRCLECI=true", "TF_BUILD=True")
	status, stdout, stderr := assExec(t, env, "--mask", "true")
	if status != 0 || stdout+stderr != "" {
		t.Errorf("got status %d, %q, %q; want 0 and nothing", status, stdout, stderr)
	}
}

// What a large secret costs is the most the process ever had: a container has
// to be given that.
func TestMaskOfALargeSecretCostsLittleMemory(t *testing.T) {
	needTool(t, runtime.GOOS == "linux", "/proc")
	v, env := vaultServer(t, devvault.Config{})
	random := make([]byte, 750_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	text := base64.StdEncoding.EncodeToString(random)
	v.Put("a/SMALL", "hunter2-secret")
	v.Put("a/LINE", text)
	v.Put("a/LINES", strings.TrimSpace(strings.ReplaceAll(text, "A", "\n")))
	peak := func(ref string) int {
		t.Helper()
		script := `cat $F; echo; sed -n "s/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p" /proc/$PPID/status`
		status, stdout, stderr := assExec(t, append(env, "F=ass://"+ref+"&as=file"), "--mask", "sh", "-c", script)
		// A busy machine may show what has been held for too long before.
		lines := strings.Split(strings.TrimSpace(stdout), "\n")
		kib, err := strconv.Atoi(lines[len(lines)-1])
		if status != 0 || err != nil {
			t.Fatalf("%s: got status %d, %.100q, %q", ref, status, stdout, stderr)
		}
		return kib
	}
	base := peak("a/SMALL?optional")
	for _, ref := range []string{"a/LINE?optional", "a/LINES?optional", "a/LINE?decode=base64"} {
		if got, limit := peak(ref)-base, 64<<10; got > limit {
			t.Errorf("%s: got %d KiB, want at most %d", ref, got, limit)
		}
	}
}

// Output of any size, and binary, arrives whole; a reader that goes away ends
// the command as it would have without us.
func TestMaskPassesEverythingElseOn(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/X", "hunter2-secret")
	env = append(env, "X=ass://a/X")
	status, stdout, _ := assExec(t, env, "--mask", "sh", "-c", `head -c 3000000 /dev/zero; printf '\377\376'`)
	if status != 0 || stdout != strings.Repeat("\x00", 3000000)+"\xff\xfe" {
		t.Errorf("got status %d, %d bytes", status, len(stdout))
	}
	s := startStaying(t, env, "--mask", "yes")
	s.line("y")
	s.pipe.Close()
	s.end(128+int(syscall.SIGPIPE), "")
}
