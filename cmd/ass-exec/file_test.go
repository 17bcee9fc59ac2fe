package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

func tool(t *testing.T, name string) {
	t.Helper()
	_, err := exec.LookPath(name)
	needTool(t, err == nil, name)
}

// Whatever opens the file, however often and from whichever process, it reads
// the secret from its first byte.
func TestSecretFilesAreReadByEverybodyWhoMay(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	v, env := vaultServer(t, devvault.Config{AgentKey: canaryKey})
	v.Put("tls/KEY", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	v.Put("a/TEXT", "two\nlines\n")
	binary := make([]byte, 300<<10)
	_, _ = rand.Read(binary)
	v.Put("a/BINARY", base64.StdEncoding.EncodeToString(binary))
	env = append(env, "TEXT=ass://a/TEXT?as=file", "BINARY=ass://a/BINARY?decode=base64&as=file",
		"KEY=ass://tls/KEY?as=file", "SHARED=ass://a/TEXT?as=file&mode=0444", "ABSENT=ass://a/NO?as=file&default=x")
	for _, tt := range []struct {
		claim, tool string
		command     []string
		want        string
	}{
		{"twice", "cat", []string{"sh", "-c", `cat "$TEXT" "$TEXT"`}, "two\nlines\ntwo\nlines\n"},
		{"by a child", "sh", []string{"sh", "-c", `sh -c 'cat "$TEXT"'; cat "$ABSENT"`}, "two\nlines\nx"},
		{"by a child without descriptors", "python3", []string{"python3", "-c", `import os, subprocess; subprocess.run(["cat", os.environ["TEXT"]], close_fds=True)`}, "two\nlines\n"},
		{"Python", "python3", []string{"python3", "-c", `import os; print(len(open(os.environ["BINARY"], "rb").read()))`}, "307200\n"},
		{"Node", "node", []string{"node", "-e", `console.log(require("fs").readFileSync(process.env.BINARY).length)`}, "307200\n"},
		{"by a child of Node", "node", []string{"node", "-e", `process.stdout.write(require("child_process").execFileSync("cat", [process.env.TEXT]))`}, "two\nlines\n"},
		{"OpenSSL", "openssl", []string{"sh", "-c", `openssl pkey -in "$KEY" -noout && echo ok`}, "ok\n"},
		{"modes", "stat", []string{"sh", "-c", `stat -Lc %a "$TEXT" "$SHARED"`}, "400\n444\n"},
		{"sealed", "sh", []string{"sh", "-c", `(echo x >>"$SHARED") 2>/dev/null || echo refused`}, "refused\n"},
		{"by nothing but its path", "sh", []string{"sh", "-c", `exec 3</dev/null 4>/dev/null 9>/dev/null; cat "$TEXT"`}, "two\nlines\n"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			tool(t, tt.tool)
			status, stdout, stderr := assExec(t, env, tt.command...)
			if status != 0 || stdout != tt.want || stderr != "" {
				t.Errorf("got status %d, %q, %q; want %q", status, stdout, stderr, tt.want)
			}
		})
	}
}

// A path that leads nowhere would be a secret that is missing.
func TestSecretFileWithoutItsProcIsAnError(t *testing.T) {
	needTool(t, exec.Command("unshare", "--pid", "--fork", "true").Run() == nil, "an unshare that works, for a PID namespace")
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/TEXT", "secret")
	env = append(env, "X=ass://a/TEXT?as=file")
	for _, args := range [][]string{nil, {"--init"}} {
		cmd := exec.Command("unshare", append([]string{"--pid", "--fork", filepath.Join(bin, "ass-exec")}, append(args, "echo", "started")...)...)
		cmd.Env = env
		out, _ := cmd.CombinedOutput()
		want := regexp.MustCompile(`^ass-exec: error: X: as=file: (stat /proc/\d+/fd/\d+: .*|/proc/\d+/fd/\d+ is a file of another process)
ass-exec: hint: as=file needs .* a /proc of its own PID namespace
$`)
		if status := cmd.ProcessState.ExitCode(); status != 78 || !want.Match(out) {
			t.Errorf("%q: got status %d, %s", args, status, out)
		}
	}
}

