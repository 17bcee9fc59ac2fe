//go:build linux

package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agent-secret-store/ass-exec/examples/internal/link"
	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

const agentKey = "bench_agent_000000000000"

// place is where launchers run: beside the vault, or a round trip away.
type place struct {
	rtt    time.Duration
	url    string
	caFile string
	runner *runner

	requests, tokens, conns atomic.Int64
	packets                 *atomic.Int64 // with data, to the vault; none are counted on loopback
}

// newPlace serves a dev vault with n secrets, bench/s/S0 to bench/s/S(n-1), on
// loopback if there is no round trip, else at the end of a link.
func newPlace(rtt time.Duration, n int, dir string) (*place, error) {
	p := &place{rtt: rtt, packets: new(atomic.Int64)}
	var client *link.Namespace
	listen := func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }
	if rtt > 0 {
		wire, err := link.New(rtt)
		if err != nil {
			return nil, err
		}
		client, p.packets = wire.Client, &wire.Sent
		listen = func() (l net.Listener, err error) {
			wire.Server.Do(func() { l, err = net.Listen("tcp", link.ServerAddr.String()+":0") })
			return l, err
		}
	}
	if err := p.serve(listen, n, dir); err != nil {
		return nil, err
	}
	var err error
	p.runner, err = startRunner(client)
	return p, err
}

func (p *place) serve(listen func() (net.Listener, error), n int, dir string) error {
	v := devvault.New(devvault.Config{
		AgentKey: agentKey,
		Lenient:  true, // the official CLI sends the agent key itself
		OnRequest: func(r devvault.Request) {
			p.requests.Add(1)
			if strings.HasPrefix(r.Path, "/v1/tokens") {
				p.tokens.Add(1)
			}
		},
	})
	for i := range n {
		v.Put(fmt.Sprintf("bench/s/S%d", i), value(i))
	}
	cert, ca, err := devvault.Certificate("127.0.0.1", link.ServerAddr.String())
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "ca")
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(ca); err != nil {
		return err
	}
	l, err := listen()
	if err != nil {
		return err
	}
	s := &httptest.Server{
		Listener: &counting{l, &p.conns}, EnableHTTP2: true,
		TLS:    &tls.Config{Certificates: []tls.Certificate{cert}},
		Config: &http.Server{Handler: withDoppler(v, n), ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute},
	}
	s.StartTLS()
	p.url, p.caFile = s.URL, f.Name()
	return nil
}

func value(i int) string { return fmt.Sprintf("value-%d-abcdefghijklmnopqrstuvwxyz", i) }

// counting counts the connections that a listener accepts.
type counting struct {
	net.Listener
	n *atomic.Int64
}

func (l *counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.n.Add(1)
		c = &packing{Conn: c}
	}
	return c, err
}

// packTime is far less than a round trip, and more than the replies to one
// packet of requests take.
const packTime = 200 * time.Microsecond

// packing holds what is written to a connection for a moment, so that many
// replies share a packet. Front ends do that. The dev vault by itself writes
// them one by one, and these fill the congestion window however the requests
// came.
type packing struct {
	net.Conn
	mu   sync.Mutex
	held []byte
	err  error
}

func (c *packing) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	if len(c.held) == 0 {
		time.AfterFunc(packTime, c.flush)
	}
	c.held = append(c.held, b...)
	return len(b), nil
}

func (c *packing) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.held) > 0 {
		_, c.err = c.Conn.Write(c.held)
		c.held = nil
	}
}

// SetWriteDeadline sends what is held: crypto/tls lets writes fail from the
// moment of its last one.
func (c *packing) SetWriteDeadline(t time.Time) error {
	c.flush()
	return c.Conn.SetWriteDeadline(t)
}

func (c *packing) Close() error {
	c.flush()
	return c.Conn.Close()
}
