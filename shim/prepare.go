package shim

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/shim/process"
	"github.com/agent-secret-store/ass-exec/vault"
)

// Prepare makes every decision of a run: it checks what can be checked
// locally, fetches the secrets, and returns the command to execute. Where cfg
// asks to watch the secrets, the watcher does that; else it is nil. network
// gives the context of the fetch, and is not called if there is nothing to
// wait for. An error is Errors, with everything that is wrong at that point, or
// the context's. Warnings of waits and, if cfg is verbose, what is done go to
// log.
func Prepare(network func() context.Context, cfg Config, version string, log *slog.Logger) (*Start, *Watcher, error) {
	network = sync.OnceValue(network)
	cfg.network = network
	p, problems := newPlan(&cfg)
	if len(problems) > 0 {
		return nil, nil, problems
	}
	p.warn(log)
	if p.empty() {
		cmd, err := p.build(nil)
		return cmd, nil, err
	}
	ctx := network()
	session, err := p.open(ctx, version, log)
	if err != nil {
		return nil, nil, err
	}
	rows, results, err := p.fetch(ctx, session, log)
	var cmd *Start
	if err == nil {
		cmd, err = p.build(rows)
	}
	if err != nil || cfg.Watch == 0 {
		session.Close()
		return cmd, nil, err
	}
	return cmd, newWatcher(p, session, results, log), nil
}

// Start is what a run comes to: a command, and what its output must not show.
type Start struct {
	process.Command
	Secrets []vault.Secret
}

// row is a binding with what became of it.
type row struct {
	mapping.Binding
	sources []source // one for each reference
	value   string
	absent  bool // optional, and there is nothing to set
	errs    exit.Errors
}

func (p *plan) open(ctx context.Context, version string, log *slog.Logger) (*vault.Session, error) {
	session, err := p.client(version, log).Open(ctx, p.scopes())
	if err != nil {
		return nil, p.openError(ctx, err)
	}
	return session, nil
}

// fetch gets every secret of the plan and makes the values of the variables.
// An error with rows is what is wrong with them.
func (p *plan) fetch(ctx context.Context, session *vault.Session, log *slog.Logger) ([]row, found, error) {
	start := time.Now()
	bindings, results, problems := p.gather(ctx, session)
	if err := ctx.Err(); err != nil {
		return nil, found{}, err
	}
	log.Info(fmt.Sprintf("read %d secrets for %d variables in %s", results.read(), len(bindings), time.Since(start).Round(time.Millisecond)))
	rows := resolve(bindings, results.secrets)
	p.checkReplaced(rows[len(p.bindings):])
	for _, r := range rows {
		r.log(log)
		problems = append(problems, r.errs...)
	}
	return rows, results, problems.OrNil()
}

// found is all that the vault told.
type found struct {
	secrets  map[vault.Ref]vault.Result
	listings []listing
}

// read counts the secrets that are there.
func (f found) read() int {
	n := 0
	for _, r := range f.secrets {
		if r.Err == nil {
			n++
		}
	}
	return n
}

// gather reads the secrets that the bindings name and, at the same time, lists
// the namespaces; what these bring in is read after that.
func (p *plan) gather(ctx context.Context, session *vault.Session) ([]mapping.Binding, found, exit.Errors) {
	all := p.look(ctx, session)
	results := all.secrets
	imported, problems := p.imports(all.listings)
	var more []vault.Ref
	for _, ref := range distinctRefs(imported) {
		if _, ok := results[ref]; !ok {
			more = append(more, ref)
		}
	}
	maps.Copy(results, session.Read(ctx, more))
	return slices.Concat(p.bindings, imported), all, problems
}

// look reads the secrets that are named and lists the namespaces.
func (p *plan) look(ctx context.Context, session *vault.Session) found {
	all := found{listings: make([]listing, len(p.cfg.Namespaces))}
	var wg sync.WaitGroup
	wg.Go(func() { all.secrets = session.Read(ctx, distinctRefs(p.bindings)) })
	for i, namespace := range p.cfg.Namespaces {
		wg.Go(func() {
			items, err := session.List(ctx, namespace)
			all.listings[i] = listing{namespace, items, err}
		})
	}
	wg.Wait()
	return all
}

