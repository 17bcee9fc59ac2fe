package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

// defaultPath is searched where the environment has no PATH, as a container
// engine's default.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// LookPath finds the file to execute as execvp does, which os/exec's LookPath
// does not: an empty element of PATH is the current directory, a file that
// cannot be executed does not end the search, and a name with a slash is taken
// as it is. env is the environment the command will have.
func LookPath(name string, env []string) (string, *exit.Error) {
	if name == "" {
		return "", notFoundError(name, "an empty command")
	}
	if strings.Contains(name, "/") {
		if err := checkExecutable(name, name); err != nil {
			return "", err
		}
		return name, nil
	}
	path, ok := LookupEnv(env, "PATH")
	if !ok {
		path = defaultPath
	}
	file, err := searchPath(name, path)
	switch {
	case file == "":
		return "", notFoundError(name, "not found in PATH="+path)
	case err != nil:
		return "", err
	}
	return file, nil
}

// LookSecretPath is LookPath where PATH is the value of a secret, which no
// message repeats; source says which.
func LookSecretPath(name string, env []string, source string) (string, *exit.Error) {
	path, ok := LookupEnv(env, "PATH")
	if !ok || name == "" || strings.Contains(name, "/") {
		return LookPath(name, env)
	}
	file, err := searchPath(name, path)
	switch {
	case file == "":
		return "", notFoundError(name, "not found in the PATH that "+source+" gives")
	case err != nil:
		return "", hide(err, file, name)
	}
	return file, nil
}

// hide has the message name a file as the user did, without its folder.
func hide(e *exit.Error, file, name string) *exit.Error {
	e.Msg = strings.ReplaceAll(e.Msg, file, name)
	return e
}

// searchPath returns the file to execute, or what was found first and why it
// cannot run, or nothing.
func searchPath(name, path string) (found string, why *exit.Error) {
	for _, dir := range strings.Split(path, ":") {
		if dir == "" {
			dir = "."
		}
		file := strings.TrimSuffix(dir, "/") + "/" + name
		err := checkExecutable(name, file)
		switch {
		case err == nil:
			return file, nil
		case errors.Is(err, fs.ErrNotExist):
		case why == nil:
			found, why = file, err
		}
	}
	return found, why
}

// checkExecutable tells early, before anything is fetched, what execve would say
// about the file.
func checkExecutable(name, file string) *exit.Error {
	info, err := os.Stat(file)
	if err == nil && info.IsDir() {
		return cannotRunError(name, file+" is a directory")
	}
	if err == nil && !info.Mode().IsRegular() {
		return cannotRunError(name, file+" is not a regular file") // and to open a FIFO may take for ever
	}
	if err == nil {
		err = unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS)
	}
	switch {
	case err == nil:
		return checkFormat(name, file)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		e := notFoundError(name, "no such file")
		e.Err = fs.ErrNotExist
		return e
	case errors.Is(err, fs.ErrPermission) && info != nil && info.Mode()&0o111 == 0:
		return cannotRunError(name, file+" is not executable (mode "+info.Mode().Perm().String()+")")
	default:
		return cannotRunError(name, file+": "+exit.Cause(err))
	}
}

// checkFormat finds the most common thing that makes execve answer "no such
// file" for a file that is there.
func checkFormat(name, file string) *exit.Error {
	if head := readHead(file, 256); bytes.HasPrefix(head, []byte("#!")) {
		return checkInterpreter(name, file, head)
	}
	return nil
}

func checkInterpreter(name, file string, head []byte) *exit.Error {
	line, _, _ := bytes.Cut(head[2:], []byte("\n"))
	interpreter, _, _ := strings.Cut(strings.TrimLeft(string(line), " \t"), " ")
	interpreter, _, _ = strings.Cut(interpreter, "\t")
	if _, err := os.Stat(interpreter); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	e := notFoundError(name, fmt.Sprintf("%s is there, but its #! line names %q, which is not", file, interpreter))
	e.Hint = "install the interpreter, or correct the first line of the script"
	if strings.HasSuffix(interpreter, "\r") {
		e.Hint = "the script has Windows line endings: convert it with dos2unix"
	}
	return e
}

// checkLoader finds the missing loader of a program. It is for after execve has
// failed: before, every start would pay for reading the program's headers.
func checkLoader(name, file string) *exit.Error {
	p, ok := readProgram(file)
	if !ok || p.loader == "" {
		return nil
	}
	if _, err := os.Stat(p.loader); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	e := notFoundError(name, fmt.Sprintf("%s is there, but its loader %s is not", file, p.loader))
	e.Hint = "the image lacks the C library the program was built for: glibc or musl"
	return e
}

func notFoundError(name, why string) *exit.Error {
	return &exit.Error{
		Code: exit.NoCommand, Msg: fmt.Sprintf("command %q: %s", name, why),
		Hint: "check the image's CMD, or the arguments after ass-exec",
	}
}

func cannotRunError(name, why string) *exit.Error {
	return &exit.Error{
		Code: exit.CannotRun, Msg: fmt.Sprintf("command %q cannot run: %s", name, why),
		Hint: "check the file's mode, owner and architecture",
	}
}
