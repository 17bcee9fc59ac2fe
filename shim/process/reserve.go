package process

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Reserve keeps the number of a descriptor free for a File. It must be called
// before anything is open that could have it by chance.
func Reserve(fd int) error {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
		return errors.New("is open already")
	}
	root, err := unix.Open("/", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil || root == fd {
		return err
	}
	defer unix.Close(root)
	_, err = unix.FcntlInt(uintptr(root), notInherited, fd)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EMFILE) {
		var files unix.Rlimit
		_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &files)
		return fmt.Errorf("is over the limit of %d open files", files.Cur)
	}
	return err
}
