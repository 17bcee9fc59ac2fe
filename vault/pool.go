package vault

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// attemptTimeout bounds one request, and the opening of one connection, so
	// that two fit into the thirty seconds after which an orchestrator loses
	// patience.
	attemptTimeout = 10 * time.Second
	connectTimeout = 8 * time.Second // less, so that the cause is reported
	tlsTimeout     = 5 * time.Second
	maxStreams     = 100 // what servers commonly allow on one HTTP/2 connection
	maxHTTP1Conns  = 6   // as browsers: a small server queues few, and drops the rest for a second
)

// pool holds the connections to the vault. It opens them itself instead of
// leaving that to http.Transport, whose own pool answers a GOAWAY with
// immediate retries without end and a full connection with more of them.
type pool struct {
	scheme, address string
	tlsProxy        bool // a proxy that is spoken to over TLS
	dialer          *dialer
	transport       *http.Transport // HTTP/2 where the server has it
	http1Transport  *http.Transport

	mu          sync.Mutex // held by the callers of wake, free, streams and mayDial
	conns       []*conn
	dialing     int
	closed      bool
	extra       extraConns
	http1Only   bool            // since the server did not take HTTP/2, or a connection with it failed
	tookHTTP2   bool            // once
	http2Only   bool            // since the server has no HTTP/1.1 to go on with
	streamLimit int             // seen before a batch; 0: none yet
	waiters     []chan struct{} // of requests without a place, in their order
}

// conn is one connection and the requests in flight on it.
type conn struct {
	*http.ClientConn
	tcp       net.Conn // what is below it, for cork
	h2        bool
	unsure    bool         // whether the server has HTTP/1.1
	unwritten atomic.Int64 // requests with a slot; corked while there are any
	inFlight  int
	idleSince time.Time // over HTTP/1.1
	broken    bool
	last      object // the previous reply, over HTTP/1.1
}

func newPool(base *url.URL, roots func() (*x509.CertPool, error), http1Only bool, secrets int) *pool {
	p := &pool{scheme: base.Scheme, address: base.Host, dialer: newDialer(), extra: newExtraConns(secrets), http1Only: http1Only}
	if base.Port() == "" {
		p.address = net.JoinHostPort(base.Hostname(), map[string]string{"http": "80", "https": "443"}[base.Scheme])
	}
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: base}); err == nil && proxy != nil {
		p.tlsProxy = proxy.Scheme == "https"
	}
	p.transport = p.newTransport(roots, true)
	p.http1Transport = p.newTransport(roots, false)
	return p
}

func (p *pool) newTransport(roots func() (*x509.CertPool, error), h2 bool) *http.Transport {
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    tlsTimeout,
		DisableCompression:     true, // a small reply must not unpack to a large one
		MaxResponseHeaderBytes: 64 << 10,
		Protocols:              new(http.Protocols),
		OnProxyConnectResponse: func(_ context.Context, proxy *url.URL, _ *http.Request, r *http.Response) error {
			if r.StatusCode != http.StatusOK {
				return &proxyError{proxy.Host, r.StatusCode}
			}
			return nil
		},
	}
	t.Protocols.SetHTTP1(true)
	t.Protocols.SetHTTP2(h2)
	if !h2 {
		t.TLSClientConfig.NextProtos = []string{"http/1.1"} // a Transport would offer nothing
	}
	var once sync.Once
	var rootsErr error
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		start := time.Now()
		c, err := p.dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if address == p.address {
			p.openExtraConns(time.Since(start)) // a proxy may refuse us: it is asked once
		}
		if p.scheme == "https" || p.tlsProxy {
			// Here, because the roots are read while the connection is made,
			// and no handshake can begin before this returns.
			once.Do(func() { t.TLSClientConfig.RootCAs, rootsErr = roots() })
		}
		if rootsErr != nil {
			c.Close()
			return nil, rootsErr
		}
		if dialed, ok := ctx.Value(dialedKey{}).(*conn); ok {
			dialed.tcp = c
		}
		return c, nil
	}
	if p.tlsProxy {
		t.DialTLSContext = dialTLSProxy(t)
	}
	return t
}

