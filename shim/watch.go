package shim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/vault"
)

// maxBackOff bounds, in intervals, how seldom a vault in trouble is asked.
const maxBackOff = 16

// errWatchEnds is a failure after which looking again would ask a human anew.
var errWatchEnds = errors.New("the secrets are not watched any longer")

// Watcher looks for new versions of a command's secrets.
type Watcher struct {
	p       *plan
	session *vault.Session
	log     *slog.Logger
	seen    map[string]string // what identifies each secret's state
	wait    func(context.Context, time.Duration) error
}

func newWatcher(p *plan, session *vault.Session, first found, log *slog.Logger) *Watcher {
	// The operator who waits for a start is told of every trouble; a command
	// that runs is not in any.
	session.OnRetry, session.OnApproval = nil, nil
	return &Watcher{p: p, session: session, log: log, seen: p.states(first), wait: sleep}
}

// Run looks at the secrets about once in an interval until ctx ends, and calls
// act with a command that has all of the new ones. It never does with less: a
// vault that is down, denies or answers rubbish leads to one warning and to
// longer intervals.
func (w *Watcher) Run(ctx context.Context, act func(*Start)) {
	defer w.session.Close()
	troubles := 0
	for {
		interval := w.p.cfg.Watch * time.Duration(min(1<<min(troubles, 10), maxBackOff))
		if w.wait(ctx, jitter(interval)) != nil {
			return
		}
		cmd, err := w.look(ctx)
		if ctx.Err() != nil {
			return
		}
		switch {
		case err == nil && troubles > 0:
			w.log.Warn("the secrets are watched again")
			troubles = 0
		case errors.Is(err, errWatchEnds):
			w.log.Warn(err.Error() + ": the command goes on with those it has")
			return
		case err != nil:
			if troubles == 0 {
				w.log.Warn(fmt.Sprintf("looking for new secrets: %s; the command goes on with those it has", exit.AsErrors(err)[0].Msg))
			}
			troubles++
		}
		if cmd != nil {
			act(cmd)
		}
	}
}

// look returns a command if anything has changed, nil if nothing has.
func (w *Watcher) look(ctx context.Context) (*Start, error) {
	w.session.Rewind()
	now := w.p.look(ctx, w.session)
	if err := w.failure(now); err != nil {
		return nil, err
	}
	if maps.Equal(w.p.states(now), w.seen) {
		return nil, nil
	}
	rows, all, err := w.p.fetch(ctx, w.session, w.log)
	if err != nil {
		return nil, err
	}
	cmd, err := w.p.build(rows)
	if err == nil {
		w.seen = w.p.states(all)
	}
	return cmd, err
}

// failure finds what keeps a look from telling anything. A secret that does
// not exist is an answer like any other, and the fetch's business.
func (w *Watcher) failure(now found) error {
	var failed []*vault.Error
	for _, r := range now.secrets {
		failed = append(failed, r.Err)
	}
	for _, l := range now.listings {
		failed = append(failed, l.err)
	}
	for _, e := range failed {
		switch {
		case e == nil || e.Reason == vault.NotFound:
		case e.Reason == vault.Pending, e.Status == 401 && w.session.Approved():
			return fmt.Errorf("a new token needs a human's approval: %w", errWatchEnds)
		default:
			return &exit.Error{Code: codeOf(e.Reason), Msg: e.Error(), Err: e}
		}
	}
	return nil
}

// states is what identifies the state of every secret: of those of a namespace
// the listing's version, which costs one request for all of them.
func (p *plan) states(all found) map[string]string {
	states := make(map[string]string)
	for _, ref := range distinctRefs(p.bindings) {
		r := all.secrets[ref]
		if r.Err == nil {
			sum := sha256.Sum256([]byte(r.Value.Reveal()))
			states[string(ref)] = fmt.Sprintf("%d %x", r.Version, sum)
		}
	}
	for _, l := range all.listings {
		for _, item := range l.items {
			states["listed "+string(item.Ref)] = fmt.Sprint(item.Version)
		}
	}
	return states
}

// jitter spreads the looks of a fleet that was started together.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
