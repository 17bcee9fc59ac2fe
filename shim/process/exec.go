package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

// Exec replaces the process by the command. It returns only if that fails, and
// then an [exit.Error].
func (c *Command) Exec() error {
	env := slices.Clone(c.Env)
	for _, f := range c.Files {
		fd, err := newMemFile(f, inherited)
		if err != nil {
			return fileError(f.Name, err)
		}
		env[f.Index] = f.assign(fd)
	}
	restoreSignals()
	restoreParentDeath()
	// Never by a raw system call: this restores the limit of open files that
	// the Go runtime raised.
	err := unix.Exec(c.Path, c.Argv, env)
	if errors.Is(err, unix.ENOEXEC) {
		shell := c.ByShell()
		err = unix.Exec(shell.Path, shell.Argv, env)
	}
	return c.Failure(err)
}

// ByShell returns the command that execvp would run in place of a script that
// does not name its interpreter, and any other command as it is.
func (c *Command) ByShell() Command {
	cmd := *c
	head := readHead(c.Path, 128)
	if text := !bytes.Contains(head, []byte{0}); text && !bytes.HasPrefix(head, []byte("#!")) {
		cmd.Path, cmd.Argv = "/bin/sh", slices.Concat([]string{"/bin/sh", c.Path}, c.Argv[1:])
	}
	return cmd
}

// readHead is the beginning of a file, at most size bytes: a NUL if it cannot be
// read, which is no reason for execve not to run it.
func readHead(path string, size int) []byte {
	f, err := os.Open(path)
	if err != nil {
		return []byte{0}
	}
	defer f.Close()
	head := make([]byte, size)
	n, _ := io.ReadFull(f, head)
	return head[:n]
}

// assign is the variable of a file that is open here.
func (f File) assign(fd int) string {
	return f.Name + "=" + descriptorPath(fd)
}

// descriptorPath is where the command and its children find a descriptor of
// this process, which the command will be or have as its parent.
func descriptorPath(fd int) string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd)
}

// OpenFiles keeps the files of a command open in a process that stays. The zero
// value holds none.
type OpenFiles struct {
	byName map[string]int
}

// Open makes the files of c and puts their paths into its environment. A file
// that was open before keeps its path, and shows the new content.
func (o *OpenFiles) Open(c *Command) error {
	if o.byName == nil {
		o.byName = make(map[string]int)
	}
	for _, f := range c.Files {
		fd, err := newMemFile(f, notInherited)
		if err != nil {
			return fileError(f.Name, err)
		}
		if open, ok := o.byName[f.Name]; ok && open != fd {
			if err := replaceFile(open, fd); err != nil {
				return fileError(f.Name, err)
			}
			fd = open
		}
		o.byName[f.Name] = fd
		c.Env[f.Index] = f.assign(fd)
	}
	return nil
}

// Failure says why execve failed with err, which alone often does not tell.
func (c *Command) Failure(err error) *exit.Error {
	var e *exit.Error
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		if e = checkExecutable(c.Argv[0], c.Path); e == nil {
			e = checkLoader(c.Argv[0], c.Path)
		}
		if e == nil {
			e = notFoundError(c.Argv[0], c.Path+" is there, but what runs it (its #! line or loader) is not")
		}
	case errors.Is(err, unix.E2BIG):
		e = tooLargeError(c.Env)
	case errors.Is(err, unix.ENOEXEC):
		e = cannotRunError(c.Argv[0], c.Path+" is not an executable for this CPU"+machineName(c.Path))
	default:
		e = cannotRunError(c.Argv[0], c.Path+": "+err.Error())
	}
	e.Err = err
	if c.SecretPath {
		e = hide(e, c.Path, c.Name())
	}
	return e
}

// Name is what messages and reports call the file to execute.
func (c *Command) Name() string {
	if c.SecretPath {
		return c.Argv[0]
	}
	return c.Path
}

func machineName(path string) string {
	p, ok := readProgram(path)
	if !ok {
		return ""
	}
	return ": it is built for " + p.machine
}
