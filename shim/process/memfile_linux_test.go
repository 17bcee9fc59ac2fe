package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

const hintMemFile = "as=file needs Linux with memfd_create, allowed by the seccomp profile, and a /proc of its own PID namespace"

// makeFile is newMemFile for a test that needs no error.
func makeFile(t *testing.T, f File, how int) (fd int) {
	t.Helper()
	fd, err := newMemFile(f, how)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func TestFileIsWholeAndSealed(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", 1<<16)
	fd := makeFile(t, File{Name: "KEY", Content: content, Mode: 0o440}, inherited)
	if fd < minFD {
		t.Errorf("got descriptor %d, want %d or more", fd, minFD)
	}
	// The descriptor itself is at the beginning, for a command that reads it.
	buf := make([]byte, 4)
	if n, err := unix.Read(fd, buf); err != nil || string(buf[:n]) != "0123" {
		t.Errorf("got %q, %v", buf[:n], err)
	}
	path := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd)
	if got, err := os.ReadFile(path); err != nil || string(got) != content {
		t.Errorf("got %d bytes, %v; want %d", len(got), err, len(content))
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o440 {
		t.Errorf("got mode %v, %v", info.Mode(), err)
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if got, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0); err != nil || got&seals != seals {
		t.Errorf("got seals %#x, %v", got, err)
	}
	for what, err := range map[string]error{
		"write":    func() error { _, err := unix.Write(fd, []byte("x")); return err }(),
		"truncate": unix.Ftruncate(fd, 0),
		"grow":     unix.Ftruncate(fd, int64(len(content))+1),
	} {
		if !errors.Is(err, unix.EPERM) {
			t.Errorf("%s: got %v, want %v", what, err, unix.EPERM)
		}
	}
}

func TestFileIsClosedAtExecWhereItIsNotInherited(t *testing.T) {
	for how, want := range map[int]int{inherited: 0, notInherited: unix.FD_CLOEXEC} {
		fd := makeFile(t, File{Name: "KEY"}, how)
		if got, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || got != want {
			t.Errorf("got flags %d, %v; want %d", got, err, want)
		}
	}
}

func TestFileThatFailsLeavesNoDescriptor(t *testing.T) {
	for _, tt := range []struct {
		claim string
		file  File
		spoil func(t *testing.T)
		want  error
	}{
		{"a name too long for memfd_create", File{Name: strings.Repeat("N", 250)}, func(*testing.T) {}, unix.EINVAL},
		{"no room", File{Name: "KEY", Content: "12345678"}, func(t *testing.T) { setLimit(t, unix.RLIMIT_FSIZE, 4) }, unix.EFBIG},
		{"no descriptor for the file", File{Name: "KEY"}, func(t *testing.T) { setLimit(t, unix.RLIMIT_NOFILE, uint64(lowestFree(t))) }, unix.EMFILE},
		{"no descriptor to pass on", File{Name: "KEY"}, func(t *testing.T) { setLimit(t, unix.RLIMIT_NOFILE, uint64(lowestFree(t))+1) }, unix.EMFILE},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			before := lowestFree(t)
			t.Run("", func(t *testing.T) {
				tt.spoil(t)
				if fd, err := newMemFile(tt.file, inherited); !errors.Is(err, tt.want) || fd != -1 {
					t.Errorf("got %d, %v; want -1, %v", fd, err, tt.want)
				}
			})
			if got := lowestFree(t); got != before {
				t.Errorf("%d is open", before)
			}
		})
	}
}

// lowestFree is the number that the next descriptor gets.
func lowestFree(t *testing.T) int {
	t.Helper()
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	return fd
}

func TestPathOfADescriptorIsChecked(t *testing.T) {
	if err := checkPath(makeFile(t, File{Name: "KEY"}, inherited)); err != nil {
		t.Errorf("got %v of an open file", err)
	}
	if err := checkPath(1 << 20); !errors.Is(err, unix.EBADF) {
		t.Errorf("got %v of no descriptor", err)
	}
}

func TestDescriptorsStayOutOfTheWay(t *testing.T) {
	check := func(lowest, highest int) {
		t.Helper()
		fd, err := DupInherited(0)
		if err != nil || fd < lowest || fd > highest {
			t.Fatalf("got %d, %v; want %d to %d", fd, err, lowest, highest)
		}
		defer unix.Close(fd)
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags != 0 {
			t.Errorf("got flags %d, %v: it is closed at an exec", flags, err)
		}
	}
	check(minFD, minFD)
	setLimit(t, unix.RLIMIT_NOFILE, minFD) // which is the first that fails
	check(3, minFD)
	if fd, err := DupInherited(1 << 20); !errors.Is(err, unix.EBADF) {
		t.Errorf("got %d, %v of no descriptor", fd, err)
	}
}

