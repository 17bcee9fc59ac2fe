package vault

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

func idlePool(http1Only bool, secrets int) *pool {
	return newPool(&url.URL{Scheme: "http", Host: "vault"}, nil, http1Only, secrets)
}

func TestManySecretsAreWorthMoreConnections(t *testing.T) {
	for secrets, want := range map[int]int{0: 0, 1: 0, 49: 0, 50: 1, 100: 2, 349: 6, 350: 7, 5000: 7} {
		if got := idlePool(false, secrets).extra.n; got != want {
			t.Errorf("%d secrets: got %d extra connections, want %d", secrets, got, want)
		}
	}
}

func TestExtraConnectionsAreOpenedOnceAndOnlyOnLongRoundTrips(t *testing.T) {
	for _, tt := range []struct {
		rtt  time.Duration
		want int64
	}{
		{5*time.Millisecond - 1, 1},
		{5 * time.Millisecond, 3},
	} {
		c, v, l := devClient(t, &http.HTTP2Config{}, devvault.Config{})
		_, scopes := fill(v, 1)
		s, err := c.Open(t.Context(), scopes)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.pool.extra.n = newExtraConns(100).n
		for range 2 {
			s.pool.openExtraConns(tt.rtt)
			s.pool.extra.opening.Wait()
		}
		if got := l.n.Load(); got != tt.want || len(s.pool.conns) != int(tt.want) {
			t.Errorf("%s: got %d connections, %d of them in the pool; want %d", tt.rtt, got, len(s.pool.conns), tt.want)
		}
		for i, conn := range s.pool.conns {
			if conn.inFlight != 0 {
				t.Errorf("%s: connection %d has no request, and counts %d", tt.rtt, i, conn.inFlight)
			}
		}
	}
}

func TestExtraConnectionsAreAwaitedNoLongerThanTheyMaySave(t *testing.T) {
	for _, tt := range []struct {
		claim     string
		rtt, open time.Duration
		canceled  time.Duration
		want      time.Duration
	}{
		{"none", 0, time.Hour, time.Hour, 0},
		{"open in time", 80 * time.Millisecond, 30 * time.Millisecond, time.Hour, 30 * time.Millisecond},
		{"late", 80 * time.Millisecond, time.Second, time.Hour, 80 * time.Millisecond},
		{"not wanted any longer", 80 * time.Millisecond, time.Second, 10 * time.Millisecond, 10 * time.Millisecond},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := idlePool(false, 100)
				p.extra.rtt = tt.rtt
				p.extra.opening.Go(func() { time.Sleep(tt.open) })
				ctx, cancel := context.WithTimeout(t.Context(), tt.canceled)
				defer cancel()
				start := time.Now()
				p.awaitExtraConns(ctx)
				if got := time.Since(start); got != tt.want {
					t.Errorf("waited %s, want %s", got, tt.want)
				}
				p.extra.opening.Wait()
			})
		})
	}
}

func TestOneConnectionUntilTheServerIsKnown(t *testing.T) {
	p := idlePool(false, 1)
	dialed := 0
	dial := func() {
		for p.mayDial() && dialed < 100 {
			p.dialing++
			dialed++
		}
	}
	if dial(); dialed != 1 {
		t.Errorf("got %d connections to an unknown server, want 1", dialed)
	}
	p.http1Only = true
	if dial(); dialed != maxHTTP1Conns {
		t.Errorf("got %d connections over HTTP/1.1, want %d", dialed, maxHTTP1Conns)
	}
}

// A place that comes free goes to one waiter: if that one is gone, to the next.
func TestWaiterThatLeavesPassesItsPlaceOn(t *testing.T) {
	for _, woken := range []bool{true, false} {
		p := idlePool(false, 1)
		first, second := make(chan struct{}), make(chan struct{})
		p.waiters = []chan struct{}{first, second}
		if woken {
			p.wake(1)
		}
		p.leave(first)
		got := false
		select {
		case <-second:
			got = true
		default:
		}
		if got != woken {
			t.Errorf("the first was woken: %v; got the second one woken: %v", woken, got)
		}
	}
}

func TestWaitForAPlaceEndsWithItsContext(t *testing.T) {
	p := idlePool(false, 1)
	p.dialing = 1 // so that there is no place
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.get(ctx, false); !errors.Is(err, context.Canceled) || len(p.waiters) != 0 {
		t.Errorf("got %v, %d waiters are left", err, len(p.waiters))
	}
}

func TestSlotIsClaimedOnce(t *testing.T) {
	s := &slot{&conn{}}
	var none *slot
	_, first := s.claim()
	_, second := s.claim()
	_, without := none.claim()
	if !first || second || without {
		t.Errorf("got %v, %v, and %v without a slot; want true, false, false", first, second, without)
	}
}

