package vault

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"
)

// burst holds back a connection's packets until all requests of a batch are
// written. A nil burst holds back nothing.
type burst struct {
	c    *conn
	left atomic.Int64
}

// burst corks the HTTP/2 connection, if there is one, for a batch of n
// requests, or as many of them as the server takes at once.
func (p *pool) burst(n int) *burst {
	p.mu.Lock()
	c := p.free()
	p.mu.Unlock()
	if c == nil || !c.h2 {
		return nil
	}
	n = min(n, maxStreams, c.Available())
	if n < 2 {
		return nil
	}
	b := &burst{c: c}
	b.left.Store(int64(n))
	cork(c.tcp, true)
	return b
}

// watch has the batch know when the request under ctx is written.
func (b *burst) watch(ctx context.Context) context.Context {
	if b == nil {
		return ctx
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() {
			if b.left.Add(-1) == 0 {
				cork(b.c.tcp, false)
			}
		},
	})
}

// release ends the batch, whether or not every request was written.
func (b *burst) release() {
	if b != nil {
		cork(b.c.tcp, false)
	}
}
