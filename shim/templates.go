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
		path := b.Value.File.Template
		if !filepath.IsAbs(path) {
			folder, _ := filepath.Split(mappingFile) // uncleaned, for the sake of .. behind a link
			path = folder + path
		}
		b.Value.File.Template = path
		text, err := budget.readFile(path, mapping.MaxSize)
		if err != nil {
			problems = append(problems, &exit.Error{
				Code: exit.Config, Msg: fmt.Sprintf("%s: %s: template file: %v", b.Origin, b.Name, err), Err: err,
				Hint: "the name after @ is relative to the mapping's folder; the file must be readable by the user the container runs as",
			})
			continue
		}
		problems = append(problems, exit.AsErrors(b.ReadText(string(text)))...)
	}
	return problems
}
