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

// maxBackOff is the longest time between polls of a failing vault, in intervals.
const maxBackOff = 16

// errWatchEnds is a failure after which another poll would ask a human again.
var errWatchEnds = errors.New("the secrets are no longer watched")

// Watcher looks for new versions of a command's secrets.
type Watcher struct {
	p       plan
	session *vault.Session
	log     *slog.Logger
	last    map[string]string // fingerprints
	wait    func(context.Context, time.Duration) error
}

func newWatcher(p plan, session *vault.Session, first snapshot, log *slog.Logger) *Watcher {
	// Retries are worth a warning where they hold up a start, and here they
	// hold up nothing.
	session.Quiet()
	return &Watcher{p: p, session: session, log: log, last: fingerprints(first), wait: sleep}
}

// Run polls the secrets about once in an interval until ctx ends, and calls act
// with a command that has all of the new ones, never with fewer: a vault that
// is down, denies access or sends an invalid reply leads to one warning and to
// longer intervals.
func (w *Watcher) Run(ctx context.Context, act func(*Start)) {
	defer w.session.Close()
	troubles := 0
	for {
		interval := w.p.cfg.Watch * time.Duration(min(1<<min(troubles, 10), maxBackOff))
		if w.wait(ctx, jitter(interval)) != nil {
			return
		}
		start, err := w.poll(ctx)
		if ctx.Err() != nil {
			return
		}
		switch {
		case err == nil && troubles > 0:
			w.log.Warn("checking for new secrets works again")
			troubles = 0
		case errors.Is(err, errWatchEnds):
			w.log.Warn(err.Error() + ": the command keeps those it has")
			return
		case err != nil:
			if troubles == 0 {
				w.log.Warn(fmt.Sprintf("checking for new secrets failed: %s; the command keeps those it has", exit.AsErrors(err)[0].Msg))
			}
			troubles++
		}
		if start != nil {
			act(start)
		}
	}
}

// poll returns a command if anything has changed, nil if nothing has. The
// command gets what the poll found: another read might find something else.
func (w *Watcher) poll(ctx context.Context) (*Start, error) {
	w.session.ResetBudget()
	polled := poll(ctx, w.session, w.p)
	if err := w.failure(polled); err != nil {
		return nil, err
	}
	now := fingerprints(polled)
	if maps.Equal(now, w.last) {
		return nil, nil
	}
	resolutions, err := complete(ctx, w.session, w.p, polled, w.log)
	if err != nil {
		return nil, err
	}
	start, err := build(w.p, resolutions)
	if err == nil {
		w.last = now
	}
	return start, err
}

// failure returns what makes a poll inconclusive. That a secret does not exist
// is an answer like any other, and left to complete.
func (w *Watcher) failure(polled snapshot) error {
	var failed []*vault.Error
	for _, r := range polled.secrets {
		failed = append(failed, r.Err)
	}
	for _, l := range polled.listings {
		failed = append(failed, l.err)
	}
	var inconclusive error
	for _, e := range failed {
		switch {
		case e == nil || e.Reason == vault.NotFound:
		case e.Reason == vault.Pending, e.Status == 401 && w.session.Approved():
			return fmt.Errorf("a new token needs a human's approval: %w", errWatchEnds)
		default:
			inconclusive = &exit.Error{Code: codeOf(e.Reason), Msg: e.Error(), Err: e}
		}
	}
	return inconclusive
}

// fingerprints identify the state of every secret of a poll: for those of a
// namespace by the listing's version, which costs one request for all of them.
func fingerprints(polled snapshot) map[string]string {
	prints := make(map[string]string)
	for ref, r := range polled.secrets {
		if r.Err == nil {
			sum := sha256.Sum256([]byte(r.Value.Reveal()))
			prints[string(ref)] = fmt.Sprintf("%d %x", r.Version, sum)
		}
	}
	for _, l := range polled.listings {
		for _, item := range l.items {
			prints["listed "+string(item.Ref)] = fmt.Sprint(item.Version)
		}
	}
	return prints
}

// jitter spreads the polls of a fleet that was started together.
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
