package shim

import (
	"fmt"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/shim/process"
)

// reserveDescriptors takes hold of the numbers that fd= asks for, and lists
// those that cannot be had.
func reserveDescriptors(bindings []mapping.Binding) exit.Errors {
	var problems exit.Errors
	first := make(map[int]mapping.Binding)
	for _, b := range bindings {
		f := b.File()
		if f == nil || f.FD == 0 {
			continue
		}
		what := ""
		if other, taken := first[f.FD]; taken {
			what = fmt.Sprintf("is already used by %s (%s)", other.Name, other.Origin)
		} else if err := process.Reserve(f.FD); err != nil {
			what = err.Error()
		}
		if what != "" {
			problems = append(problems, &exit.Error{
				Code: exit.Config, Msg: fmt.Sprintf("%s: %s: fd=%d %s", b.Origin, b.Name, f.FD, what),
				Hint: "take another number from 64 to 255, below the limit of open files (ulimit -n)",
			})
			continue
		}
		first[f.FD] = b
	}
	return problems
}
