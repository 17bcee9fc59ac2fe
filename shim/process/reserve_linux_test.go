package process

import (
	"testing"

	"golang.org/x/sys/unix"
)

func closedAtExec(fd int) (bool, error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return flags&unix.FD_CLOEXEC != 0, err
}

func TestReservedDescriptorIsTakenByItsFileAlone(t *testing.T) {
	for how, closed := range map[int]bool{inherited: false, notInherited: true} {
		const fd = 200
		if err := Reserve(fd); err != nil {
			t.Fatal(err)
		}
		if got, err := closedAtExec(fd); err != nil || !got {
			t.Errorf("reserved: got %v, %v: the command inherits it", got, err)
		}
		if err := Reserve(fd); err == nil || err.Error() != "is open already" {
			t.Errorf("a second time: got %v", err)
		}
		got, err := newMemFile(File{Name: "KEY", FD: fd}, how)
		if err != nil || got != fd {
			t.Fatalf("got %d, %v; want %d", got, err, fd)
		}
		if got, err := closedAtExec(fd); err != nil || got != closed {
			t.Errorf("file: got %v, %v; want %v", got, err, closed)
		}
		unix.Close(fd)
	}
}

func TestLowestFreeDescriptorIsReservedToo(t *testing.T) {
	fd := lowestFree(t)
	if err := Reserve(fd); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := closedAtExec(fd); err != nil {
		t.Errorf("got %v of what is reserved", err)
	}
}

func TestReserveOverTheLimitSaysTheLimit(t *testing.T) {
	setLimit(t, unix.RLIMIT_NOFILE, 100)
	if err := Reserve(100); err == nil || err.Error() != "is over the limit of 100 open files" {
		t.Errorf("got %v", err)
	}
}
