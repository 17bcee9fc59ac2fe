package shim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/vault"
)

// importListed makes a binding of every listed secret whose variable is not
// mapped already, or lists everything that stands in the way.
func importListed(p plan, listings []listing) ([]mapping.Binding, exit.Errors) {
	var bindings []mapping.Binding
	var problems exit.Errors
	mapped := make(map[vault.Ref]bool)
	for _, ref := range distinctRefs(p.bindings) {
		mapped[ref] = true
	}
	byName := make(map[string]vault.Ref)
	for _, l := range listings {
		if l.err != nil || len(l.items) == 0 {
			problems = append(problems, listError(l))
			continue
		}
		for _, item := range l.items {
			name := envName(item.Ref)
			if p.names[name] || byName[name] == item.Ref || p.preserved[name] {
				continue
			}
			if err := checkImport(name, item.Ref, byName[name]); err != nil {
				if !mapped[item.Ref] {
					problems = append(problems, err)
				}
				continue
			}
			byName[name] = item.Ref
			bindings = append(bindings, mapping.Binding{
				Name: name, Origin: "namespace " + l.namespace,
				Value: mapping.Template{Bare: true, Parts: []mapping.Part{{Ref: &mapping.Reference{Ref: item.Ref, Mode: mapping.DefaultMode}}}},
			})
		}
	}
	return bindings, problems
}

func checkImport(name string, ref, other vault.Ref) *exit.Error {
	e := &exit.Error{Code: exit.Config, Hint: "give it a name of its own with a mapping line, like NAME=" + ref.Escaped()}
	switch {
	case other != "":
		e.Msg = fmt.Sprintf("namespace: %s and %s would both set %s", other, ref, name)
	case protected(name) != "":
		e.Msg = fmt.Sprintf("namespace: %s would set %s, a protected name (%s)", ref, name, protected(name))
	case !mapping.ValidName(name):
		e.Msg = fmt.Sprintf("namespace: %s would set %s, which is not a valid variable name", ref, name)
	default:
		return nil
	}
	return e
}

// checkReplaced refuses to replace another value by an imported one: whoever set
// that did not ask for ours. It comes after the fetch, as an equal one is fine.
func checkReplaced(imported []resolution, environ []string) []resolution {
	if len(imported) == 0 {
		return nil
	}
	values := firstValues(environ)
	checked := slices.Clone(imported)
	for i, r := range imported {
		if held := values[r.Name]; held == "" || held == r.value || len(r.errs) > 0 {
			continue
		}
		checked[i].errs = exit.Errors{{
			Code: exit.Config, Msg: fmt.Sprintf("%s: %s: the environment has another value for it; the mapping line to replace that is %[2]s=%[3]s", r.Origin, r.Name, r.Value),
			Hint: "add these lines to the mapping, or keep the variables with --preserve-env; Kubernetes adds variables for services unless the pod sets enableServiceLinks: false",
		}}
	}
	return checked
}

// envName is the key in upper case, with _ for what no variable's name has.
func envName(ref vault.Ref) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, ref.Key())
}

func listError(l listing) *exit.Error {
	if l.err == nil || l.err.Reason == vault.NotFound {
		return &exit.Error{
			Code: exit.NotFound, Msg: fmt.Sprintf("namespace %s holds no secret", l.namespace),
			Hint: "check the spelling of --namespace" + howToList(l.namespace),
		}
	}
	hint := readHint(l.err.Reason)
	switch l.err.Reason {
	case vault.Denied:
		hint = "listing needs the scope " + vault.ReadScope(l.namespace+"/*") + "; a mapping file does not need it"
	case vault.Protocol:
		hint += "; a mapping file does not need the listing"
	}
	return &exit.Error{Code: codeOf(l.err.Reason), Msg: fmt.Sprintf("namespace %s: %v", l.namespace, l.err), Err: l.err, Hint: hint}
}
