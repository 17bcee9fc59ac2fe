package process

import (
	"errors"

	"golang.org/x/sys/unix"
)

// minFD is above what shell scripts use by number, so that their `exec 3>&1`
// does not close a secret, and above what a service manager passes on. It is
// below 64: for a higher one the kernel enlarges the table of a process with
// threads, which waits for all processors and takes 5 to 20 ms.
const minFD = 32

// How a descriptor is made: open over execve, or not.
const (
	inherited    = unix.F_DUPFD
	notInherited = unix.F_DUPFD_CLOEXEC
)

// DupInherited duplicates a descriptor to a number that a child inherits and
// that is in nobody's way.
func DupInherited(fd int) (int, error) { return dup(fd, inherited) }

func dup(fd, how int) (int, error) {
	n, err := unix.FcntlInt(uintptr(fd), how, minFD)
	if errors.Is(err, unix.EINVAL) { // the hard limit of open files is lower
		n, err = unix.FcntlInt(uintptr(fd), how, 3)
	}
	return n, err
}
