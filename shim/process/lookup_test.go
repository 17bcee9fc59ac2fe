package process

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

// tree makes the files of the lookup cases and returns their folder.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range []struct {
		name, content string
		mode          os.FileMode
	}{
		{"one/tool", "#!/bin/sh\n", 0o644},
		{"two/tool", "#!/bin/sh\n", 0o755},
		{"two/bare", "exit 3\n", 0o755},
		{"two/empty", "", 0o755},
		{"two/gone", "#!/no/such/interpreter -x\n", 0o755},
		{"two/crlf", "#!/bin/sh\r\n", 0o755},
		{"two/only", "#!/bin/sh\n", 0o600},
	} {
		name := filepath.Join(dir, f.name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(f.content), f.mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "two/folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", filepath.Join(dir, "two/loop")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLookupFollowsExecvp(t *testing.T) {
	dir := tree(t)
	t.Chdir(filepath.Join(dir, "two"))
	both := "PATH=" + dir + "/one:" + dir + "/two"
	for _, tt := range []struct {
		claim, name, env, path string
		code                   exit.Code
		msg                    string
	}{
		{"not in PATH", "nope", "PATH=/no:/where", "", 127, `command "nope": not found in PATH=/no:/where`},
		{"no such path", "/nope", both, "", 127, `command "/nope": no such file`},
		{"empty name", "", both, "", 127, `command "": an empty command`},
		{"directory by path", dir + "/two/folder", both, "", 126, `command "` + dir + `/two/folder" cannot run: ` + dir + `/two/folder is a directory`},
		{"directory in PATH", "folder", both, "", 126, `command "folder" cannot run: ` + dir + `/two/folder is a directory`},
		{"not executable by path", "./only", both, "", 126, `command "./only" cannot run: ./only is not executable (mode -rw-------)`},
		{"not executable in PATH", "only", both, "", 126, `command "only" cannot run: ` + dir + `/two/only is not executable (mode -rw-------)`},
		{"not executable first, executable second", "tool", both, dir + "/two/tool", 0, ""},
		{"script without #!", "bare", both, dir + "/two/bare", 0, ""},
		{"empty file", "empty", both, dir + "/two/empty", 0, ""},
		{"missing interpreter", "gone", both, "", 127, `command "gone": ` + dir + `/two/gone is there, but its #! line names "/no/such/interpreter", which is not`},
		{"interpreter with a carriage return", "crlf", both, "", 127, `command "crlf": ` + dir + `/two/crlf is there, but its #! line names "/bin/sh\r", which is not`},
		{"a file in the place of a folder", dir + "/two/tool/x", both, "", 127, `command "` + dir + `/two/tool/x": no such file`},
		{"symlink loop", dir + "/two/loop", both, "", 126, `command "` + dir + `/two/loop" cannot run: ` + dir + `/two/loop: too many levels of symbolic links`},
		{"dot in PATH", "tool", "PATH=.", "./tool", 0, ""},
		{"empty element in PATH", "tool", "PATH=/no:", "./tool", 0, ""},
		{"empty PATH is the current folder", "tool", "PATH=", "./tool", 0, ""},
		{"relative path", "../two/tool", both, "../two/tool", 0, ""},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			path, err := LookPath(tt.name, []string{tt.env})
			if tt.code == 0 {
				if err != nil || path != tt.path {
					t.Errorf("got %q, %v; want %q", path, err, tt.path)
				}
				return
			}
			if err == nil || err.Code != tt.code || err.Msg != tt.msg {
				t.Errorf("got %+v\nwant %d %s", err, tt.code, tt.msg)
			}
		})
	}
}

// A PATH that was fetched is a secret's value.
func TestLookupPrintsNoPathThatWasFetched(t *testing.T) {
	dir := tree(t)
	for _, tt := range []struct{ name, msg string }{
		{"nope", `command "nope": not found in the PATH that a/PATH gives`},
		{"folder", `command "folder" cannot run: folder is a directory`},
		{"only", `command "only" cannot run: only is not executable (mode -rw-------)`},
		{"gone", `command "gone": gone is there, but its #! line names "/no/such/interpreter", which is not`},
		{"loop", `command "loop" cannot run: loop: too many levels of symbolic links`},
		{dir + "/nope", `command "` + dir + `/nope": no such file`},
	} {
		if path, err := LookSecretPath(tt.name, []string{"PATH=/no:" + dir + "/two"}, "a/PATH"); err == nil || err.Msg != tt.msg || path != "" {
			t.Errorf("got %q, %v; want %s", path, err, tt.msg)
		}
	}
	cmd := Command{Path: dir + "/two/tool", Argv: []string{"tool"}, SecretPath: true}
	for _, err := range []error{syscall.ENOENT, syscall.ENOEXEC, syscall.EACCES} {
		if got := cmd.Failure(err); strings.Contains(got.Msg, dir) {
			t.Errorf("got %s", got.Msg)
		}
	}
}

func TestLookupHasADefaultWithoutPATH(t *testing.T) {
	path, err := LookPath("sh", nil)
	if err != nil || filepath.Base(path) != "sh" {
		t.Errorf("got %q, %v", path, err)
	}
}
