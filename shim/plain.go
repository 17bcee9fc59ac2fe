package shim

import (
	"log/slog"
	"slices"
	"strings"

	"github.com/agent-secret-store/ass-exec/shim/mapping"
)

// warnOfPlainPaths names inherited variables whose value is like that of a mapping
// line: without ass:// at its beginning that is text, which reaches the command.
func (p plan) warnOfPlainPaths(log *slog.Logger) {
	var names []string
	for _, kv := range p.cfg.Environ {
		name, value, _ := strings.Cut(kv, "=")
		if looksLikePath(name, value) && !p.names[name] && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		log.Warn("what looks like a secret's path is passed on as text in " + listNames(names) + ": an inherited reference must begin with ass://")
	}
}

// looksLikePath reports whether the value of a variable is like
// production/app/KEY, and not like Europe/Berlin or text/html.
func looksLikePath(name, value string) bool {
	if strings.HasPrefix(value, "ass://") || name == "" || ours(name) || neverResolved(name) {
		return false
	}
	// The quotes of a file that docker run --env-file reads are part of the value.
	if strings.HasPrefix(strings.ToLower(strings.TrimLeft(value, "\"' \t")), "ass://") {
		return true
	}
	r, err := mapping.ParseReference(value)
	if err != nil {
		return false
	}
	key := r.Ref.Key()
	capitals := strings.ToUpper(key) == key && strings.ToLower(key) != key
	return capitals && (key == name || strings.Contains(key, "_") || strings.Count(string(r.Ref), "/") > 1)
}
