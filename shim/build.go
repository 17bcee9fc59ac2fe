package shim

import (
	"slices"
	"strings"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/shim/process"
	"github.com/agent-secret-store/ass-exec/vault"
)

// Start is what a run comes to: a command, and what its output must not show.
type Start struct {
	process.Command
	Secrets []vault.Secret
}

// build puts the values into the environment of the command.
func build(p plan, resolutions []resolution) (*Start, error) {
	var assignments []assignment
	if !p.cfg.KeepAgentKey {
		for _, name := range agentKeyVariables {
			assignments = append(assignments, assignment{name: name, remove: true})
		}
	}
	assignments = append(assignments, keyOfCommand(p)...)
	assignments = append(assignments, assign(resolutions, p.cfg.Environ)...)
	env := buildEnv(p.cfg.Environ, assignments)
	start := &Start{
		Command: process.Command{Path: p.path, Argv: p.cfg.Argv, Env: env, Files: filesOf(resolutions, env)},
		Secrets: secretsOf(p, resolutions),
	}
	if start.Path == "" {
		if err := lookUp(&start.Command, resolutions); err != nil {
			return nil, exit.Errors{err}
		}
	}
	if err := process.CheckTotal(start.Path, start.Argv, env, process.ArgLimit()); err != nil {
		return nil, exit.Errors{err}
	}
	return start, nil
}

// lookUp finds the file to execute where PATH is mapped.
func lookUp(c *process.Command, resolutions []resolution) (err *exit.Error) {
	i := slices.IndexFunc(resolutions, func(r resolution) bool { return r.Name == "PATH" && !r.absent })
	if i < 0 {
		c.Path, err = process.LookPath(c.Argv[0], c.Env)
		return err
	}
	c.SecretPath = true
	c.Path, err = process.LookSecretPath(c.Argv[0], c.Env, resolutions[i].Value.Paths())
	return err
}

// secretsOf is what the output must not show: values, what the references take
// out of them, what the templates make of that, and the keys the command keeps.
func secretsOf(p plan, resolutions []resolution) []vault.Secret {
	var all []vault.Secret
	for _, r := range resolutions {
		for _, f := range r.fetched {
			all = append(all, f.value, f.part)
		}
		if !r.Value.Bare && r.File() == nil { // most of a file is no secret
			all = append(all, vault.NewSecret(r.value))
		}
	}
	if p.cfg.KeepAgentKey {
		apiKey, _ := process.LookupEnv(p.cfg.Environ, "ASS_API_KEY")
		all = append(all, p.key, p.cfg.Key, vault.NewSecret(apiKey))
	}
	return all
}

// assign is what the resolutions change in the environment they find. An absent
// one sets nothing; but a reference is not a value, and must not reach the
// command in place of one.
func assign(resolutions []resolution, environ []string) []assignment {
	var all []assignment
	absent := make(map[string]bool)
	for _, r := range resolutions {
		if r.absent {
			absent[r.Name] = true
		} else {
			all = append(all, assignment{name: r.Name, value: r.value})
		}
	}
	for _, kv := range environ {
		name, held, _ := strings.Cut(kv, "=")
		if !absent[name] {
			continue
		}
		delete(absent, name) // the first occurrence is the one that getenv finds
		if _, isReference, _ := mapping.ParseInherited(held); isReference {
			all = append(all, assignment{name: name, remove: true})
		}
	}
	return all
}

// filesOf takes the values that belong into files out of the environment.
func filesOf(resolutions []resolution, env []string) []process.File {
	if !slices.ContainsFunc(resolutions, func(r resolution) bool { return r.File() != nil }) {
		return nil
	}
	index := make(map[string]int, len(env))
	for i, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		index[name] = i
	}
	var files []process.File
	for _, r := range resolutions {
		file := r.File()
		if file == nil || r.absent {
			continue
		}
		i := index[r.Name] // buildEnv has set it, once
		files = append(files, process.File{Name: r.Name, Content: r.value, Mode: file.Mode, FD: file.FD, Index: i})
		env[i] = r.Name + "="
	}
	return files
}

// agentKeyVariables are not passed on to the command, unless it asks for them.
var agentKeyVariables = []string{"ASS_AGENT_KEY", "ASS_AGENT_KEY_FILE", keyCommandVariable, "ASS_API_KEY"}

// assignment gives a variable a value, or takes it away.
type assignment struct {
	name   string
	value  string
	remove bool
}

// buildEnv returns the parent's environment with the assignments made: in
// place where the variable exists, appended in their own order where it does
// not. Everything else stays as it is, in its order.
func buildEnv(parent []string, assignments []assignment) []string {
	byName := make(map[string]assignment, len(assignments))
	for _, a := range assignments {
		byName[a.name] = a
	}
	env := make([]string, 0, len(parent)+len(assignments))
	done := make(map[string]bool, len(assignments))
	for _, kv := range parent {
		name, _, _ := strings.Cut(kv, "=")
		a, ok := byName[name]
		if !ok {
			env = append(env, kv)
			continue
		}
		// Every other copy is dropped: the C library finds the first, a shell
		// the last, and each must find the secret.
		if !a.remove && !done[name] {
			env = append(env, a.name+"="+a.value)
		}
		done[name] = true
	}
	for _, a := range assignments {
		if !a.remove && !done[a.name] {
			env = append(env, a.name+"="+a.value)
			done[a.name] = true
		}
	}
	return env
}
