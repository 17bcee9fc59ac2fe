package process

import (
	"errors"
	"os"
	"regexp"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A /proc that shows other processes has files of the same names.
func TestFileThatProcShowsAnotherOfIsRefused(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := becoming(Command{Path: "/bin/sh", Argv: []string{"sh", "-c", "echo ran"}, Env: []string{"KEY"}, Files: []File{{Name: "KEY", Content: "k"}}})
	cmd.Path = "/bin/sh"
	cmd.Args = []string{"sh", "-c", `mount -t tmpfs none /proc && mkdir -p /proc/$$/fd && cd /proc/$$/fd &&
		i=0 && while [ $i -lt 300 ]; do : >$i; i=$((i+1)); done && exec "$0"`, self}
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	out, err := cmd.Output() // with -cover it warns on stderr
	needTool(t, !errors.Is(err, unix.EPERM), "CAP_SYS_ADMIN, for a mount namespace")
	if want := `^78 KEY: as=file: /proc/\d+/fd/\d+ is a file of another process\n$`; !regexp.MustCompile(want).Match(out) {
		t.Errorf("got %s, want %s", out, want)
	}
}

func TestNewContentLeavesNoDescriptorOpen(t *testing.T) {
	var open OpenFiles
	count := func() int {
		cmd := &Command{Env: []string{"KEY"}, Files: []File{{Name: "KEY", Content: "k"}}}
		if err := open.Open(cmd); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := count()
	defer func() { unix.Close(open.byName["KEY"]) }()
	if after := count(); after != before {
		t.Errorf("got %d descriptors, want %d", after, before)
	}
}
