package vault

import (
	"context"
	"net/http/httptrace"
	"sync"
	"time"
)

// seat is a place on a connection, given to one of many requests before any of
// them is sent: so they are spread evenly, and it is known when the last one of
// a connection is written.
type seat struct{ c *conn }

// take returns the connection; only once, and not to a request without a seat.
func (s *seat) take() (*conn, bool) {
	if s == nil || s.c == nil {
		return nil, false
	}
	c := s.c
	s.c = nil
	return c, true
}

// seats gives up to n requests a seat each, as far as there are free places on
// HTTP/2 connections. Each has to be taken, and the place put back. The kernel
// holds back what is written to these connections until all is.
func (p *pool) seats(ctx context.Context, n int) []*seat {
	seats := make([]*seat, n)
	if n < 2 {
		return seats
	}
	p.awaitSpares(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range seats {
		c := p.free()
		if c == nil || !c.h2 {
			break
		}
		c.inFlight++
		if c.writing.Add(1) == 1 {
			cork(c.tcp, true)
		}
		seats[i] = &seat{c}
	}
	return seats
}

// bundle returns a context under which the seated request tells that it is
// written. So does written, for one that failed before.
func (c *conn) bundle(ctx context.Context) (_ context.Context, written func()) {
	written = sync.OnceFunc(func() {
		if c.writing.Add(-1) == 0 {
			cork(c.tcp, false)
		}
	})
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: written}), written
}

// awaitSpares waits for the spare connections, which are due when the first
// one has brought the token, but for no longer than they may save.
func (p *pool) awaitSpares(ctx context.Context) {
	if p.roundTrip == 0 {
		return
	}
	open := make(chan struct{})
	go func() { p.opening.Wait(); close(open) }()
	patience := time.NewTimer(p.roundTrip)
	defer patience.Stop()
	select {
	case <-open:
	case <-patience.C:
	case <-ctx.Done():
	}
}
