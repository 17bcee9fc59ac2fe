package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// counting counts the connections that a listener accepts.
type counting struct {
	net.Listener
	n atomic.Int64
}

func (l *counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.n.Add(1)
	}
	return c, err
}

// devClient talks to a dev vault over TLS, and over HTTP/1.1 without h2.
func devClient(t testing.TB, h2 *http.HTTP2Config, cfg devvault.Config) (*Client, *devvault.Server, *counting) {
	t.Helper()
	v := devvault.New(cfg)
	c, l := tlsClient(t, h2, v)
	t.Cleanup(v.Close) // before the server, which waits for its requests
	c.Key = NewSecret(v.AgentKey())
	return c, v, l
}

// tlsClient talks to a handler over TLS, and over HTTP/1.1 without h2.
func tlsClient(t testing.TB, h2 *http.HTTP2Config, h http.Handler, configure ...func(*tls.Config)) (*Client, *counting) {
	t.Helper()
	cert, ca, err := devvault.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	l := &counting{Listener: s.Listener}
	s.Listener = l
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	for _, f := range configure {
		f(s.TLS)
	}
	s.EnableHTTP2, s.Config.HTTP2 = h2 != nil, h2
	s.StartTLS()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	roots := func() (*x509.CertPool, error) {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(ca)
		return pool, nil
	}
	return &Client{URL: u, Key: NewSecret(canaryKey), Roots: roots, UserAgent: "ass-exec/test", TokenTTL: time.Minute, Timeout: time.Minute}, l
}

func fill(v *devvault.Server, n int) (refs []Ref, scopes []string) {
	for i := range n {
		ref := Ref(fmt.Sprintf("production/app%d/KEY", i))
		v.Put(string(ref), fmt.Sprint("value ", i))
		refs = append(refs, ref)
		scopes = append(scopes, ReadScope(string(ref)))
	}
	return refs, scopes
}

// However many secrets: one token, each secret once, and no more connections
// than the work needs.
func TestSecretsCostOneTokenAndOneReadEach(t *testing.T) {
	for _, tt := range []struct {
		name  string
		h2    *http.HTTP2Config
		n     int
		conns int64 // at most
	}{
		{"HTTP 2", &http.HTTP2Config{}, 1, 1},
		{"HTTP 2", &http.HTTP2Config{}, 20, 1},
		{"HTTP 2", &http.HTTP2Config{}, 100, 3},
		{"HTTP 2", &http.HTTP2Config{}, 500, 8},
		{"HTTP 2 with 100 streams", &http.HTTP2Config{MaxConcurrentStreams: 100}, 500, 8},
		{"HTTP 2 with 10 streams", &http.HTTP2Config{MaxConcurrentStreams: 10}, 500, 8},
		{"HTTP 2 with one stream", &http.HTTP2Config{MaxConcurrentStreams: 1}, 20, 1},
		{"HTTP 1", nil, 1, 1},
		{"HTTP 1", nil, 20, 8},
		{"HTTP 1", nil, 500, 8},
	} {
		t.Run(fmt.Sprintf("%d over %s", tt.n, tt.name), func(t *testing.T) {
			proto := map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"}[tt.h2 != nil]
			c, v, l := devClient(t, tt.h2, devvault.Config{})
			refs, scopes := fill(v, tt.n)
			s, err := c.Open(context.Background(), scopes)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for ref, r := range s.Read(context.Background(), refs) {
				if r.Err != nil || !strings.HasPrefix(r.Value.Reveal(), "value ") {
					t.Fatalf("%s: got %v", ref, r.Err)
				}
			}
			tokens, reads := 0, 0
			for _, r := range v.Requests() {
				if r.Proto != proto || r.Status != 200 {
					t.Errorf("got %+v, want %s", r, proto)
				}
				if r.Path == "/v1/tokens" {
					tokens++
				} else {
					reads++
				}
			}
			if tokens != 1 || reads != tt.n || l.n.Load() > tt.conns {
				t.Errorf("got %d tokens, %d reads, %d connections; want 1, %d and at most %d", tokens, reads, l.n.Load(), tt.n, tt.conns)
			}
		})
	}
}

// The kernel holds a connection's requests back until the last reserved one is
// written, and that one must not wait for a reply to the others.
func TestSlotsAreWhatTheServerTakesAtOnce(t *testing.T) {
	c, v, _ := devClient(t, &http.HTTP2Config{MaxConcurrentStreams: 10}, devvault.Config{})
	_, scopes := fill(v, 1)
	s, err := c.Open(t.Context(), scopes)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.pool.dialing++
	extra, err := s.pool.dial(t.Context()) // may not know the server's limit yet
	if err != nil {
		t.Fatal(err)
	}
	s.pool.put(extra, reusable)
	reserved := 0
	for _, slot := range s.pool.reserve(t.Context(), 50) {
		if slot != nil {
			reserved++
		}
	}
	if reserved != 20 {
		t.Errorf("got %d slots on 2 connections of 10 streams each", reserved)
	}
}

// After the first fault of HTTP/2 the rest is done over HTTP/1.1, which has
// no such faults.
func TestFaultOfHTTP2LeadsToHTTP1(t *testing.T) {
	c, v, _ := devClient(t, &http.HTTP2Config{}, devvault.Config{})
	v.Inject(devvault.Fault{Endpoint: "secrets", Kind: "reset", Count: 1})
	refs, scopes := fill(v, 3)
	s, err := c.Open(context.Background(), scopes)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for ref, r := range s.Read(context.Background(), refs) {
		if r.Err != nil {
			t.Errorf("%s: %v", ref, r.Err)
		}
	}
	requests := v.Requests()
	if got := requests[len(requests)-1].Proto; got != "HTTP/1.1" {
		t.Errorf("the last request was %s, want HTTP/1.1", got)
	}
}