// dialTLSProxy returns a function that opens a TLS connection to a proxy. A
// Transport's own would offer HTTP/2 there too, and then send a CONNECT of
// HTTP/1.1.
func dialTLSProxy(t *http.Transport) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		tcp, err := t.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		config := t.TLSClientConfig.Clone()
		config.ServerName, config.NextProtos = host, []string{"http/1.1"}
		c := tls.Client(tcp, config)
		ctx, cancel := context.WithTimeout(ctx, t.TLSHandshakeTimeout)
		defer cancel()
		if err := c.HandshakeContext(ctx); err != nil {
			tcp.Close()
			return nil, err
		}
		return c, nil
	}
}

// dialedKey carries, through a context, the conn that is being dialed.
type dialedKey struct{}

// get returns a connection with a place on it, a new one if none has and one
// may be opened, or if it has to be fresh. Each get is followed by one put.
func (p *pool) get(ctx context.Context, fresh bool) (*conn, error) {
	for {
		p.mu.Lock()
		if c := p.free(); c != nil && !fresh {
			c.inFlight++
			p.mu.Unlock()
			return c, nil
		}
		if fresh || p.mayDial() {
			p.dialing++
			p.mu.Unlock()
			return p.dial(ctx)
		}
		woken := make(chan struct{})
		p.waiters = append(p.waiters, woken)
		p.mu.Unlock()
		select {
		case <-woken:
		case <-ctx.Done():
			p.leave(woken)
			return nil, ctx.Err()
		}
	}
}

// wake lets up to n waiters look for a place again.
func (p *pool) wake(n int) {
	n = min(n, len(p.waiters))
	for _, woken := range p.waiters[:n] {
		close(woken)
	}
	p.waiters = p.waiters[n:]
}

// leave takes a waiter out of the queue. One that was woken at the same moment
// passes that on.
func (p *pool) leave(waiter chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiters, waiter); i >= 0 {
		p.waiters = slices.Delete(p.waiters, i, i+1)
		return
	}
	p.wake(1)
}

// free finds the usable connection with the fewest requests on it.
func (p *pool) free() *conn {
	var best *conn
	streams := p.streams()
	for _, c := range p.conns {
		limit := 1
		if c.h2 {
			limit = min(streams, c.Available()+c.InFlight())
		}
		if !c.usable(p.http1Only) || c.inFlight >= limit {
			continue
		}
		if best == nil || c.inFlight < best.inFlight {
			best = c
		}
	}
	return best
}

// streams is how many requests an HTTP/2 connection takes at once. A limit seen
// on one holds for all: a new one may not have received it yet.
func (p *pool) streams() int {
	streams := cmp.Or(p.streamLimit, maxStreams)
	for _, c := range p.conns {
		if !c.h2 {
			continue
		}
		if available := c.Available(); available > 0 {
			streams = min(streams, available+c.InFlight())
		}
	}
	return streams
}

func (c *conn) usable(http1Only bool) bool {
	if c.broken || c.h2 && http1Only || c.Err() != nil {
		return false
	}
	// An idle HTTP/2 connection without a free stream has seen a GOAWAY.
	return !c.h2 || c.Available() > 0 || c.InFlight() > 0
}

// mayDial allows one connection until it is known what the server speaks, and
// a few where each carries one request at a time.
func (p *pool) mayDial() bool {
	usable, limit := 0, 1
	for _, c := range p.conns {
		if c.usable(p.http1Only) {
			usable++
		}
	}
	if p.http1Only {
		limit = maxHTTP1Conns
	}
	return usable+p.dialing < limit
}