func (p *plan) client(version string, log *slog.Logger) *vault.Client {
	c := p.cfg
	return &vault.Client{
		URL: c.URL, Key: p.key, Roots: p.roots, UserAgent: "ass-exec/" + version,
		TokenTTL: c.TokenTTL, Timeout: c.left(), ApprovalTimeout: c.ApprovalTimeout,
		// It would have the standard library print the bearer.
		HTTP1:   debugsHTTP2(c.Environ),
		OnRetry: warnOfRetries(log), OnApproval: warnOfApproval(log),
	}
}

// source is a secret as it was found, without its value.
type source struct {
	ref     vault.Ref
	version int64
	tier    string
	value   vault.Secret
	part    vault.Secret // what the reference takes out of it
}

// missing reports, of a row without an error, whether the secret does not exist.
func (s source) missing() bool { return s.version == 0 && s.value.Empty() }

// log tells, without the value, where a variable's value comes from.
func (r row) log(log *slog.Logger) {
	if len(r.errs) > 0 || r.absent {
		return
	}
	for _, s := range r.sources {
		if s.missing() {
			log.Info(fmt.Sprintf("%s: %s from its default: %s does not exist", r.Origin, r.Name, s.ref))
		} else {
			log.Info(fmt.Sprintf("%s: %s from %s, version %d", r.Origin, r.Name, s.ref, s.version))
		}
	}
}

// build puts the values into the environment of the command.
func (p *plan) build(rows []row) (*Start, error) {
	var assignments []assignment
	if !p.cfg.KeepAgentKey {
		for _, name := range agentKeyVariables {
			assignments = append(assignments, assignment{name: name, remove: true})
		}
	}
	assignments = append(assignments, assign(rows, p.cfg.Environ)...)
	env := buildEnv(p.cfg.Environ, assignments)
	cmd := &Start{
		Command: process.Command{Path: p.path, Argv: p.cfg.Argv, Env: env, Files: filesOf(rows, env)},
		Secrets: p.secrets(rows),
	}
	if cmd.Path == "" {
		if err := look(&cmd.Command, rows); err != nil {
			return nil, exit.Errors{err}
		}
	}
	if err := process.CheckTotal(cmd.Path, cmd.Argv, env, process.ArgLimit()); err != nil {
		return nil, exit.Errors{err}
	}
	return cmd, nil
}

// secrets are what the output must not show: values, what the references take
// out of them, what the templates make of that, and the keys the command keeps.
func (p *plan) secrets(rows []row) []vault.Secret {
	var all []vault.Secret
	for _, r := range rows {
		for _, s := range r.sources {
			all = append(all, s.value, s.part)
		}
		if !r.Value.Bare {
			all = append(all, vault.NewSecret(r.value))
		}
	}
	if p.cfg.KeepAgentKey {
		apiKey, _ := process.LookupEnv(p.cfg.Environ, "ASS_API_KEY")
		all = append(all, p.key, p.cfg.Key, vault.NewSecret(apiKey))
	}
	return all
}

// look finds the file to execute where PATH is mapped.
func look(c *process.Command, rows []row) (err *exit.Error) {
	i := slices.IndexFunc(rows, func(r row) bool { return r.Name == "PATH" && !r.absent })
	if i < 0 {
		c.Path, err = process.LookPath(c.Argv[0], c.Env)
		return err
	}
	c.SecretPath = true
	c.Path, err = process.LookSecretPath(c.Argv[0], c.Env, rows[i].Value.Paths())
	return err
}

func distinctRefs(bindings []mapping.Binding) []vault.Ref {
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

// scopes asks for the named secrets one by one: one sensitive secret under a
// wildcard would hold up the whole token.
func (p *plan) scopes() []string {
	var scopes []string
	for _, ref := range distinctRefs(p.bindings) {
		scopes = append(scopes, vault.ReadScope(string(ref)))
	}
	for _, namespace := range p.cfg.Namespaces {
		scopes = append(scopes, vault.ReadScope(namespace+"/*"))
	}
	return scopes
}
