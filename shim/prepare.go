package shim

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/agent-secret-store/ass-exec/vault"
)

// Prepare makes every decision of a run: it checks what can be checked
// locally, fetches the secrets, and returns the command to execute. An error
// is Errors, with everything that is wrong at that point, or the context's.
// Warnings of waits and, if cfg is verbose, what is done go to log.
func Prepare(ctx context.Context, cfg Config, version string, log *slog.Logger) (*Command, error) {
	p, problems := newPlan(&cfg)
	if len(problems) > 0 {
		return nil, problems
	}
	rows, err := p.fetch(ctx, version, log)
	if err != nil {
		return nil, err
	}
	return p.build(rows)
}

// row is a binding with what became of it.
type row struct {
	Binding
	value  string
	absent bool // optional, and there is nothing to set
	errs   Errors
}

// fetch gets every secret of the plan and makes the values of the variables.
func (p *plan) fetch(ctx context.Context, version string, log *slog.Logger) ([]row, error) {
	if len(p.bindings) == 0 {
		return nil, nil
	}
	start := time.Now()
	refs := distinctRefs(p.bindings)
	session, err := p.client(version, log).Open(ctx, scopesOf(refs))
	if err != nil {
		return nil, p.openError(ctx, err)
	}
	defer session.Close()
	results, err := session.Read(ctx, refs)
	if err != nil {
		return nil, err
	}
	log.Info(fmt.Sprintf("read %d secrets for %d variables in %s", len(refs), len(p.bindings), time.Since(start).Round(time.Millisecond)))
	rows := resolve(p.bindings, results)
	for _, r := range rows {
		r.log(results, log)
	}
	return rows, problemsOf(rows).orNil()
}

func (p *plan) client(version string, log *slog.Logger) *vault.Client {
	c := p.cfg
	return &vault.Client{
		URL: c.URL, Key: p.key, Roots: p.roots, UserAgent: "ass-exec/" + version,
		TokenTTL: c.TokenTTL, Timeout: c.Timeout,
		// It would have the standard library print the bearer.
		HTTP1:   debugsHTTP2(c.Environ),
		OnRetry: warnOfRetries(log),
	}
}

// log tells, without the value, where a variable's value comes from.
func (r row) log(results map[vault.Ref]vault.Result, log *slog.Logger) {
	for _, ref := range r.Value.Refs() {
		if len(r.errs) == 0 && !r.absent {
			log.Info(fmt.Sprintf("%s: %s from %s, version %d", r.Origin, r.Name, ref, results[ref].Version))
		}
	}
}

// build puts the values into the environment of the command.
func (p *plan) build(rows []row) (*Command, error) {
	var assignments []assignment
	if !p.cfg.KeepAgentKey {
		for _, name := range agentKeyVariables {
			assignments = append(assignments, assignment{name: name, remove: true})
		}
	}
	for _, r := range rows {
		assignments = append(assignments, r.assignments(p.cfg.Environ)...)
	}
	env := buildEnv(p.cfg.Environ, assignments)
	cmd := &Command{Path: p.path, Argv: p.cfg.Argv, Env: env, Files: filesOf(rows, env)}
	if cmd.Path == "" {
		path, err := lookPath(cmd.Argv[0], env)
		if err != nil {
			return nil, Errors{err}
		}
		cmd.Path = path
	}
	if err := checkTotal(cmd.Path, cmd.Argv, env, argLimit()); err != nil {
		return nil, Errors{err}
	}
	return cmd, nil
}

func distinctRefs(bindings []Binding) []vault.Ref {
	var refs []vault.Ref
	seen := make(map[vault.Ref]bool)
	for _, b := range bindings {
		for _, ref := range b.Value.Refs() {
			if !seen[ref] {
				seen[ref] = true
				refs = append(refs, ref)
			}
		}
	}
	return refs
}

func scopesOf(refs []vault.Ref) []string {
	scopes := make([]string, len(refs))
	for i, ref := range refs {
		scopes[i] = vault.ReadScope(string(ref))
	}
	return scopes
}