func (p *pool) dial(ctx context.Context) (*conn, error) {
	p.mu.Lock()
	transport, fallback := p.transport, p.http1Only && p.tookHTTP2
	if p.http1Only {
		transport = p.http1Transport
	}
	p.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	c := &conn{inFlight: 1}
	ctx = context.WithValue(ctx, dialedKey{}, c)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeDone: func(s tls.ConnectionState, _ error) {
			c.h2, c.unsure = s.NegotiatedProtocol == "h2", fallback && s.NegotiatedProtocol == ""
		},
	})
	cc, err := transport.NewClientConn(ctx, p.scheme, p.address)

	p.mu.Lock()
	defer p.mu.Unlock()
	p.dialing--
	defer p.wake(maxStreams)
	if err != nil {
		if c.unsure && strings.HasSuffix(err.Error(), "tls: no application protocol") {
			p.leaveHTTP1()
		}
		p.shun(c)
		return nil, err
	}
	if p.closed {
		_ = cc.Close()
		return nil, net.ErrClosed
	}
	c.ClientConn = cc
	p.tookHTTP2 = p.tookHTTP2 || c.h2
	p.http1Only = p.http1Only || !c.h2
	p.conns = append(p.conns, c)
	return c, nil
}

// leaveHTTP1 goes back to HTTP/2, for good: the server has nothing else.
func (p *pool) leaveHTTP1() { p.http1Only, p.http2Only = false, true }

// shun lets the next connection begin at another address than c's, if the
// name has another.
func (p *pool) shun(c *conn) {
	if c.tcp != nil {
		p.dialer.shun(c.tcp.RemoteAddr().String())
	}
}

// condition is what a request left its connection in.
type condition int

const (
	reusable condition = iota
	finished           // the server closes it
	failed             // it broke, or no reply came in time
)

// put gives a place back. A connection that is not reusable takes no new
// request and is closed when the last one on it has ended; after an HTTP/2 one
// failed, what is left to do is done over HTTP/1.1.
func (p *pool) put(c *conn, left condition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.inFlight--
	c.broken = c.broken || left != reusable
	if left == failed {
		p.http1Only = p.http1Only || c.h2 && !p.http2Only
		p.shun(c)
	}
	if left == failed && c.unsure && c.last == nil {
		p.leaveHTTP1()
	}
	switch {
	case c.inFlight > 0:
	case !c.usable(p.http1Only):
		p.remove(c)
	case c.last != nil: // over HTTP/1.1, and not opened ahead of its requests
		c.idleSince = time.Now()
		time.AfterFunc(maxIdle, func() { p.closeIfInTheWay(c) })
	}
	p.wake(1)
}

// maxIdle is how long a connection may be idle while others wait for a reply.
const maxIdle = 50 * time.Millisecond

// closeIfInTheWay closes a connection that has been idle for so long: a small
// server serves one up to its end before it looks at the next.
func (p *pool) closeIfInTheWay(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	busy := func(other *conn) bool { return other.inFlight > 0 }
	if c.inFlight == 0 && time.Since(c.idleSince) >= maxIdle && (p.dialing > 0 || slices.ContainsFunc(p.conns, busy)) {
		c.broken = true
		p.remove(c)
	}
}

// remove closes a connection on which no request is left.
func (p *pool) remove(c *conn) {
	_ = c.Close()
	p.conns = slices.DeleteFunc(p.conns, func(other *conn) bool { return other == c })
}

// settle returns the condition that a reply leaves an HTTP/1.1 connection in;
// err is what was wrong with the reply. Whatever bytes come next would answer
// the next request, even a second copy of this reply, which a front may send. So
// the connection is reused only after a reply that cannot be taken for the
// answer to another request; and if a second copy comes all the same, err says
// so, and the request is sent again.
func (c *conn) settle(req request, r *reply, left condition, err *Error) condition {
	if err != nil {
		err.duplicate = c.last != nil && reflect.DeepEqual(r.object, c.last)
	}
	c.last = r.object
	if err != nil || !r.object.identifies(req.op) {
		return finished
	}
	return left
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}