// A single request needs no slot, and over HTTP/1.1 there are none.
func TestSlotsAreForManyRequestsOverHTTP2(t *testing.T) {
	for _, tt := range []struct {
		h2       *http.HTTP2Config
		n, slots int
	}{{&http.HTTP2Config{}, 1, 0}, {&http.HTTP2Config{}, 2, 2}, {nil, 2, 0}} {
		c, v, _ := devClient(t, tt.h2, devvault.Config{})
		_, scopes := fill(v, 1)
		s, err := c.Open(t.Context(), scopes)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		got := 0
		for _, slot := range s.pool.reserve(t.Context(), tt.n) {
			if slot != nil {
				got++
			}
		}
		if got != tt.slots {
			t.Errorf("HTTP/2 %v, %d requests: got %d slots, want %d", tt.h2 != nil, tt.n, got, tt.slots)
		}
	}
}

// HTTP/1.1 is what a broken HTTP/2 connection leaves, and a closed pool opens
// nothing.
func TestConnectionsAreLeftAsTheirRequestsEnd(t *testing.T) {
	for _, tt := range []struct {
		left      condition
		kept      int
		http1Only bool
	}{{reusable, 1, false}, {finished, 0, false}, {failed, 0, true}} {
		c, v, _ := devClient(t, &http.HTTP2Config{}, devvault.Config{})
		_, scopes := fill(v, 1)
		s, err := c.Open(t.Context(), scopes)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := s.pool.get(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		s.pool.put(conn, tt.left)
		if len(s.pool.conns) != tt.kept || s.pool.http1Only != tt.http1Only {
			t.Errorf("%d: got %d connections, http1Only %v; want %d, %v", tt.left, len(s.pool.conns), s.pool.http1Only, tt.kept, tt.http1Only)
		}
		if shunned := s.pool.dialer.shunned[c.URL.Host]; shunned != (tt.left == failed) {
			t.Errorf("%d: the address is shunned: %v", tt.left, shunned)
		}
		s.Close()
		if _, err := s.pool.get(t.Context(), true); err == nil {
			t.Error("a closed pool opens a connection")
		}
	}
}

func TestTransportsAskForWhatIsSafe(t *testing.T) {
	p := idlePool(false, 1)
	for h2, transport := range map[bool]*http.Transport{true: p.transport, false: p.http1Transport} {
		switch {
		case transport.TLSClientConfig.MinVersion != tls.VersionTLS12, transport.TLSClientConfig.InsecureSkipVerify:
			t.Error("TLS is not what it should be")
		case transport.TLSHandshakeTimeout != 5*time.Second:
			t.Errorf("a handshake may take %s", transport.TLSHandshakeTimeout)
		case !transport.DisableCompression, transport.MaxResponseHeaderBytes != 64<<10:
			t.Error("a reply is not bounded")
		case transport.Protocols.HTTP2() != h2 || !transport.Protocols.HTTP1():
			t.Errorf("got %s, HTTP/2 %v", transport.Protocols, h2)
		}
	}
}

// A proxy's refusal is an error of its own, whose text holds none of the
// proxy's.
func TestProxyThatRefusesIsNamed(t *testing.T) {
	for status, want := range map[int]string{
		200: "<nil>", 407: "the proxy proxy:3128 answered Proxy Authentication Required (407)", 299: "the proxy proxy:3128 answered with an unknown status (299)",
	} {
		err := idlePool(false, 1).transport.OnProxyConnectResponse(t.Context(), &url.URL{Host: "proxy:3128"}, nil, &http.Response{StatusCode: status, Status: canaryValue})
		if got := fmt.Sprint(err); got != want {
			t.Errorf("%d: got %s, want %s", status, got, want)
		}
	}
}

// The extra connections are for the vault's own address: a proxy may refuse
// us, and is asked once.
func TestOnlyADialOfTheVaultOpensExtraConnections(t *testing.T) {
	for address, want := range map[string]int{"vault:80": 0, "proxy:3128": 2} {
		p := idlePool(false, 100)
		p.dialer.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.IPv4Unspecified()}, nil
		}
		p.dialer.dial = func(context.Context, string, string) (net.Conn, error) {
			c, _ := net.Pipe()
			return c, nil
		}
		c, err := p.transport.DialContext(t.Context(), "tcp", address)
		if err != nil || p.extra.n != want {
			t.Errorf("%s: %v, %d extra connections are left to open, want %d", address, err, p.extra.n, want)
		}
		c.Close()
	}
}

