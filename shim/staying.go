package shim

import (
	"fmt"
	"os"
	"strconv"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/shim/process"
)

// checkPIDs refuses variables that the service manager meant for the process it
// started: a command that is our child has another PID. LISTEN_PIDFDID needs no
// check, as it only narrows what LISTEN_PID names.
func (c *Config) checkPIDs() exit.Errors {
	var problems exit.Errors
	for _, name := range []string{"LISTEN_PID", "WATCHDOG_PID"} {
		if v, _ := process.LookupEnv(c.Environ, name); c.Supervises() && v == strconv.Itoa(os.Getpid()) {
			problems = append(problems, &exit.Error{
				Code: exit.Config,
				Msg:  name + " names ass-exec, and the command would be another process",
				Hint: "start a socket-activated or watched service without --init, --mask and --watch (ASS_INIT, ASS_MASK, ASS_WATCH)",
			})
		}
	}
	return problems
}

// checkModes refuses a file for other users where its path leads through our
// /proc, which the kernel opens to our own user alone.
func (c *Config) checkModes(bindings []mapping.Binding) exit.Errors {
	var problems exit.Errors
	for _, b := range bindings {
		if f := b.File(); f != nil && (c.Mask || c.Watch > 0) && f.Mode&0o077 != 0 {
			problems = append(problems, &exit.Error{
				Code: exit.Config,
				Msg:  fmt.Sprintf("%s: %s: mode=%04o has no effect with --mask or --watch: other users cannot reach the file", b.Origin, b.Name, f.Mode),
				Hint: "leave out mode=, or start without --mask and --watch (ASS_MASK, ASS_WATCH)",
			})
		}
	}
	return problems
}