// Not every server has HTTP/1.1 to go on with. One that has not may end the
// handshake, break the connection, or answer for itself.
func TestServerOfHTTP2AloneIsGoneOnWith(t *testing.T) {
	unknown := func(c *tls.Config) {
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if slices.Contains(hello.SupportedProtos, "h2") {
				return nil, nil
			}
			return &tls.Config{Certificates: c.Certificates, NextProtos: []string{"other"}}, nil
		}
	}
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	refuse := func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Unknown ALPN Protocol", http.StatusForbidden)
	}
	for _, tt := range []struct {
		claim     string
		http1     http.HandlerFunc
		configure func(*tls.Config)
	}{
		{"ends the handshake", abort, unknown},
		{"breaks the connection", abort, func(*tls.Config) {}},
		{"answers for itself", refuse, func(*tls.Config) {}},
	} {
		var reads atomic.Int64
		v := devvault.New(devvault.Config{})
		c, _ := tlsClient(t, &http.HTTP2Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.ProtoMajor == 1:
				tt.http1(w, r)
			case r.Method == http.MethodGet && reads.Add(1) <= 2:
				panic(http.ErrAbortHandler)
			default:
				v.ServeHTTP(w, r)
			}
		}), tt.configure)
		c.Key = NewSecret(v.AgentKey())
		refs, scopes := fill(v, 3)
		s, err := c.Open(t.Context(), scopes)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for ref, r := range s.Read(t.Context(), refs) {
			if r.Err != nil {
				t.Errorf("%s: %s: %v", tt.claim, ref, r.Err)
			}
		}
	}
}

// oneByOne accepts a connection after the one before has ended.
type oneByOne struct {
	net.Listener
	free chan bool // to accept another
}

type endingConn struct {
	net.Conn
	end func()
}

func (c *endingConn) Close() error { c.end(); return c.Conn.Close() }

func (l oneByOne) Accept() (net.Conn, error) {
	<-l.free
	c, err := l.Listener.Accept()
	return &endingConn{c, sync.OnceFunc(func() { l.free <- true })}, err
}

// Python's HTTPServer is one: a connection that is kept for later holds up all
// the others.
func TestServerOfOneConnectionAtATimeIsNotHeldUp(t *testing.T) {
	for _, n := range []int{2, 3, 40} {
		v := devvault.New(devvault.Config{})
		defer v.Close()
		s := httptest.NewUnstartedServer(v)
		free := make(chan bool, 2)
		free <- true
		s.Listener = oneByOne{s.Listener, free}
		s.Start()
		defer s.Close()
		defer s.CloseClientConnections()
		u, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		refs, scopes := fill(v, n)
		c := &Client{URL: u, Key: NewSecret(v.AgentKey()), Timeout: 20 * time.Second, Roots: Roots{}.Load}
		c.OnRetry = func(e *Error, _ time.Duration) { t.Errorf("%d secrets: tried again: %v", n, e) }
		session, err := c.Open(t.Context(), scopes)
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		for range 2 {
			for ref, r := range session.Read(t.Context(), refs) {
				if r.Err != nil {
					t.Errorf("%d secrets: %s: %v", n, ref, r.Err)
				}
			}
		}
	}
}

// pipes is a network in memory: a bubble's clock moves while it is waited on.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }

func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p <- theirs
	return ours, nil
}

// bubbleSession is a session in a bubble, with a token, and with a handler of
// secrets over HTTP/1.1.
func bubbleSession(t *testing.T, timeout time.Duration, secrets http.HandlerFunc) *Session {
	t.Helper()
	network := make(pipes)
	server := http.Server{Handler: secrets}
	go func() { _ = server.Serve(network) }()
	c := Client{URL: &url.URL{Scheme: "http", Host: "vault"}, Timeout: timeout}
	s := &Session{client: c, pool: newPool(c.URL, nil, true, 1)}
	s.token.secret, s.token.expires = NewSecret("token"), time.Now().Add(time.Hour)
	s.pool.http1Transport.DialContext = network.dial
	s.ResetBudget()
	t.Cleanup(func() { s.Close(); server.Close() })
	return s
}

// A hundred requests over six connections that take a second each: the last
// ones wait longer than an attempt may take.
func TestWaitForAConnectionIsNoFaultOfTheVault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := bubbleSession(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			fmt.Fprint(w, `{"value":"x"}`)
		})
		s.client.OnRetry = func(e *Error, _ time.Duration) { t.Errorf("tried again: %v", e) }
		start := time.Now()
		var refs []Ref
		for i := range 100 {
			refs = append(refs, Ref(fmt.Sprintf("a/K%d", i)))
		}
		for ref, r := range s.Read(t.Context(), refs) {
			if r.Err != nil || r.Value.Reveal() != "x" {
				t.Errorf("%s: got %q, %v", ref, r.Value.Reveal(), r.Err)
			}
		}
		if took, want := time.Since(start), 17*time.Second; took != want {
			t.Errorf("took %s, want %s", took, want)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	for _, n := range []int{1, 20, 100, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c, v, _ := devClient(b, &http.HTTP2Config{}, devvault.Config{})
			refs, scopes := fill(v, n)
			b.ReportAllocs()
			for b.Loop() {
				s, err := c.Open(context.Background(), scopes)
				if err != nil {
					b.Fatal(err)
				}
				s.Read(context.Background(), refs)
				s.Close()
			}
		})
	}
}
