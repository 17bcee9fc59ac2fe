package process

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

// maxString is what the kernel takes for one argument or variable, its final
// NUL included.
const maxString = 128 << 10 // bytes

// CheckVariable refuses what execve would refuse without a name.
func CheckVariable(name, value, origin string) *exit.Error {
	switch {
	case strings.Contains(value, "\x00"):
		return &exit.Error{
			Code: exit.Data, Msg: fmt.Sprintf("%s: %s: the value holds a NUL byte, which no variable can", origin, name),
			Hint: "map it with ?as=file, so that the variable names a file in memory",
		}
	case len(name)+1+len(value)+1 > maxString:
		return &exit.Error{
			Code: exit.Data, Msg: fmt.Sprintf("%s: %s: the value is too large for a variable: %d bytes, where %d fit", origin, name, len(value), maxString-len(name)-2),
			Hint: "map it with ?as=file, so that the variable names a file in memory: then there is no limit but the API's 1 MiB",
		}
	}
	return nil
}

// CheckTotal refuses arguments and an environment that together are more than
// execve takes.
func CheckTotal(path string, argv, env []string, limit int) *exit.Error {
	total := len(path) + 1
	for _, list := range [][]string{argv, env} {
		for _, s := range list {
			total += len(s) + 1 + 8 // with its pointer
		}
	}
	if total <= limit {
		return nil
	}
	e := tooLargeError(env)
	e.Msg += fmt.Sprintf(": %d bytes, where the stack limit allows %d", total, limit)
	return e
}

func tooLargeError(env []string) *exit.Error {
	largest := ""
	for _, kv := range env {
		if len(kv) > len(largest) {
			largest = kv
		}
	}
	name, _, _ := strings.Cut(largest, "=")
	return &exit.Error{
		Code: exit.Data, Msg: fmt.Sprintf("the environment and arguments are too large for the kernel (%d variables, the largest %s with %d bytes)", len(env), name, len(largest)),
		Hint: "map large secrets with ?as=file, so that their variables name files in memory",
	}
}

func fileError(name string, err error) *exit.Error {
	e := &exit.Error{
		Code: exit.Config, Msg: fmt.Sprintf("%s: as=file: %v", name, err), Err: err,
		Hint: "as=file needs Linux with memfd_create, allowed by the seccomp profile, and a /proc of its own PID namespace",
	}
	switch {
	case errors.Is(err, syscall.EMFILE):
		e.Hint = "raise the limit of open files (ulimit -n): a file in memory is open as long as the command runs"
	case errors.Is(err, syscall.EFBIG):
		e.Hint = "raise the limit of the size of files (ulimit -f)"
	}
	return e
}