func TestFileThatIsOpenKeepsItsPath(t *testing.T) {
	var open OpenFiles
	start := func(content string) string {
		t.Helper()
		cmd := &Command{Env: []string{"A=1", "KEY", "CERT"}, Files: []File{
			{Name: "KEY", Content: content, Mode: 0o400, Index: 1},
			{Name: "CERT", Content: "cert", Mode: 0o444, Index: 2},
		}}
		if err := open.Open(cmd); err != nil {
			t.Fatal(err)
		}
		return strings.Join(cmd.Env, " ")
	}
	before := start("old")
	defer func() {
		for _, fd := range open.byName {
			unix.Close(fd)
		}
	}()
	if want := fmt.Sprintf("A=1 KEY=/proc/%[1]d/fd/%[2]d CERT=/proc/%[1]d/fd/%[3]d", os.Getpid(), open.byName["KEY"], open.byName["CERT"]); before != want {
		t.Errorf("got  %s\nwant %s", before, want)
	}
	spare := lowestFree(t)
	if after := start("new"); after != before {
		t.Errorf("got  %s\nwant %s", after, before)
	}
	if got := lowestFree(t); got != spare {
		t.Errorf("%d is open", spare)
	}
	for name, want := range map[string]string{"KEY": "new", "CERT": "cert"} {
		if got, err := os.ReadFile(descriptorPath(open.byName[name])); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
		if flags, err := unix.FcntlInt(uintptr(open.byName[name]), unix.F_GETFD, 0); err != nil || flags != unix.FD_CLOEXEC {
			t.Errorf("%s: got flags %d, %v: the command inherits it", name, flags, err)
		}
	}
}

func TestFileThatCannotBeMadeNamesItsVariable(t *testing.T) {
	name := strings.Repeat("N", 250)
	cmd := &Command{Env: []string{name}, Files: []File{{Name: name}}}
	for what, err := range map[string]error{"Open": new(OpenFiles).Open(cmd), "Exec": execHere(cmd)} {
		var e *exit.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: got %v", what, err)
			continue
		}
		checkError(t, e, exit.Error{Code: exit.Config, Msg: name + ": as=file: invalid argument", Hint: hintMemFile})
		if !errors.Is(e, syscall.EINVAL) {
			t.Errorf("%s: got %v as cause", what, e.Err)
		}
	}
}

func TestHintForAFileNamesTheLimitThatIsReached(t *testing.T) {
	for err, want := range map[syscall.Errno]string{
		syscall.EMFILE: "raise the limit of open files (ulimit -n): a file in memory is open as long as the command runs",
		syscall.EFBIG:  "raise the limit of the size of files (ulimit -f)",
		syscall.EPERM:  hintMemFile,
	} {
		checkError(t, fileError("KEY", os.NewSyscallError("x", err)), exit.Error{Code: exit.Config, Msg: "KEY: as=file: x: " + err.Error(), Hint: want})
	}
}

// One that cannot be put under its number leaves the one before.
func TestFileThatCannotBeReplacedIsAnError(t *testing.T) {
	open := OpenFiles{byName: map[string]int{"KEY": -1}}
	cmd := &Command{Env: []string{"KEY"}, Files: []File{{Name: "KEY"}}}
	var e *exit.Error
	if err := open.Open(cmd); !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	checkError(t, e, exit.Error{Code: exit.Config, Msg: "KEY: as=file: bad file descriptor", Hint: hintMemFile})
}

func TestFileOfAnotherProcessIsRefused(t *testing.T) {
	cmd := becoming(Command{Path: "/bin/sh", Argv: []string{"sh", "-c", "echo ran"}, Env: []string{"KEY"}, Files: []File{{Name: "KEY", Content: "k"}}})
	// A new PID namespace below this /proc: the child is 1, as is somebody else.
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, fs.ErrPermission) {
		needTool(t, false, "root, for a PID namespace")
	}
	got := string(out)
	other := strings.HasPrefix(got, "78 KEY: as=file: /proc/1/fd/32 is a file of another process\n")
	none := strings.HasPrefix(got, "78 KEY: as=file: stat /proc/1/fd/32: ")
	if !other && !none {
		t.Errorf("got %s, %v", got, err)
	}
}
