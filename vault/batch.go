package vault

import (
	"context"
	"net/http/httptrace"
	"sync"
	"time"
)

// Many secrets are read in a batch: all requests at once, in one round trip.
// That takes three things.
//
//   - Extra connections. A new connection carries only so many bytes before the
//     first of them is acknowledged. So for more secrets than fit there are a
//     few more, opened while the token is asked for.
//   - Slots. Each request of the batch gets its place on a connection before
//     any is sent, which spreads them evenly and tells how many a connection
//     has to write.
//   - The cork. The kernel holds back what is written to a connection until the
//     last of its slots is written, so that the requests share packets.

const (
	// secretsPerConn is how many secrets' requests, and their replies, one
	// congestion window carries.
	secretsPerConn = 50
	maxConns       = 8
	// minRTTForExtraConns is the time to connect from which a round trip costs
	// more than a handshake does.
	minRTTForExtraConns = 5 * time.Millisecond
)

// extraConns are the connections beside the first one; their number depends on
// that of the secrets.
type extraConns struct {
	n       int // not opened yet
	opening sync.WaitGroup
	rtt     time.Duration // set before the first request is sent, if there are any
}

func newExtraConns(secrets int) extraConns {
	return extraConns{n: min(maxConns, 1+secrets/secretsPerConn) - 1}
}

// openExtraConns opens them if the first connection took so long that round
// trips cost something.
func (p *pool) openExtraConns(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.extra.n
	p.extra.n = 0
	if n == 0 || took < minRTTForExtraConns {
		return
	}
	p.extra.rtt = took
	p.dialing += n
	for range n {
		p.extra.opening.Go(func() {
			// One that fails is not needed: the first does the work too.
			if c, err := p.dial(context.Background()); err == nil {
				p.put(c, reusable)
			}
		})
	}
}

// awaitExtraConns waits for them, but for no longer than they may save: they are
// due when the first connection has brought the token.
func (p *pool) awaitExtraConns(ctx context.Context) {
	if p.extra.rtt == 0 {
		return
	}
	open := make(chan struct{})
	go func() { p.extra.opening.Wait(); close(open) }()
	patience := time.NewTimer(p.extra.rtt)
	defer patience.Stop()
	select {
	case <-open:
	case <-patience.C:
	case <-ctx.Done():
	}
}

// slot is the place of a request on a connection.
type slot struct{ c *conn }

// claim returns the connection; only once, and not to a request without a slot.
func (s *slot) claim() (*conn, bool) {
	if s == nil || s.c == nil {
		return nil, false
	}
	c := s.c
	s.c = nil
	return c, true
}

// reserve gives up to n requests a slot each, as far as there are free places
// on HTTP/2 connections, and corks these. Each slot has to be claimed, and the
// connection put back.
func (p *pool) reserve(ctx context.Context, n int) []*slot {
	slots := make([]*slot, n)
	if n < 2 {
		return slots
	}
	p.awaitExtraConns(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streamLimit = p.streams() // a connection that is full will not show it
	for i := range slots {
		c := p.free()
		if c == nil || !c.h2 {
			break
		}
		c.inFlight++
		if c.unwritten.Add(1) == 1 {
			cork(c.tcp, true)
		}
		slots[i] = &slot{c}
	}
	return slots
}

// trackWrites returns a context under which a request with a slot counts as
// written once it is. onWritten counts one that failed before.
func (c *conn) trackWrites(ctx context.Context) (_ context.Context, onWritten func()) {
	onWritten = sync.OnceFunc(func() {
		if c.unwritten.Add(-1) == 0 {
			cork(c.tcp, false)
		}
	})
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: onWritten}), onWritten
}
