package process

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// newMemFile makes a file in memory, sealed against every change, and returns
// its descriptor.
func newMemFile(f File, how int) (fd int, err error) {
	flags := unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err = unix.MemfdCreate(f.Name, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate(f.Name, flags)
	}
	if err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	for rest := []byte(f.Content); len(rest) > 0; {
		n, err := unix.Write(fd, rest)
		if err != nil {
			return -1, err
		}
		rest = rest[n:]
	}
	// Fresh ones have mode 0777, which programs that read keys refuse.
	if err := unix.Fchmod(fd, uint32(f.Mode)); err != nil {
		return -1, err
	}
	seals := unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return -1, err
	}
	if _, err := unix.Seek(fd, 0, 0); err != nil {
		return -1, err
	}
	passed, err := renumber(fd, how, f.FD)
	if err != nil {
		return -1, err
	}
	return passed, checkPath(passed)
}

// renumber duplicates a descriptor to the number that is reserved for it, if
// there is one, or to a free one.
func renumber(fd, how, reserved int) (int, error) {
	if reserved == 0 {
		return dup(fd, how)
	}
	flags := 0
	if how == notInherited {
		flags = unix.O_CLOEXEC
	}
	return reserved, unix.Dup3(fd, reserved, flags)
}

// checkPath makes sure that the path of a descriptor leads to its file: /proc
// may not be mounted, or show another PID namespace.
func checkPath(fd int) error {
	var file, found unix.Stat_t
	if err := unix.Fstat(fd, &file); err != nil {
		return err
	}
	path := descriptorPath(fd)
	if err := unix.Stat(path, &found); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if found.Dev != file.Dev || found.Ino != file.Ino {
		return fmt.Errorf("%s is a file of another process", path)
	}
	return nil
}

// replaceFile puts the file of descriptor fresh under the number of another.
func replaceFile(old, fresh int) error {
	defer unix.Close(fresh)
	return unix.Dup3(fresh, old, unix.O_CLOEXEC)
}
