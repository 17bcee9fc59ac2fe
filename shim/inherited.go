package shim

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/shim/process"
)

// What Config.Resolve holds for every variable, and for none of them.
const (
	resolveAll  = "all"
	resolveNone = "none"
)

// ciMarkers are set by CI systems, beside CI itself.
var ciMarkers = []string{
	"GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "BUILDKITE", "JENKINS_URL", "TF_BUILD", "TEAMCITY_VERSION", "CODEBUILD_BUILD_ARN",
	"bamboo_planKey", "GO_PIPELINE_LABEL", "HARNESS_BUILD_ID", "GERRIT_PROJECT", "PROW_JOB_ID",
}

// untrustedMarker returns the variable that marks an environment with text by
// people who must not choose a secret: a commit message, the title of a pull
// request, a header, what an SSH client asks a forced command for.
func untrustedMarker(environ []string) string {
	if marker := ciMarker(environ); marker != "" {
		return marker
	}
	return firstSet(environ, []string{"GATEWAY_INTERFACE", "SSH_ORIGINAL_COMMAND"})
}

// InCI reports whether a CI system runs us: its terminals are logs.
func (c *Config) InCI() bool { return ciMarker(c.Environ) != "" }

func ciMarker(environ []string) string {
	ci, _ := process.LookupEnv(environ, "CI")
	if !slices.Contains([]string{"", "0", "false", "no", "off"}, strings.ToLower(ci)) {
		return "CI"
	}
	return firstSet(environ, ciMarkers)
}

// firstSet returns the first of the variables that has a value.
func firstSet(environ, names []string) string {
	for _, name := range names {
		if v, _ := process.LookupEnv(environ, name); v != "" {
			return name
		}
	}
	return ""
}

// neverResolved reports whether a variable is left alone wherever we run: sshd
// takes LANG, LC_* and TERM from its client, sudo and npm note down commands
// and packages.
func neverResolved(name string) bool {
	switch name {
	case "LANG", "TERM", "SUDO_COMMAND":
		return true
	}
	return strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "npm_")
}

// ours reports whether a variable is a setting, and no text for the command.
func ours(name string) bool { return strings.HasPrefix(name, "ASS_") }

// setResolve takes all, none, or names separated by commas.
func setResolve(c *Config, v string) error {
	names := strings.Split(v, ",")
	for i, name := range names {
		name = strings.TrimSpace(name)
		names[i] = name
		switch {
		case name == "":
			return errors.New("must be all, none, or names of variables separated by commas")
		case len(names) > 1 && (name == resolveAll || name == resolveNone):
			return fmt.Errorf("%s cannot be part of a list", name)
		case neverResolved(name), ours(name):
			return fmt.Errorf("%s is never resolved", name)
		}
	}
	c.Resolve, c.marker = names, ""
	return nil
}

// checkResolve refuses a list with a variable that is not set: a misspelt one
// would pass a reference on in place of a value.
func (c *Config) checkResolve() exit.Errors {
	var problems exit.Errors
	for _, name := range c.Resolve {
		if v, _ := process.LookupEnv(c.Environ, name); v == "" && name != resolveAll && name != resolveNone {
			problems = append(problems, &exit.Error{
				Code: exit.Config, Msg: "--resolve: " + name + " is not set in the environment",
				Hint: "correct the name in --resolve or ASS_RESOLVE, or remove it there",
			})
		}
	}
	return problems
}

// resolves reports whether an inherited variable may hold references.
func (c *Config) resolves(name string) bool {
	return name != "" && !neverResolved(name) && !ours(name) && (slices.Contains(c.Resolve, resolveAll) || slices.Contains(c.Resolve, name))
}

// inheritsReference reports whether an inherited variable holds a reference that
// is to be resolved.
func (c *Config) inheritsReference(name, value string) bool {
	_, isReference, _ := mapping.ParseInherited(value)
	return isReference && c.resolves(name)
}

