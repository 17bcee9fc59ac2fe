package vault

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Waits are drawn from zero to a bound that doubles from firstWait to maxWait
// ("full jitter"), so that containers started together do not come back
// together.
const (
	firstWait = 200 * time.Millisecond
	maxWait   = 5 * time.Second

	// An overloaded vault tells a whole fleet to come back in the same second.
	// Instead, a request comes back at a random time within this long of its
	// session's first refusal: that brings the fleet down to about the vault's
	// rate, and what is refused late waits less.
	spread = 6 * time.Second

	// Where the vault names no time, even a single start may have met its limit,
	// and the wait may be short: the spread begins with this, and quadruples.
	firstSpread = 800 * time.Millisecond
)

// retry calls try until it succeeds, fails for good, or the budget ends. It
// returns the last failure of try itself, not the end of the budget, with the
// number of attempts.
func (s *Session) retry(ctx context.Context, req request, try func(context.Context) *Error) *Error {
	ctx, cancel := s.budget.context(ctx)
	defer cancel()
	var last *Error
	attempts := 0
	operation := func() error {
		attempts++
		err := try(ctx)
		if err == nil {
			last = nil
			return nil
		}
		cutShort := ended(ctx)
		if last == nil || !cutShort { // else the failure before says more
			last = err
			last.Op, last.Attempts = req.op, attempts
		}
		if cutShort || !err.temporary() {
			return backoff.Permanent(err)
		}
		return err
	}
	policy := &policy{BackOff: jitter(), last: &last, budget: &s.budget}
	notify := func(_ error, wait time.Duration) {
		if s.client.OnRetry != nil {
			s.client.OnRetry(last, wait)
		}
	}
	err := backoff.RetryNotifyWithTimer(operation, backoff.WithContext(policy, ctx), notify, s.client.timer())
	if err != nil && last == nil {
		last = &Error{Reason: Unavailable, Op: req.op, Text: "no time left", Err: err}
	}
	return last
}

// ended reports whether ctx is over. A dial that has no time left fails by the
// clock, which may be a moment before the context's own timer does.
func ended(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

func jitter() backoff.BackOff {
	b := backoff.NewExponentialBackOff()
	// A factor of one makes it zero to twice the interval: full jitter.
	b.InitialInterval, b.MaxInterval = firstWait/2, maxWait/2
	b.Multiplier, b.RandomizationFactor = 2, 1
	b.MaxElapsedTime = 0 // the context ends it
	b.Reset()
	return b
}

// policy is how long to wait before another attempt: as long as the server asks
// for, and jitter on top, after a refusal at most half of what is then left. If
// the budget ends before that, there is no other attempt.
type policy struct {
	backoff.BackOff
	last     **Error
	budget   *budget
	refusals int // of this request, without a Retry-After
}

func (p *policy) NextBackOff() time.Duration {
	wait, left := p.BackOff.NextBackOff(), time.Duration(math.MaxInt64)
	if !p.budget.deadline.IsZero() {
		left = p.budget.deadline.Sub(p.budget.now())
	}
	if err := *p.last; err.Status == http.StatusTooManyRequests || err.retryAfter > 0 {
		first := p.budget.firstRefusal()
		window := spread - p.budget.now().Sub(first)
		if err.retryAfter == 0 {
			window = min(window, firstSpread<<min(2*p.refusals, 4))
			p.refusals++
		}
		wait = err.retryAfter + max(wait, rand.N(max(1, min(window, (left-err.retryAfter)/2))))
	}
	if wait > left {
		return backoff.Stop
	}
	return wait
}
