package shim

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

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
	budget := newBudget(cfg.Timeout, network)
	p, problems := newPlan(cfg, budget)
	if len(problems) > 0 {
		return nil, nil, problems
	}
	p.warn(log)
	if p.empty() {
		start, err := build(p, nil)
		return start, nil, err
	}
	ctx := budget.context()
	session, err := open(ctx, p, budget.left(), version, log)
	if err != nil {
		return nil, nil, err
	}
	polled := poll(ctx, session, p)
	resolutions, err := complete(ctx, session, p, polled, log)
	var start *Start
	if err == nil {
		start, err = build(p, resolutions)
	}
	if err != nil || cfg.Watch == 0 {
		session.Close()
		return start, nil, err
	}
	return start, newWatcher(p, session, polled, log), nil
}

// complete reads what a poll leaves out, which is the secrets of the namespaces,
// and makes the value of every variable. An error with resolutions is what is
// wrong with them.
func complete(ctx context.Context, session *vault.Session, p plan, polled snapshot, log *slog.Logger) ([]resolution, error) {
	imported, problems := importListed(p, polled.listings)
	bindings := slices.Concat(p.bindings, imported)
	all := fetchRest(ctx, session, bindings, polled)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	log.Info(fmt.Sprintf("read %d secrets for %d variables in %s", all.read(), len(bindings), time.Since(all.began).Round(time.Millisecond)))
	resolutions := slices.Concat(
		resolve(p.bindings, all.secrets),
		checkReplaced(resolve(imported, all.secrets), p.cfg.Environ),
	)
	for _, r := range resolutions {
		r.log(log)
		problems = append(problems, r.errs...)
	}
	return resolutions, problems.OrNil()
}