// inherit collects the references in the environment itself, and what holds
// some that are not to be resolved. A mapping line for the same name wins.
func (p *plan) inherit() (bindings []mapping.Binding, problems exit.Errors) {
	mapped := make(map[string]bool) // and not preserved
	for _, b := range p.bindings {
		mapped[b.Name] = true
	}
	for _, kv := range p.cfg.Environ {
		name, value, _ := strings.Cut(kv, "=")
		t, ok, err := mapping.ParseInherited(value)
		switch {
		case !ok, name == "", ours(name), mapped[name]:
		case !p.cfg.resolves(name):
			problems = appendError(problems, p.leave(name, t.Bare))
		case p.names[name]: // a later copy of the one that is preserved
		case err != nil:
			problems = append(problems, mapping.LineError("environment", fmt.Errorf("%s: %w", name, mapping.Describe(value, err))))
		default:
			bindings = append(bindings, mapping.Binding{Name: name, Value: t, Origin: "environment"})
		}
	}
	return bindings, problems
}

// leave notes a variable that is passed on with the references in it. One that is
// a whole reference was meant to be resolved: passing it on has to be explicit.
func (p *plan) leave(name string, whole bool) *exit.Error {
	c := p.cfg
	final := c.marker == "" && slices.Contains(c.Resolve, resolveNone)
	if whole && !final && !neverResolved(name) {
		return &exit.Error{
			Code: exit.Config, Msg: fmt.Sprintf("environment: %s holds a reference that is not resolved: %s", name, c.resolving()),
			Hint: "give the variable a line in a mapping file, or name it in ASS_RESOLVE; ASS_RESOLVE=none passes it on as it is",
		}
	}
	if !slices.Contains(p.unresolved, name) {
		p.unresolved = append(p.unresolved, name)
	}
	return nil
}

// resolving says what ASS_RESOLVE comes to.
func (c *Config) resolving() string {
	switch {
	case c.marker != "":
		return "ASS_RESOLVE is none by default, because " + c.marker + " is set"
	case slices.Contains(c.Resolve, resolveAll):
		return "ASS_RESOLVE is all, which leaves out LANG, LC_*, TERM, SUDO_COMMAND and npm_*"
	}
	return "ASS_RESOLVE is " + listNames(c.Resolve)
}

// warn reports what the command gets that may not be intended.
func (p *plan) warn(log *slog.Logger) {
	if len(p.unresolved) > 0 {
		log.Warn("references are passed on unresolved in " + listNames(p.unresolved) + ": " + p.cfg.resolving())
	}
	for _, kv := range p.cfg.Environ {
		name, value, _ := strings.Cut(kv, "=")
		if !p.cfg.inheritsReference(name, value) {
			continue
		}
		for i, arg := range p.cfg.Argv {
			if i > 0 && holdsReference(arg, value) {
				log.Warn(fmt.Sprintf("argument %d holds the reference of %s and not its secret: Kubernetes expands $(%[2]s) before ass-exec runs, which "+
					"resolves no arguments; write sh -c 'exec … \"$%[2]s\"', or make the text a variable with ${ass://…} in it", i, name))
			}
		}
	}
}

// holdsReference reports whether an argument holds a reference, and not just
// one that begins like it.
func holdsReference(arg, reference string) bool {
	_, rest, ok := strings.Cut(arg, reference)
	return ok && (rest == "" || !mapping.ValidName("_"+rest[:1]))
}

// maxNames bounds how many names a message lists.
const maxNames = 10

func listNames(names []string) string {
	if n := len(names) - maxNames; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), n)
	}
	return strings.Join(names, ", ")
}

// firstValues indexes an environment as getenv reads it: the first of copies
// counts, and an entry without a name is none.
func firstValues(environ []string) map[string]string {
	values := make(map[string]string, len(environ))
	for _, kv := range environ {
		name, v, ok := strings.Cut(kv, "=")
		if _, copied := values[name]; ok && name != "" && !copied {
			values[name] = v
		}
	}
	return values
}
