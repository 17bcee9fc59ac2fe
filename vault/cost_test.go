package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
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

// devClient talks to a dev vault over TLS.
func devClient(t testing.TB, h2 bool, cfg devvault.Config) (*Client, *devvault.Server, *counting) {
	t.Helper()
	v := devvault.New(cfg)
	cert, ca, err := devvault.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(v)
	l := &counting{Listener: s.Listener}
	s.Listener = l
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.EnableHTTP2 = h2
	s.StartTLS()
	t.Cleanup(func() { v.Close(); s.CloseClientConnections(); s.Close() })
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	roots := func() (*x509.CertPool, error) {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(ca)
		return pool, nil
	}
	return &Client{URL: u, Key: NewSecret(v.AgentKey()), Roots: roots, UserAgent: "ass-exec/test", TokenTTL: time.Minute, Timeout: time.Minute}, v, l
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
		proto string
		h2    bool
		n     int
		conns int64 // at most
	}{
		{"HTTP/2.0", true, 1, 1},
		{"HTTP/2.0", true, 20, 1},
		{"HTTP/2.0", true, 100, 3},
		{"HTTP/2.0", true, 500, 8},
		{"HTTP/1.1", false, 1, 1},
		{"HTTP/1.1", false, 20, 8},
		{"HTTP/1.1", false, 500, 8},
	} {
		t.Run(fmt.Sprintf("%s/%d", tt.proto, tt.n), func(t *testing.T) {
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
				if r.Proto != tt.proto || r.Status != 200 {
					t.Errorf("got %+v, want %s", r, tt.proto)
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

// After the first fault of HTTP/2 the rest is done over HTTP/1.1, which has
// no such faults.
func TestFaultOfHTTP2LeadsToHTTP1(t *testing.T) {
	c, v, _ := devClient(t, true, devvault.Config{})
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

func BenchmarkRead(b *testing.B) {
	for _, n := range []int{1, 20, 100, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c, v, _ := devClient(b, true, devvault.Config{})
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
