//go:build linux

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
	"golang.org/x/sys/unix"
)

// forms are the spellings under which a secret could be left somewhere.
func forms(secret string) []string {
	if len(secret) < 16 {
		return []string{secret} // the others are found by chance
	}
	out := []string{secret, hex.EncodeToString([]byte(secret))}
	for i := range 3 {
		// Base64 of a text that holds it: the middle depends only on where it begins.
		coded := base64.StdEncoding.EncodeToString([]byte("123"[:i] + secret))
		out = append(out, coded[4:len(coded)-4])
	}
	return out
}

func holds(data []byte, secret string) bool {
	for _, form := range forms(secret) {
		if bytes.Contains(data, []byte(form)) {
			return true
		}
	}
	return false
}

// trace runs ass-exec under strace and returns its system calls, one a line,
// up to the one that starts the command.
func trace(t *testing.T, env []string, args ...string) (calls []string, status int) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	needTool(t, err == nil, "strace")
	needTool(t, os.Geteuid() == 0, "root, to trace a process that forbids dumps")
	file := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, append([]string{
		"--follow-forks", "--string-limit=1000000", "--no-abbrev", "--decode-fds=path", "--output", file,
		filepath.Join(bin, "ass-exec"),
	}, args...)...)
	cmd.Env, cmd.WaitDelay = env, time.Minute
	if out, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState == nil {
		t.Fatalf("strace: %v\n%s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	calls = strings.Split(strings.TrimSpace(string(data)), "\n")
	for i, call := range calls {
		// The first execve is strace's own, which starts ass-exec.
		if i > 0 && strings.Contains(call, " execve(") {
			return calls[1 : i+1], cmd.ProcessState.ExitCode()
		}
	}
	return calls[1:], cmd.ProcessState.ExitCode()
}

// A secret comes in encrypted, and goes out once: to the command.
func TestSecretIsInNoSystemCallButExecve(t *testing.T) {
	for _, tt := range []struct {
		name   string
		env    []string
		fault  string
		want   []string // the calls that hold the secret
		status int
	}{
		{"plain", []string{"X=ass://a/B"}, "", []string{"execve"}, 0},
		{"template", []string{"X=https://u:${ass://a/B?encode=none}@h"}, "", []string{"execve"}, 0},
		{"namespace", []string{"ASS_NAMESPACE=a"}, "", []string{"execve"}, 0},
		{"as=file", []string{"X=ass://a/B?as=file"}, "", []string{"write to memfd"}, 0},
		{"both", []string{"X=ass://a/B?as=file", "Y=ass://a/B"}, "", []string{"write to memfd", "execve"}, 0},
		{"verbose", []string{"X=ass://a/B", "ASS_VERBOSE=1"}, "", []string{"execve"}, 0},
		{"failing", []string{"X=ass://a/B", "Y=ass://a/NO"}, "", nil, 66},
		{"unusable", []string{"X=ass://a/B?field=no"}, "", nil, 65},
		{"retried", []string{"X=ass://a/B"}, "endpoint=secrets,kind=cut,count=1", []string{"execve"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, env := vaultServer(t, devvault.Config{AgentKey: canaryKey})
			v.Put("a/B", canaryValue)
			if tt.fault != "" {
				f, err := devvault.ParseFault(tt.fault)
				if err != nil {
					t.Fatal(err)
				}
				v.Inject(f)
			}
			calls, status := trace(t, append(env, tt.env...), "true")
			if status != tt.status {
				t.Errorf("got status %d, want %d", status, tt.status)
			}
			var got []string
			for _, call := range calls {
				if holds([]byte(call), canaryValue) {
					got = append(got, callName(call))
				}
				if holds([]byte(call), canaryKey) || holds([]byte(call), canaryToken) {
					t.Errorf("the agent key or the token is in %s", callName(call))
				}
				if writes.MatchString(call) {
					t.Errorf("a file is opened for writing: %s", call)
				}
			}
			if strings.Join(got, ", ") != strings.Join(tt.want, ", ") {
				t.Errorf("the secret is in %q, want %q", got, tt.want)
			}
		})
	}
}

var (
	writes   = regexp.MustCompile(` (creat\(|open\w*\(.*O_(WRONLY|RDWR|CREAT))`)
	namePart = regexp.MustCompile(`^\d+ +(<\.\.\. )?(\w+)`)
	memfd    = regexp.MustCompile(`^\d+ +p?write(64)?\(\d+<[^>]*memfd:`)
)

// callName is the name of a call, without what it was called with.
func callName(call string) string {
	if memfd.MatchString(call) {
		return "write to memfd"
	}
	if m := namePart.FindStringSubmatch(call); m != nil {
		return m[2]
	}
	return "unknown call"
}

// While it holds the key, a token and secrets, ass-exec cannot be made to dump
// them. The control shows that another process can.
func TestFetchingProcessDumpsNoCore(t *testing.T) {
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil || !regexp.MustCompile(`^core\s*$`).Match(pattern) {
		t.Skip("needs core_pattern to be core, which is " + strconv.Quote(string(pattern)))
	}
	v, env := vaultServer(t, devvault.Config{AgentKey: canaryKey})
	v.Put("a/B", canaryValue)
	v.Inject(devvault.Fault{Endpoint: "secrets", Kind: "hang"})
	env = append(env, "X=ass://a/B", "GOTRACEBACK=crash")
	fetching := func() bool { return len(v.Requests()) > 0 }
	if cores := coresOf(t, env, fetching, filepath.Join(bin, "ass-exec"), "true"); len(cores) > 0 {
		t.Errorf("got %q, want no core", cores)
	}
	if cores := coresOf(t, env, func() bool { return true }, "sleep", "60"); len(cores) != 1 {
		t.Errorf("control: got %q, want a core", cores)
	}
}

// The limit holds where cores go to a handler, too, and for --check.
func TestFetchingProcessMayLeaveNoCore(t *testing.T) {
	for _, args := range [][]string{nil, {"--check"}} {
		v, env := vaultServer(t, devvault.Config{})
		v.Put("a/B", "value")
		v.Inject(devvault.Fault{Endpoint: "secrets", Kind: "hang"})
		script := `ulimit -Sc $(ulimit -Hc) && exec "$@"`
		cmd := exec.Command("sh", append([]string{"-c", script, "sh", filepath.Join(bin, "ass-exec")}, append(args, "true")...)...)
		cmd.Env = append(env, "X=ass://a/B")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		until(t, "it fetches", func() bool { return len(v.Requests()) > 0 })
		var limit unix.Rlimit
		if err := unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_CORE, nil, &limit); err != nil || limit.Cur != min(1, limit.Max) {
			t.Errorf("%q: got a limit of %d, %v, want 1", args, limit.Cur, err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// coresOf aborts a command once it is ready, and returns the files it left.
func coresOf(t *testing.T, env []string, ready func() bool, command ...string) []string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("sh", append([]string{"-c", `ulimit -c unlimited && echo && exec "$@"`, "sh"}, command...)...)
	cmd.Dir, cmd.Env = dir, env
	started, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := started.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	isShell := func() bool {
		comm, _ := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/comm")
		return string(comm) == "sh\n"
	}
	until(t, "the command runs", func() bool { return !isShell() && ready() })
	if err := cmd.Process.Signal(syscall.SIGABRT); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Error(err)
	}
	return left
}

// until polls for a condition, and fails the test if it does not come.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
