package vault

import (
	"net/http"
	"syscall"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
	"golang.org/x/sys/unix"
)

func corked(t *testing.T, c *conn) bool {
	t.Helper()
	raw, err := c.tcp.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var value int
	if err := raw.Control(func(fd uintptr) {
		value, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK)
	}); err != nil {
		t.Fatal(err)
	}
	return value != 0
}

// What is held back for ever, or sent one by one, costs a round trip or more,
// and nothing else shows it.
func TestBatchIsCorkedUntilItsLastRequestIsWritten(t *testing.T) {
	c, v, _ := devClient(t, &http.HTTP2Config{}, devvault.Config{})
	refs, scopes := fill(v, 3)
	s, err := c.Open(t.Context(), scopes)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	conn := s.pool.conns[0]
	if corked(t, conn) {
		t.Error("corked before there is a batch")
	}
	slots := s.pool.reserve(t.Context(), 3)
	for i, slot := range slots {
		if !corked(t, conn) {
			t.Errorf("not corked with %d requests written", i)
		}
		c, _ := slot.claim()
		_, onWritten := c.trackWrites(t.Context())
		onWritten()
		onWritten() // as for a request that was written and failed
		s.pool.put(c, reusable)
	}
	if corked(t, conn) {
		t.Error("corked after the last request")
	}
	for ref, r := range s.Read(t.Context(), refs) {
		if r.Err != nil {
			t.Errorf("%s: %v", ref, r.Err)
		}
	}
	if corked(t, conn) {
		t.Error("corked after a batch")
	}
}

// A connection with one request of the batch is no exception.
func TestEveryConnectionOfABatchIsCorked(t *testing.T) {
	c, v, _ := devClient(t, &http.HTTP2Config{}, devvault.Config{})
	_, scopes := fill(v, 1)
	s, err := c.Open(t.Context(), scopes)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	extra, err := s.pool.get(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	s.pool.put(extra, reusable)
	for _, slot := range s.pool.reserve(t.Context(), 2) {
		conn, reserved := slot.claim()
		if !reserved || !corked(t, conn) {
			t.Fatalf("reserved: %v, and not corked", reserved)
		}
		_, onWritten := conn.trackWrites(t.Context())
		if onWritten(); corked(t, conn) {
			t.Error("corked after its only request")
		}
		s.pool.put(conn, reusable)
	}
}
