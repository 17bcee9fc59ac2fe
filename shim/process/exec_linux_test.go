package process

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

// The test binary is also the process that becomes a command.
func TestMain(m *testing.M) {
	if text := os.Getenv("COMMAND"); text != "" {
		var cmd Command
		if err := json.Unmarshal([]byte(text), &cmd); err != nil {
			panic(err)
		}
		runtime.LockOSThread() // and so the exec is another thread's
		err := execHere(&cmd)
		var e *exit.Error
		errors.As(err, &e)
		fmt.Println(int(e.Code), e.Msg)
		os.Exit(int(e.Code))
	}
	if text := os.Getenv("AT_TERMINAL"); text != "" {
		atTerminal(text)
		return
	}
	_ = unix.Setpgid(0, 0) // what is tested kills process groups: not that of who runs the tests
	os.Exit(m.Run())
}

// becoming is a process that becomes cmd, or says why not.
func becoming(cmd Command) *exec.Cmd {
	text, err := json.Marshal(cmd)
	if err != nil {
		panic(err)
	}
	self := exec.Command("/proc/self/exe")
	self.Env = []string{"COMMAND=" + string(text)}
	return self
}

// needTool skips a test that lacks something, unless in CI.
func needTool(t *testing.T, ok bool, what string) {
	t.Helper()
	switch {
	case ok:
	case os.Getenv("CI") != "":
		t.Fatalf("CI requires %s", what)
	default:
		t.Skipf("needs %s", what)
	}
}

// execHere has a thread of its own fail to execute a command, since that
// changes the thread's signals.
func execHere(cmd *Command) error {
	failed := make(chan error)
	go func() { failed <- cmd.Exec() }()
	return <-failed
}

func TestExecBecomesTheCommand(t *testing.T) {
	const script = `echo $$; echo "$0 $1"; env; cat "$KEY"; stat -Lc " %a" "$KEY"`
	self := becoming(Command{
		Path: "/bin/sh", Argv: []string{"given", "-c", script, "zero", "one"},
		Env:   []string{"PATH=/usr/bin:/bin", "KEY", "A=a b", "PWD=/"},
		Files: []File{{Name: "KEY", Content: "content", Mode: 0o440, Index: 1}},
	})
	self.Dir = "/"
	out, err := self.Output()
	if err != nil {
		t.Fatal(err)
	}
	pid := self.Process.Pid
	lines := strings.Split(string(out), "\n")
	if len(lines) < 4 || lines[0] != strconv.Itoa(pid) || lines[1] != "zero one" {
		t.Fatalf("got %q", out)
	}
	env := slices.DeleteFunc(slices.Sorted(slices.Values(lines[2:len(lines)-2])), func(kv string) bool {
		return strings.HasPrefix(kv, "_=") || strings.HasPrefix(kv, "OLDPWD") || strings.HasPrefix(kv, "SHLVL") // the shell's own
	})
	if want := []string{"A=a b", fmt.Sprintf("KEY=/proc/%d/fd/32", pid), "PATH=/usr/bin:/bin", "PWD=/"}; !slices.Equal(env, want) {
		t.Errorf("got %q, want %q", env, want)
	}
	if got, want := lines[len(lines)-2], "content 440"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestExecKeepsTheSignalOfTheParentsDeath(t *testing.T) {
	setpriv, err := exec.LookPath("setpriv")
	needTool(t, err == nil, "setpriv of util-linux")
	for _, want := range []string{"[none]", "KILL", "USR1"} {
		self := becoming(Command{Path: setpriv, Argv: []string{"setpriv", "--dump"}})
		if want != "[none]" {
			self.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SignalNum("SIG" + want)}
		}
		runtime.LockOSThread() // the parent is a thread
		out, err := self.CombinedOutput()
		runtime.UnlockOSThread()
		_, got, _ := strings.Cut(string(out), "Parent death signal: ")
		if got, _, _ = strings.Cut(got, "\n"); err != nil || got != want {
			t.Errorf("got %q, want %q: %v: %s", got, want, err, out)
		}
	}
}