// The descriptors of the files come besides the inherited ones.
func TestSecretFilesTakeNoInheritedDescriptor(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/TEXT", "secret")
	script := `exec 3</etc/passwd 32</dev/zero; exec ass-exec sh -c 'readlink /proc/$$/fd/3 /proc/$$/fd/32; cat "$ONE" "$TWO"'`
	cmd := exec.Command("bash", "-c", script)
	cmd.Env = append(env, "PATH="+bin+":"+os.Getenv("PATH"), "ONE=ass://a/TEXT?as=file", "TWO=ass://a/TEXT?as=file")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(string(out), "\n")
	if len(lines) != 3 || lines[0] != "/etc/passwd" || lines[1] != "/dev/zero" || lines[2] != "secretsecret" {
		t.Errorf("got %q", lines)
	}
}

// A new version is filled in under the path that the command has.
func TestTemplateFileIsRenewedUnderItsPath(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/X", "one")
	mapping := mappingFile(t, "F=@"+mappingFile(t, "key=${ass://a/X};"))
	script := `trap 'cat $F; echo; exit 0' HUP; cat $F; echo; while :; do sleep 0.01; done`
	s := startStaying(t, append(env, "ASS_MAPPING="+mapping), "--watch=50ms", "--on-change=HUP", "sh", "-c", script)
	s.line("key=one;")
	v.Put("a/X", "two")
	s.line("key=two;")
	s.end(0, "ass-exec: warning: the secrets have changed: HUP\n")
}

// In exec mode and under --init the file is the command's own descriptor, under
// --watch that of its parent.
func TestFileGetsTheDescriptorItAsksFor(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/X", "one")
	mapping := mappingFile(t, "T=@"+mappingFile(t, "x=${ass://a/X}")+"?fd=64\n")
	env = append(env, "F=ass://a/X?as=file&fd=70", "G=ass://a/X?as=file", "ASS_MAPPING="+mapping)
	for mode, parent := range map[string]string{"--init=false": "$$", "--init": "$$", "--mask": "$$", "--watch=1h": "$PPID"} {
		script := `test "$F" = /proc/` + parent + `/fd/70 && test "$T" = /proc/` + parent + `/fd/64 && cat "$F" "$G" "$T"`
		status, stdout, stderr := assExec(t, env, mode, "sh", "-c", script)
		if status != 0 || stdout != "oneonex=one" || stderr != "" {
			t.Errorf("%s: got status %d, %q, %q", mode, status, stdout, stderr)
		}
	}
}

func TestDescriptorThatCannotBeHadIsAnError(t *testing.T) {
	const hint = "ass-exec: hint: take another number from 64 to 255, below the limit of open files (ulimit -n)\n"
	mapping := mappingFile(t, "A=a/X?as=file&fd=70\nB=@"+mappingFile(t, "${ass://a/X}")+"?fd=70\nC=a/X?as=file&fd=255\n")
	at := "ass-exec: error: " + mapping
	twice := at + ":2: B: fd=70 is already used by A (" + mapping + ":1)\n"
	for setup, want := range map[string]string{
		"true":               twice,
		"exec 255</dev/null": twice + at + ":3: C: fd=255 is open already\n",
		"ulimit -n 100":      twice + at + ":3: C: fd=255 is over the limit of 100 open files\n",
	} {
		cmd := exec.Command("bash", "-c", setup+"; exec ass-exec true")
		cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "ASS_AGENT_KEY=ass_any", "ASS_MAPPING=" + mapping}
		out, _ := cmd.CombinedOutput()
		if status := cmd.ProcessState.ExitCode(); status != 78 || string(out) != want+hint {
			t.Errorf("%s: got status %d\n%swant\n%s%s", setup, status, out, want, hint)
		}
	}
}

// An image can ship a link to the descriptor for a program that insists on a
// path; its children close what they do not know.
func TestLinkOfAnImageLeadsToTheFile(t *testing.T) {
	needTool(t, os.Getuid() == 0, "root, for a PID namespace")
	tool(t, "unshare")
	tool(t, "python3")
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/X", "secret")
	link := filepath.Join(t.TempDir(), ".npmrc")
	if err := os.Symlink("/proc/1/fd/70", link); err != nil {
		t.Fatal(err)
	}
	const script = `import subprocess, sys; subprocess.run(["cat", sys.argv[1]], close_fds=True)`
	for _, mode := range []string{"--init=false", "--watch=1h"} {
		cmd := exec.Command("unshare", "--pid", "--fork", "--mount-proc", filepath.Join(bin, "ass-exec"), mode, "python3", "-c", script, link)
		cmd.Env = append(env, "F=ass://a/X?as=file&fd=70")
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != "secret" {
			t.Errorf("%s: got %q, %v", mode, out, err)
		}
	}
}
