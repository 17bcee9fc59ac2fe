package shim

import (
	"context"
	"log/slog"
)

// Lint makes the checks that need neither key nor vault, and returns all that
// is wrong. network is called only to read a pipe.
func Lint(network func() context.Context, cfg Config, log *slog.Logger) error {
	p, problems := newPlan(cfg, newBudget(cfg.Timeout, network))
	p.warn(log)
	p.warnOfPlainPaths(log)
	return problems.OrNil()
}
