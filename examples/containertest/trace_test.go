//go:build container

package containertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// trace runs ass-exec, and true after it, under strace and returns the system
// calls of all threads.
func trace(t *testing.T, v *vault, status int, env ...string) (calls []string) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("no strace")
	}
	bin, err := filepath.Abs("../../bin/ass-exec")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// A file for each thread, because in one file they cut each other's lines.
	cmd := exec.Command("strace", "-ff", "-qq", "-v", "-s", "10000000", "-o", dir+"/trace", bin, "--", "/bin/true")
	cmd.Dir, cmd.Env = t.TempDir(), v.environ(env...)
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != status {
		t.Fatalf("got status %d, want %d: %s", cmd.ProcessState.ExitCode(), status, out)
	}
	threads, err := filepath.Glob(dir + "/trace.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		b, err := os.ReadFile(thread)
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, strings.Split(strings.TrimSpace(string(b)), "\n")...)
	}
	return calls
}

// with lists the calls that show some text.
func with(calls []string, text string) (names []string) {
	for _, call := range calls {
		if strings.Contains(call, text) {
			name, _, _ := strings.Cut(call, "(")
			names = append(names, name)
		}
	}
	return names
}

var opensForWriting = regexp.MustCompile(`^open(at2?)?\(.*O_(WRONLY|RDWR|CREAT|TMPFILE)|^(creat|mkdir|rename|link|symlink|truncate|mknod)(at2?)?\(`)

func TestTraceShowsASecretOnlyWhereItBelongs(t *testing.T) {
	for name, tc := range map[string]struct {
		env    []string
		status int
		want   map[string]string // the calls that show a secret
	}{
		"in the environment": {[]string{"A=ass://" + stripe, "B=x${ass://" + databaseURL + "}"}, 0, map[string]string{stripe: "execve", databaseURL: "execve"}},
		"as a file":          {[]string{"A=ass://" + tlsKey + "?as=file"}, 0, map[string]string{tlsKey: "write"}},
		"a namespace":        {[]string{"ASS_NAMESPACE=production/stripe"}, 0, map[string]string{stripe: "execve"}},
		"a secret missing":   {[]string{"A=ass://" + stripe, "B=ass://production/no/SUCH"}, 66, nil},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t)
			calls := trace(t, v, tc.status, tc.env...)
			for path, value := range v.secrets {
				if got := strings.Join(with(calls, value), " "); got != tc.want[path] {
					t.Errorf("%s: got it in %q, want it in %q", path, got, tc.want[path])
				}
			}
			if got := strings.Join(with(calls, v.AgentKey()), " "); got != "read" {
				t.Errorf("the agent key: got it in %q, want it in the read of its file alone", got)
			}
			if token := <-v.tokens; with(calls, token) != nil {
				t.Errorf("the token: got it in %q, want it nowhere", with(calls, token))
			}
			for _, call := range calls {
				if opensForWriting.MatchString(call) {
					t.Errorf("writes to a disk: %s", call)
				}
			}
		})
	}
}

func TestTraceOfAFileWritesIntoMemoryOnly(t *testing.T) {
	v := newVault(t)
	calls := trace(t, v, 0, "A=ass://"+tlsKey+"?as=file")
	created := regexp.MustCompile(`memfd_create\(.*\) = (\d+)`).FindStringSubmatch(strings.Join(calls, "\n"))
	if created == nil {
		t.Fatalf("no memfd was created: %s", strings.Join(calls, "\n"))
	}
	into := regexp.MustCompile(`write\(` + created[1] + `, "` + v.secrets[tlsKey])
	if !into.MatchString(strings.Join(calls, "\n")) {
		t.Errorf("the secret was not written into descriptor %s", created[1])
	}
}
