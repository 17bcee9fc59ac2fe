package process

import (
	"errors"

	"golang.org/x/sys/unix"
)

// FirstDescriptor is above what shell scripts use by number, so that their
// `exec 3>&1` does not close a secret, and what a service manager passes on.
const FirstDescriptor = 64

// LastDescriptor is the highest number that a mapping can ask for.
const LastDescriptor = 255

// How a descriptor is made: open over execve, or not.
const (
	inherited    = unix.F_DUPFD
	notInherited = unix.F_DUPFD_CLOEXEC
)

// DupInherited duplicates a descriptor to a number that a child inherits and
// that is in nobody's way.
func DupInherited(fd int) (int, error) { return dup(fd, inherited, LastDescriptor+1) }

func dup(fd, how, from int) (int, error) {
	n, err := unix.FcntlInt(uintptr(fd), how, from)
	if errors.Is(err, unix.EINVAL) { // the hard limit of open files is lower
		n, err = unix.FcntlInt(uintptr(fd), how, 3)
	}
	return n, err
}
