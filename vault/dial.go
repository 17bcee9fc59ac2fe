package vault

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// stagger is how long an address is waited for before the next is tried beside
// it. Few connections take longer to open, and five dead addresses cost a second.
const stagger = 200 * time.Millisecond

// dialer opens connections to whichever address of a name is the first to
// answer (RFC 8305).
type dialer struct {
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
	dial   func(ctx context.Context, network, address string) (net.Conn, error)

	mu      sync.Mutex
	shunned map[string]bool // addresses that were slow or broke: the others come first
}

func newDialer() *dialer {
	return &dialer{lookup: net.DefaultResolver.LookupNetIP, dial: new(net.Dialer).DialContext, shunned: make(map[string]bool)}
}

// DialContext is a net.Dialer's.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return d.dial(ctx, network, address)
	}
	ips, err := d.lookup(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	addresses := make([]string, len(ips))
	for i, ip := range interleave(ips) {
		addresses[i] = net.JoinHostPort(ip.String(), port)
	}
	if len(addresses) == 1 {
		return d.dial(ctx, network, addresses[0])
	}
	return d.race(ctx, network, d.order(addresses))
}

// interleave lets the families of addresses take turns, the first one's first,
// and keeps the order within each.
func interleave(ips []netip.Addr) []netip.Addr {
	var turns [2][]netip.Addr
	for _, ip := range ips {
		ip = ip.Unmap()
		family := 0
		if ip.Is4() != ips[0].Unmap().Is4() {
			family = 1
		}
		turns[family] = append(turns[family], ip)
	}
	var mixed []netip.Addr
	for i := range ips {
		for _, family := range turns {
			if i < len(family) {
				mixed = append(mixed, family[i])
			}
		}
	}
	return mixed
}

// shun puts addresses after the others of their name from now on.
func (d *dialer) shun(addresses ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range addresses {
		d.shunned[a] = true
	}
}

// order puts the shunned addresses last. Where all are, none is any longer.
func (d *dialer) order(addresses []string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var good, bad []string
	for _, a := range addresses {
		if d.shunned[a] {
			bad = append(bad, a)
		} else {
			good = append(good, a)
		}
	}
	if good == nil {
		clear(d.shunned)
	}
	return append(good, bad...)
}

// dialed is what dialing an address came to.
type dialed struct {
	c       net.Conn
	err     error
	address string
}

// race dials one address after another, the next as soon as one fails or has
// not answered for a while. The first connection wins; what came before it is
// shunned. The error is the first one's.
func (d *dialer) race(ctx context.Context, network string, addresses []string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ends := make(chan dialed, len(addresses))
	next, running := 0, 0
	var firstErr error
	for turn := time.NewTimer(0); ; {
		select {
		case <-turn.C:
			address := addresses[next]
			go func() {
				c, err := d.dial(ctx, network, address)
				ends <- dialed{c, err, address}
			}()
			if next, running = next+1, running+1; next < len(addresses) {
				turn.Reset(stagger)
			}
		case e := <-ends:
			if running--; e.err == nil {
				d.shun(addresses[:slices.Index(addresses, e.address)]...)
				go closeAll(ends, running)
				return e.c, nil
			}
			if firstErr == nil {
				firstErr = e.err
			}
			if next < len(addresses) {
				turn.Reset(0)
			} else if running == 0 {
				return nil, firstErr
			}
		}
	}
}

// closeAll closes the connections that were made too late.
func closeAll(ends <-chan dialed, running int) {
	for range running {
		if e := <-ends; e.err == nil {
			e.c.Close()
		}
	}
}