func TestExecThatFailsLeavesTheCommandAsItIs(t *testing.T) {
	cmd := &Command{Path: "/nowhere/tool", Argv: []string{"tool"}, Env: []string{"KEY"}, Files: []File{{Name: "KEY"}}}
	fd := makeFile(t, File{}, notInherited)
	unix.Close(fd) // the number that the file gets
	if err := execHere(cmd); err == nil {
		t.Error("got no error")
	}
	if unix.Close(fd); cmd.Env[0] != "KEY" {
		t.Errorf("got %q", cmd.Env)
	}
}

func TestScriptWithoutInterpreterIsRunByTheShell(t *testing.T) {
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("echo \"$0 $1 $A\"\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := becoming(Command{Path: path, Argv: []string{"script", "one"}, Env: []string{"A=a"}}).Output()
	var status *exec.ExitError
	if !errors.As(err, &status) || status.ExitCode() != 3 {
		t.Errorf("got %v", err)
	}
	if got, want := string(out), path+" one a\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOnlyTextWithoutInterpreterGoesToTheShell(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		claim, content string
		shell          bool
	}{
		{"text", "echo\n", true},
		{"nothing", "", true},
		{"a NUL at the end of the head", strings.Repeat("#", 127) + "\x00", false},
		{"a NUL after the head", strings.Repeat("#", 128) + "\x00", true},
		{"an interpreter", "#!/bin/sh\n", false},
		{"a program", "\x7fELF\x02\x00", false},
	} {
		path := filepath.Join(dir, tt.claim)
		if err := os.WriteFile(path, []byte(tt.content), 0o700); err != nil {
			t.Fatal(err)
		}
		cmd := Command{Path: path, Argv: []string{"name", "a", "b"}, Env: []string{"E=e"}}
		want := Command{Path: path, Argv: []string{"name", "a", "b"}, Env: []string{"E=e"}}
		if tt.shell {
			want.Path, want.Argv = "/bin/sh", []string{"/bin/sh", path, "a", "b"}
		}
		got := cmd.ByShell()
		if got.Path != want.Path || !slices.Equal(got.Argv, want.Argv) || !slices.Equal(got.Env, want.Env) {
			t.Errorf("%s: got %+v, want %+v", tt.claim, got, want)
		}
	}
	missing := Command{Path: dir + "/missing", Argv: []string{"name"}}
	if got := missing.ByShell(); got.Path != missing.Path {
		t.Errorf("missing: got %+v", got)
	}
}

const hintLook, hintRun = "check the image's CMD, or the arguments after ass-exec", "check the file's mode, owner and architecture"

// execFailure is what Exec says of a file, and the error of execve it stands for.
type execFailure struct {
	claim, path string
	want        exit.Error
	cause       error
}

func checkExecFailures(t *testing.T, env []string, failures []execFailure) {
	t.Helper()
	for _, tt := range failures {
		t.Run(tt.claim, func(t *testing.T) {
			cmd := &Command{Path: tt.path, Argv: []string{"name"}, Env: env}
			var e *exit.Error
			if err := execHere(cmd); !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			checkError(t, e, tt.want)
			if !errors.Is(e, tt.cause) {
				t.Errorf("got %v as cause, want %v", e.Err, tt.cause)
			}
			cmd.SecretPath = true
			if e := cmd.Failure(tt.cause); strings.Contains(e.Msg, tt.path) {
				t.Errorf("a PATH that is secret: got %s", e.Msg)
			}
		})
	}
}