// Of the connections with the fewest requests, it is the oldest.
func TestRequestGoesToTheConnectionWithTheFewest(t *testing.T) {
	c, v, _ := devClient(t, &http.HTTP2Config{}, devvault.Config{})
	_, scopes := fill(v, 1)
	s, err := c.Open(t.Context(), scopes)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 3 {
		extra, err := s.pool.get(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		s.pool.put(extra, reusable)
	}
	if s.pool.dialing != 0 {
		t.Errorf("%d connections are counted as being opened", s.pool.dialing)
	}
	for i, inFlight := range []int{2, 1, 3, 1} {
		s.pool.conns[i].inFlight = inFlight
	}
	for _, want := range []int{1, 3, 0, 1} {
		best := s.pool.free()
		if best != s.pool.conns[want] {
			t.Fatalf("got connection %d, want %d", slices.Index(s.pool.conns, best), want)
		}
		best.inFlight++
	}
}

// heldReads is a server that says of up to n reads that they have arrived, and
// answers them once answer is closed.
func heldReads(n int) (arrived, answer chan bool, server http.Handler) {
	arrived, answer = make(chan bool, n), make(chan bool)
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/tokens", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"token":"t"}`) })
	mux.HandleFunc("/v1/secrets/", func(w http.ResponseWriter, _ *http.Request) {
		arrived <- true
		<-answer
		io.WriteString(w, `{"value":"v"}`)
	})
	return arrived, answer, mux
}

// What a server takes at once is what it takes more plus what it has.
func TestRequestsUnderWayAreNoRoomLost(t *testing.T) {
	arrived, answer, mux := heldReads(6)
	c, _ := tlsClient(t, &http.HTTP2Config{MaxConcurrentStreams: 10}, mux)
	s, err := c.Open(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var reads sync.WaitGroup
	for range 6 {
		reads.Go(func() { s.Read(t.Context(), []Ref{"a/B"}) })
	}
	release := sync.OnceFunc(func() { close(answer) })
	defer release()
	for range 6 {
		select {
		case <-arrived:
		case <-time.After(10 * time.Second):
			t.Fatal("a request finds no room")
		}
	}
	slots := 0
	for _, slot := range s.pool.reserve(t.Context(), 20) {
		if slot != nil {
			slots++
		}
	}
	if slots != 4 {
		t.Errorf("got %d slots beside 6 requests on a connection of 10 streams", slots)
	}
	release()
	reads.Wait()
}

// A connection with all of its streams in use does not show how many it has, and
// a new one may not have been told yet: what is beyond the limit is refused.
func TestLimitOfAFullConnectionHoldsForANewOne(t *testing.T) {
	const limit = 3
	arrived, answer, mux := heldReads(limit)
	c, _ := tlsClient(t, &http.HTTP2Config{MaxConcurrentStreams: limit}, mux)
	s, err := c.Open(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var reads sync.WaitGroup
	defer reads.Wait()
	defer close(answer)
	reads.Go(func() { s.Read(t.Context(), []Ref{"a/A", "a/B", "a/C"}) })
	for range limit {
		<-arrived
	}

	other, _ := tlsClient(t, &http.HTTP2Config{}, mux) // whose limit is higher, as an unknown one is
	o, err := other.Open(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	fresh := o.pool.conns[0]
	s.pool.conns = append(s.pool.conns, fresh)
	for n := range limit + 1 {
		if fresh.inFlight = n; (s.pool.free() != nil) != (n < limit) {
			t.Errorf("%d requests on it: got %v for the next", n, s.pool.free())
		}
	}
	s.pool.conns = s.pool.conns[:1]
	fresh.inFlight = 0
}

// A connection that the server is closing (GOAWAY) has no place, says nothing
// of how many others have, and goes with its last request.
func TestConnectionThatTheServerClosesTakesNoRequest(t *testing.T) {
	c, v, _ := devClient(t, &http.HTTP2Config{}, devvault.Config{})
	v.Inject(devvault.Fault{Endpoint: "secrets", Kind: "goaway", Count: 1})
	refs, scopes := fill(v, 1)
	s, err := c.Open(t.Context(), scopes)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	conn, err := s.pool.get(t.Context(), false) // keeps it in the pool
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Read(t.Context(), refs)[refs[0]]; r.Err != nil {
		t.Fatal(r.Err)
	}
	for end := time.Now().Add(10 * time.Second); conn.Available() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // until the GOAWAY is there
	}
	if conn.usable(false) || s.pool.free() != nil || s.pool.streams() != maxStreams {
		t.Errorf("usable: %v, free: %v, streams: %d", conn.usable(false), s.pool.free(), s.pool.streams())
	}
	if s.pool.put(conn, reusable); len(s.pool.conns) != 0 {
		t.Errorf("got %d connections in the pool", len(s.pool.conns))
	}
	if r := s.Read(t.Context(), refs)[refs[0]]; r.Err != nil {
		t.Errorf("over a new connection: %v", r.Err)
	}
}
