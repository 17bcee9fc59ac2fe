package shim

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/vault"
)

// Report is what --check prints. It holds no value.
type Report struct {
	Variables []Variable `json:"variables"`
	Command   string     `json:"command,omitempty"` // the file that would be executed
	Problems  []string   `json:"problems"`          // all of them, those of variables included
	ExitCode  int        `json:"exit_code"`         // of a real run, if it is not 0
}

// Variable is one line of a Report. Several secrets in one template are joined
// by commas.
type Variable struct {
	Name     string  `json:"name"`
	Path     string  `json:"path"`
	Versions []int64 `json:"versions,omitempty"`
	Tier     string  `json:"tier,omitempty"`
	Origin   string  `json:"origin"`
	Problem  string  `json:"problem,omitempty"`
}

// Check does everything that Prepare does, but goes on after a failure as far
// as it can. The error holds what is wrong; it is the context's if that ended.
func Check(network func() context.Context, cfg Config, version string, log *slog.Logger) (Report, error) {
	budget := newBudget(cfg.Timeout, network)
	p, local := newPlan(cfg, budget)
	p.warn(log)
	p.warnOfPlainPaths(log)
	resolutions := make([]resolution, len(p.bindings))
	for i, b := range p.bindings {
		resolutions[i].Binding = b
	}
	var remote error
	if p.canFetch && len(scopes(p.bindings, cfg.Namespaces)) > 0 {
		ctx := budget.context()
		var session *vault.Session
		if session, remote = open(ctx, p, budget.left(), version, log); remote == nil {
			resolutions, remote = complete(ctx, session, p, poll(ctx, session, p), log)
			session.Close()
		}
		if err := ctx.Err(); err != nil {
			return Report{}, err
		}
	}
	command := p.path
	if len(local) == 0 && remote == nil && len(cfg.Argv) > 0 {
		var start *Start
		if start, remote = build(p, resolutions); remote == nil {
			command = start.Name()
		}
	}
	return newReport(command, resolutions, local, remote), slices.Concat(local, exit.AsErrors(remote)).OrNil()
}

func newReport(command string, resolutions []resolution, local exit.Errors, remote error) Report {
	// A real run would not have got any further than the local checks.
	status := exit.Status(local.OrNil())
	if status == 0 {
		status = exit.Status(remote)
	}
	report := Report{Variables: []Variable{}, Command: command, ExitCode: status, Problems: []string{}}
	for _, e := range slices.Concat(local, exit.AsErrors(remote)) {
		report.Problems = append(report.Problems, e.Msg)
	}
	byName := make(map[string]exit.Errors)
	for _, e := range local {
		_, what, _ := strings.Cut(e.Msg, ": ")
		name := what[:max(0, strings.IndexAny(what, ": "))]
		byName[name] = append(byName[name], e)
	}
	for _, r := range resolutions {
		r.errs = slices.Concat(localErrors(r.Binding, byName[r.Name]), r.errs)
		report.Variables = append(report.Variables, r.report())
	}
	return report
}

// localErrors are those of a variable among those of its name: they begin with
// the line that maps it, or one of its template file.
func localErrors(b mapping.Binding, named exit.Errors) exit.Errors {
	var own exit.Errors
	for _, e := range named {
		inFile := b.Value.File != nil && strings.HasPrefix(e.Msg, b.Value.File.Template+":")
		if inFile || strings.HasPrefix(e.Msg, b.Origin+": ") {
			own = append(own, e)
		}
	}
	return own
}

func (r resolution) report() Variable {
	v := Variable{Name: r.Name, Origin: r.Origin}
	var tiers []string
	for _, s := range r.fetched {
		if s.version > 0 {
			v.Versions = append(v.Versions, s.version)
		}
		if s.tier != "" && !slices.Contains(tiers, s.tier) {
			tiers = append(tiers, s.tier)
		}
	}
	v.Path, v.Tier = r.Value.Paths(), strings.Join(tiers, ", ")
	switch {
	case len(r.errs) > 0:
		var problems []string
		for _, e := range r.errs {
			problems = append(problems, strings.TrimPrefix(e.Msg, r.Origin+": "+r.Name+": "))
		}
		v.Problem = strings.Join(problems, "; ")
	case r.absent:
		v.Problem = "not found (optional)"
	case slices.ContainsFunc(r.fetched, fetched.missing):
		v.Problem = "not found (default used)"
	}
	return v
}
