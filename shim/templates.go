package shim

import (
	"fmt"
	"path/filepath"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
)

// readTemplates reads the template files that a mapping names, relative to its
// folder, into the bindings.
func readTemplates(mappingFile string, bindings []mapping.Binding, budget *budget) exit.Errors {
	var problems exit.Errors
	for i := range bindings {
		b := &bindings[i]
		if b.Value.File == nil {
			continue
		}
		path, cause := b.Value.File.Template, error.Error
		if mapping.LooksLikeValue(path) {
			cause = exit.Cause // if there is no such file, it may be a credential: its name is not printed
		}
		if !filepath.IsAbs(path) {
			folder, _ := filepath.Split(mappingFile) // uncleaned, for the sake of .. behind a link
			path = folder + path
		}
		b.Value.File.Template = path
		text, err := budget.readFile(path, mapping.MaxSize)
		if err != nil {
			problems = append(problems, &exit.Error{
				Code: exit.Config, Msg: fmt.Sprintf("%s: %s: template file: %s", b.Origin, b.Name, cause(err)), Err: err,
				Hint: "the name after @ is relative to the mapping's folder; the file must be readable by the user the container runs as",
			})
			continue
		}
		problems = append(problems, exit.AsErrors(b.ReadText(string(text)))...)
	}
	return problems
}
