package shim

import (
	"strings"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/process"
)

// expandHome puts HOME in place of a ~/ that no shell has seen, such as one in a
// JSON file of settings or after --mapping=.
func (c *Config) expandHome() exit.Errors {
	var problems exit.Errors
	home, _ := process.LookupEnv(c.Environ, "HOME")
	for _, file := range []struct {
		setting string
		path    *string
	}{
		{"ASS_AGENT_KEY_FILE", &c.KeyFile},
		{"--mapping (ASS_MAPPING)", &c.MappingFile},
		{"--ca-file (ASS_CA_FILE)", &c.Roots.CAFile},
	} {
		rest, ok := strings.CutPrefix(*file.path, "~/")
		switch {
		case !ok:
		case home == "":
			problems = append(problems, &exit.Error{
				Code: exit.Config, Msg: file.setting + " begins with ~/, and HOME is not set",
				Hint: "write the whole path, or set HOME",
			})
		default:
			*file.path = strings.TrimSuffix(home, "/") + "/" + rest
		}
	}
	return problems
}
