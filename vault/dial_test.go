package vault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeNet answers dials as its table says: an address that is not in it never
// does. It notes each dial, and what became of a connection.
type fakeNet struct {
	after map[string]time.Duration // that a connection takes; negative: to be refused

	mu    sync.Mutex
	start time.Time
	notes []string
}

type fakeConn struct {
	net.Conn
	n       *fakeNet
	address string
}

func (c *fakeConn) Close() error { c.n.note("close " + c.address); return nil }

func (n *fakeNet) note(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notes = append(n.notes, fmt.Sprintf("%dms %s", time.Since(n.start).Milliseconds(), text))
}

func (n *fakeNet) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.note(address)
	after, ok := n.after[address]
	if !ok {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	time.Sleep(max(after, -after)) // whatever ctx says: a connection may be made too late
	if after < 0 {
		return nil, errors.New(address + " refused")
	}
	return &fakeConn{n: n, address: address}, nil
}

// dialAll dials the same name so many times, one after the other, and returns
// what was dialed when, and to what it led.
func dialAll(times int, after map[string]time.Duration, address string, ips ...string) string {
	n := &fakeNet{after: after, start: time.Now()}
	d := newDialer()
	d.dial = n.dial
	d.lookup = func(context.Context, string, string) (addresses []netip.Addr, err error) {
		for _, ip := range ips {
			addresses = append(addresses, netip.MustParseAddr(ip))
		}
		return addresses, nil
	}
	for range times {
		c, err := d.DialContext(context.Background(), "tcp", address)
		if err != nil {
			n.note(err.Error())
			continue
		}
		n.note("got " + c.(*fakeConn).address)
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	return strings.Join(n.notes, ", ")
}

func TestFirstAddressToAnswerWins(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		claim string
		times int
		after map[string]time.Duration
		name  string
		ips   string
		want  string
	}{
		{"a literal is not looked up", 1, map[string]time.Duration{"[::1]:1": ms}, "[::1]:1", "", "0ms [::1]:1, 1ms got [::1]:1"},
		{"one address has all the time", 1, map[string]time.Duration{"10.0.0.1:1": 3000 * ms}, "v:1", "10.0.0.1", "0ms 10.0.0.1:1, 3000ms got 10.0.0.1:1"},
		{"the first is soon enough", 1, map[string]time.Duration{"10.0.0.1:1": 199 * ms}, "v:1", "10.0.0.1 10.0.0.2", "0ms 10.0.0.1:1, 199ms got 10.0.0.1:1"},
		{
			"families take turns, and five are dead", 1,
			map[string]time.Duration{"[fd::4]:1": ms},
			"v:1", "fd::1 fd::2 fd::3 fd::4 10.0.0.1 ::ffff:10.0.0.2",
			"0ms [fd::1]:1, 200ms 10.0.0.1:1, 400ms [fd::2]:1, 600ms 10.0.0.2:1, 800ms [fd::3]:1, 1000ms [fd::4]:1, 1001ms got [fd::4]:1",
		},
		{
			"after a refusal the next is tried at once", 1,
			map[string]time.Duration{"10.0.0.1:1": -ms, "10.0.0.2:1": -ms, "10.0.0.3:1": ms},
			"v:1", "10.0.0.1 10.0.0.2 10.0.0.3",
			"0ms 10.0.0.1:1, 1ms 10.0.0.2:1, 2ms 10.0.0.3:1, 3ms got 10.0.0.3:1",
		},
		{
			"the loser is closed", 1,
			map[string]time.Duration{"10.0.0.1:1": 300 * ms, "10.0.0.2:1": 50 * ms},
			"v:1", "10.0.0.1 10.0.0.2",
			"0ms 10.0.0.1:1, 200ms 10.0.0.2:1, 250ms got 10.0.0.2:1, 300ms close 10.0.0.1:1",
		},
		{
			"the next dial begins with what won", 2,
			map[string]time.Duration{"10.0.0.2:1": ms},
			"v:1", "10.0.0.1 10.0.0.2",
			"0ms 10.0.0.1:1, 200ms 10.0.0.2:1, 201ms got 10.0.0.2:1, 201ms 10.0.0.2:1, 202ms got 10.0.0.2:1",
		},
		{
			"all refuse", 1,
			map[string]time.Duration{"10.0.0.1:1": -2 * ms, "10.0.0.2:1": -ms},
			"v:1", "10.0.0.1 10.0.0.2",
			"0ms 10.0.0.1:1, 2ms 10.0.0.2:1, 3ms 10.0.0.1:1 refused",
		},
		{"all are dead", 1, nil, "v:1", "10.0.0.1 10.0.0.2", "0ms 10.0.0.1:1, 200ms 10.0.0.2:1, 8000ms context deadline exceeded"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := dialAll(tt.times, tt.after, tt.name, strings.Fields(tt.ips)...); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			})
		})
	}
}

func TestShunnedAddressesComeLast(t *testing.T) {
	d := newDialer()
	d.shun("a")
	for range 2 {
		if got := fmt.Sprint(d.order([]string{"a", "b", "c"})); got != "[b c a]" {
			t.Errorf("got %s", got)
		}
	}
	d.shun("b", "c")
	for range 2 {
		if got := fmt.Sprint(d.order([]string{"a", "b", "c"})); got != "[a b c]" {
			t.Errorf("got %s where all are shunned", got)
		}
	}
	d.shun("a")
	if got := fmt.Sprint(d.order([]string{"a", "b", "c"})); got != "[b c a]" {
		t.Errorf("got %s, though all but a have a new chance", got)
	}
}
