package vault

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// budget is what the requests of one round share: the time and bytes they may
// take together, and since when the vault has been refusing them.
type budget struct {
	now          func() time.Time
	deadline     time.Time        // zero: none
	firstRefusal func() time.Time // by an overloaded vault: the time of the first call
	received     atomic.Int64     // bytes of replies
}

func (b *budget) reset(timeout time.Duration) {
	if timeout > 0 {
		b.deadline = b.now().Add(timeout)
	}
	b.firstRefusal = sync.OnceValue(b.now)
	b.received.Store(0)
}

// extend gives the budget the time back that a human took.
func (b *budget) extend(d time.Duration) {
	if !b.deadline.IsZero() {
		b.deadline = b.deadline.Add(d)
	}
}

// context ends with the budget.
func (b *budget) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if b.deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, b.deadline.Sub(b.now()))
}

// readBody reads a reply's body. All good replies are bounded together while
// they are read: hundreds may be at once.
func (b *budget) readBody(resp *http.Response) ([]byte, error) {
	m := &meter{r: io.LimitReader(resp.Body, maxBody+1), total: &b.received}
	body, err := io.ReadAll(m)
	if resp.StatusCode/100 != 2 || err != nil && !errors.Is(err, errTooMuch) {
		b.received.Add(-m.n) // an error's body is not kept
	}
	return body, err
}

// errTooMuch is what reading ends with once a round has had its share.
var errTooMuch = errors.New("the replies are larger than 64 MiB in total")

// meter adds what it reads to a total.
type meter struct {
	r     io.Reader
	total *atomic.Int64
	n     int64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.n += int64(n)
	if m.total.Add(int64(n)) > maxRound {
		return n, errTooMuch
	}
	return n, err
}