// commandFile makes a file to execute, in a folder of its own.
func commandFile(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExecNamesWhatIsMissing(t *testing.T) {
	noLoader := elfFile(t, elf.ELFCLASS64, binary.LittleEndian, hostMachine(t), "/lib/ld-nowhere.so.1")
	script := commandFile(t, "#!/no/such/interpreter\n", 0o700)
	chain := commandFile(t, "#!"+script+"\n", 0o700)
	checkExecFailures(t, nil, []execFailure{
		{"the file", script + "-none", exit.Error{Code: 127, Msg: `command "name": no such file`, Hint: hintLook}, unix.ENOENT},
		{"its folder", script + "/none", exit.Error{Code: 127, Msg: `command "name": no such file`, Hint: hintLook}, unix.ENOTDIR},
		{"its interpreter", script, exit.Error{
			Code: 127, Msg: `command "name": ` + script + ` is there, but its #! line names "/no/such/interpreter", which is not`,
			Hint: "install the interpreter, or correct the first line of the script",
		}, unix.ENOENT},
		{"the interpreter of its interpreter", chain, exit.Error{
			Code: 127, Msg: `command "name": ` + chain + ` is there, but what runs it (its #! line or loader) is not`, Hint: hintLook,
		}, unix.ENOENT},
		{"its loader", noLoader, exit.Error{
			Code: 127, Msg: `command "name": ` + noLoader + ` is there, but its loader /lib/ld-nowhere.so.1 is not`,
			Hint: "the image lacks the C library the program was built for: glibc or musl",
		}, unix.ENOENT},
	})
}

func TestExecSaysWhyAFileCannotRun(t *testing.T) {
	other := elfFile(t, elf.ELFCLASS64, binary.BigEndian, elf.EM_S390, "/lib/ld.so")
	data := commandFile(t, "\x00\x01", 0o700)
	closed := commandFile(t, "#!/bin/sh\n", 0o600)
	checkExecFailures(t, nil, []execFailure{
		{"another machine", other, exit.Error{
			Code: 126, Msg: `command "name" cannot run: ` + other + ` is not an executable for this CPU: it is built for s390`, Hint: hintRun,
		}, unix.ENOEXEC},
		{"data", data, exit.Error{Code: 126, Msg: `command "name" cannot run: ` + data + ` is not an executable for this CPU`, Hint: hintRun}, unix.ENOEXEC},
		{"not executable", closed, exit.Error{Code: 126, Msg: `command "name" cannot run: ` + closed + `: permission denied`, Hint: hintRun}, unix.EACCES},
	})
}

func TestExecNamesTheLargestVariable(t *testing.T) {
	checkExecFailures(t, []string{"A=1", "B=" + strings.Repeat("x", 128<<10)}, []execFailure{
		{"too large", "/bin/sh", exit.Error{
			Code: 65, Msg: "the environment and arguments are too large for the kernel (2 variables, the largest B with 131074 bytes)",
			Hint: "map large secrets with ?as=file, so that their variables name files in memory",
		}, unix.E2BIG},
	})
}

// hostMachine is what a program for this machine has in its headers.
func hostMachine(t *testing.T) elf.Machine {
	t.Helper()
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	needTool(t, f.Class == elf.ELFCLASS64 && f.ByteOrder == binary.LittleEndian, "64 bits, little endian")
	return f.Machine
}

func TestNameOfASecretPathIsTheUsers(t *testing.T) {
	cmd := Command{Path: "/secret/tool", Argv: []string{"tool"}}
	if got, want := cmd.Name(), "/secret/tool"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	cmd.SecretPath = true
	if got, want := cmd.Name(), "tool"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The Go runtime raises the limit of open files.
func TestExecGivesLimitsBack(t *testing.T) {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
		t.Fatal(err)
	}
	self := becoming(Command{Path: "/bin/sh", Argv: []string{"sh", "-c", "ulimit -n"}})
	self.Path, self.Args = "/bin/sh", []string{"sh", "-c", "ulimit -S -n 200 && exec /proc/" + strconv.Itoa(os.Getpid()) + "/exe"}
	out, err := self.CombinedOutput()
	if got := string(bytes.TrimSpace(out)); err != nil || got != "200" {
		t.Errorf("got %s, %v; want 200", got, err)
	}
}
