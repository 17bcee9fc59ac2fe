package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// What makes the Go runtime and its library talk must not make them talk of
// secrets: http2debug=2 prints every header.
func TestDebuggingAidsPrintNoSecret(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{AgentKey: canaryKey})
	v.Put("a/B", canaryValue)
	env = append(env, "X=ass://a/B")
	for _, aid := range []string{
		"GODEBUG=http2debug=1", "GODEBUG=http2debug=2", "GODEBUG=netdns=2,http2debug=2", "GODEBUG=gctrace=1,inittrace=1",
		"GOTRACEBACK=system", "GOTRACEBACK=crash", "SSLKEYLOGFILE=" + filepath.Join(t.TempDir(), "keys"),
	} {
		status, stdout, stderr := assExec(t, append(env, aid), "-v", "sh", "-c", `test "$X" = `+canaryValue+` && echo ran`)
		if status != 0 || stdout != "ran\n" {
			t.Errorf("%s: got status %d, %q", aid, status, stdout)
		}
		for _, secret := range []string{canaryValue, canaryKey, "eyJkZXY"} {
			if strings.Contains(stderr, secret) {
				t.Errorf("%s: %s is printed", aid, secret)
			}
		}
		if _, file, ok := strings.Cut(aid, "SSLKEYLOGFILE="); ok {
			if _, err := os.Stat(file); err == nil {
				t.Errorf("%s was written", file)
			}
		}
	}
}

// A log that nobody takes is no reason not to start, and none to end
// differently.
func TestBrokenStderrChangesNothing(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/B", "value")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	needTool(t, err == nil, "/dev/full")
	defer full.Close()
	reader, unread, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	defer unread.Close()
	// Only execve finds out that what loads it is missing.
	program, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, bytes.ReplaceAll(program, []byte("/ld-"), []byte("/no-")), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, stderr := range []*os.File{full, unread} {
		for _, tt := range []struct {
			path   string
			args   []string
			status int
			stdout string
		}{
			{"a/B", []string{"sh", "-c", `echo "$X"`}, 0, "value\n"},
			{"a/B", []string{"sh", "-c", "kill -PIPE $$"}, 128 + int(syscall.SIGPIPE), ""},
			{"a/B", []string{broken}, 127, ""},
			{"a/NONE", []string{"true"}, 66, ""},
		} {
			for _, flags := range [][]string{{"-v"}, {"-v", "--init"}} {
				cmd := exec.Command(filepath.Join(bin, "ass-exec"), append(flags, tt.args...)...)
				var stdout bytes.Buffer
				cmd.Env, cmd.Stdout, cmd.Stderr = append(env, "X=ass://"+tt.path), &stdout, stderr
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				if got := waitStatus(t, cmd); got != tt.status || stdout.String() != tt.stdout {
					t.Errorf("%s, %q: got %d, %q; want %d, %q", stderr.Name(), cmd.Args, got, &stdout, tt.status, tt.stdout)
				}
			}
		}
	}
}
