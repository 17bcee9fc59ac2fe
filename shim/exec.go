package shim

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Exec replaces the process by the command. It returns only if that fails, and
// then an *Error.
func (c *Command) Exec() error {
	env, err := c.openFiles()
	if err != nil {
		return err
	}
	restoreSignals()
	// Never by a raw system call: this restores the limit of open files that
	// the Go runtime raised.
	errno := unix.Exec(c.Path, c.Argv, env)
	if errors.Is(errno, unix.ENOEXEC) && !isELF(c.Path) {
		// What execvp does with a script that has no #! line.
		argv := slices.Concat([]string{"/bin/sh", c.Path}, c.Argv[1:])
		errno = unix.Exec(argv[0], argv, env)
	}
	return c.execError(errno)
}

// openFiles puts the files into memory that the command inherits, and their
// paths into the environment.
func (c *Command) openFiles() ([]string, error) {
	env := slices.Clone(c.Env)
	for _, f := range c.Files {
		fd, err := newMemFile(f)
		if err != nil {
			return nil, fileError(f.Name, err)
		}
		env[f.Index] = fmt.Sprintf("%s=/proc/%d/fd/%d", f.Name, os.Getpid(), fd)
	}
	return env, nil
}

func isELF(path string) bool {
	f, err := elf.Open(path)
	if err == nil {
		f.Close()
	}
	return err == nil
}

// execError says what execve leaves unsaid.
func (c *Command) execError(err error) *Error {
	var e *Error
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		e = checkExecutable(c.Argv[0], c.Path)
		if e == nil {
			e = notFoundError(c.Argv[0], c.Path+" is there, but what runs it (its #! line or loader) is not")
		}
	case errors.Is(err, unix.E2BIG):
		e = tooLargeError(c.Env)
	case errors.Is(err, unix.ENOEXEC):
		e = cannotRunError(c.Argv[0], c.Path+" is no program for this machine"+machineOf(c.Path))
	default:
		e = cannotRunError(c.Argv[0], c.Path+": "+err.Error())
	}
	e.Err = err
	return e
}

func machineOf(path string) string {
	f, err := elf.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	return ": it is built for " + strings.ToLower(strings.TrimPrefix(f.Machine.String(), "EM_"))
}
