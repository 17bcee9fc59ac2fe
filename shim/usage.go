package shim

import (
	"slices"
	"strings"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
)

// flagError words an error of package flag, which names flags with one dash where
// ours have two.
func flagError(err error, args []string) *exit.Error {
	msg, _, _ := strings.Cut(err.Error(), "=") // behind which a value may stand
	msg = strings.Replace(msg, "argument: -", "argument: --", 1)
	name, unknown := strings.CutPrefix(msg, "flag provided but not defined: -")
	if !unknown {
		return usageError(msg)
	}
	short := slices.ContainsFunc(args, func(arg string) bool {
		arg, _, _ = strings.Cut(arg, "=")
		return arg == "-"+name
	})
	if short {
		e := usageError("unknown flag -" + name)
		e.Hint = "options of docker run, such as -e, go before the image name; those of ass-exec are in ass-exec --help"
		return e
	}
	var known []string
	for _, s := range settings {
		if s.flag != "" {
			known = append(known, s.flag)
		}
	}
	e := usageError("unknown flag --" + name)
	if meant := mapping.Closest(name, known); meant != "" {
		e.Msg += "; did you mean --" + meant + "?"
	}
	return e
}

// noCommandError has a hint with the usual reason in images.
func noCommandError() *exit.Error {
	e := usageError("no command to run")
	e.Hint += `; an image that sets ENTRYPOINT loses the CMD of its base: repeat CMD ["..."] after ENTRYPOINT ["/ass-exec"], whose shell form, without brackets, ignores CMD`
	return e
}
