package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// The same failure of many connections is reported once only if its text
// is the same.
func TestCauseHoldsNoPortOfOurs(t *testing.T) {
	ours := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 5), Port: 50123}
	theirs := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 443}
	refused := os.NewSyscallError("connect", syscall.ECONNREFUSED)
	for _, tt := range []struct {
		err  error
		want string
	}{
		{
			&net.OpError{Op: "read", Net: "tcp", Source: ours, Addr: theirs, Err: os.NewSyscallError("read", syscall.ECONNRESET)},
			"read tcp 10.0.0.1:443: read: connection reset by peer",
		},
		{
			&net.OpError{Op: "dial", Net: "tcp", Source: ours, Addr: theirs, Err: os.ErrDeadlineExceeded},
			"dial tcp 10.0.0.1:443: i/o timeout",
		},
		{
			&net.OpError{Op: "read", Net: "tcp", Source: ours, Addr: theirs, Err: os.ErrDeadlineExceeded},
			"no reply within 2s",
		},
		{context.DeadlineExceeded, "no reply within 2s"},
		{
			&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{
				Name: "vault", Server: "10.0.0.2:53",
				Err: (&net.OpError{Op: "read", Net: "udp", Source: ours, Addr: theirs, Err: refused}).Error(),
			}},
			"lookup vault on 10.0.0.2:53: connection refused",
		},
		{
			&net.DNSError{Name: "vault", Server: "10.0.0.2:53", Err: "no such host", IsNotFound: true},
			"lookup vault on 10.0.0.2:53: no such host",
		},
		{errors.New("http2: Transport received Server's graceful shutdown GOAWAY"), "the server is closing the connection"},
		{errors.New("http2: client conn not usable"), "the server is closing the connection"},
		{errors.New(`malformed HTTP response "sent by the server"`), "the reply is not HTTP"},
		{
			&net.OpError{Op: "proxyconnect", Net: "tcp", Err: &net.OpError{Op: "dial", Net: "tcp", Addr: theirs, Err: os.ErrDeadlineExceeded}},
			"the proxy: dial tcp 10.0.0.1:443: i/o timeout",
		},
		{&proxyError{"10.0.0.1:3128", 407}, "the proxy 10.0.0.1:3128 answered Proxy Authentication Required (407)"},
		{errors.New("sent by the server"), "the connection broke"},
		{errors.New("stream error: stream ID 3; INTERNAL_ERROR; received from peer"), "the server aborted the reply"},
		{errors.New("http2: response header list larger than advertised limit"), "the headers of the reply are too large"},
	} {
		if got := causeText(tt.err, 2*time.Second+40*time.Millisecond); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestWaitIsNeverNone(t *testing.T) {
	const ms = time.Millisecond
	for d, want := range map[time.Duration]string{
		0: "1ms", ms / 3: "1ms", 7*ms + ms/4: "7ms", 51 * ms: "50ms", 99 * ms: "100ms", 740 * ms: "700ms", 5020 * ms: "5s",
	} {
		if got := roundWait(d); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
}

// What a failure is decides whether it is tried again, and what is advised.
func TestFailuresWithoutAReplyAreClassified(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 443}, Err: syscall.ECONNREFUSED}
	toProxy := func(err error) error { return &net.OpError{Op: "proxyconnect", Net: "tcp", Err: err} }
	socks := func(text string) error { return &net.OpError{Op: "socks connect", Net: "tcp", Err: errors.New(text)} }
	untrusted := func(err error) error { return &tls.CertificateVerificationError{Err: err} }
	expired := x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.Expired, Detail: "by a day"}
	for _, tt := range []struct {
		err    error
		reason Reason
		text   string
		retry  bool
	}{
		{dial, Unavailable, "cannot reach vault: dial tcp 10.0.0.1:443: connection refused", true},
		{toProxy(dial), Unavailable, "cannot reach vault: the proxy: dial tcp 10.0.0.1:443: connection refused", true},
		{&proxyError{"proxy", 503}, Unavailable, "cannot reach vault: the proxy proxy answered Service Unavailable (503)", true},
		{&proxyError{"proxy", 407}, BadProxy, "cannot reach vault: the proxy proxy answered Proxy Authentication Required (407)", false},
		{socks("username/password authentication failed"), BadProxy, "cannot reach vault: socks connect tcp: username/password authentication failed", false},
		{socks("no acceptable authentication methods"), BadProxy, "cannot reach vault: socks connect tcp: no acceptable authentication methods", false},
		{socks("unknown error connection refused"), Unavailable, "cannot reach vault: socks connect tcp: unknown error connection refused", true},
		{errTooMuch, TooMuch, "the replies are larger than 64 MiB in total", false},
		{&RootsError{"--ca-file", errors.New("x")}, BadRoots, "--ca-file: x", false},
		{untrusted(x509.UnknownAuthorityError{}), Untrusted, "certificate of vault is not trusted: signed by an unknown authority", false},
		{toProxy(untrusted(x509.UnknownAuthorityError{})), Untrusted, "certificate of the proxy is not trusted: signed by an unknown authority", false},
		{untrusted(expired), Untrusted, "certificate of vault is not trusted: x509: certificate has expired or is not yet valid: by a day", false},
		{untrusted(errors.New("other")), Untrusted, "certificate of vault is not trusted: other", false},
		{tls.RecordHeaderError{Msg: "x"}, Protocol, "vault does not speak TLS", false},
		{toProxy(tls.RecordHeaderError{Msg: "x"}), BadProxy, "the proxy does not speak TLS", false},
	} {
		e := connError(tt.err, "vault", time.Second)
		if e.Reason != tt.reason || e.Text != tt.text || e.temporary() != tt.retry || !errors.Is(e, tt.err) {
			t.Errorf("got %d %q, tried again: %v; want %d %q, %v", e.Reason, e.Text, e.temporary(), tt.reason, tt.text, tt.retry)
		}
	}
	for _, reason := range Reasons() {
		if got := (&Error{Reason: reason}).temporary(); got != (reason == Unavailable) {
			t.Errorf("reason %d: tried again: %v", reason, got)
		}
	}
}
