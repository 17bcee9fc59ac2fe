package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Reason says what kind of failure an Error is, and with it what can be done.
type Reason int

// Every kind of failure; each list of them elsewhere is exhaustive.
const (
	Unavailable Reason = 1  // no reply, or 408, 425, 429, 5xx, until the budget ended
	Denied      Reason = 2  // 401, 403, or a human said no
	Pending     Reason = 3  // a human's approval is needed
	NotFound    Reason = 4  // 404 in the API's own envelope
	Protocol    Reason = 5  // a reply that is not this API's
	Untrusted   Reason = 6  // the server's certificate is not trusted
	BadRoots    Reason = 7  // the configured roots cannot be read
	Bug         Reason = 8  // a panic of ours
	TooMuch     Reason = 9  // the replies are too large together
	BadProxy    Reason = 10 // the proxy wants other credentials, or another scheme in its URL
)

// Reasons lists every Reason.
func Reasons() []Reason {
	return []Reason{Unavailable, Denied, Pending, NotFound, Protocol, Untrusted, BadRoots, Bug, TooMuch, BadProxy}
}

// Op is the step of the protocol in which an Error came up.
type Op int

// The steps of the protocol.
const (
	OpToken    Op = 1
	OpApproval Op = 2
	OpList     Op = 3
	OpRead     Op = 4
)

// Error is a failure to get a token, a listing or a secret. It holds no
// secret: the server's words in it are cut, escaped and free of credentials.
type Error struct {
	Reason     Reason
	Op         Op
	Status     int      // HTTP status; 0 if there was no reply
	Text       string   // what went wrong
	Message    string   // the message of the server's own error envelope, if any
	Attempts   int      // how many requests were sent for it
	ApprovalID string   // where a human is asked; escaped
	Scopes     []string // what was asked for, where that decides
	Err        error    // the cause, where there was no reply

	retryAfter time.Duration // how long the server asks to wait; 0 if it does not
	duplicate  bool          // the reply is a second copy of the one before
}

func (e *Error) Error() string {
	if e.Attempts > 1 {
		return fmt.Sprintf("%s, after %d attempts", e.Cause(), e.Attempts)
	}
	return e.Cause()
}

// Cause is the error without the number of attempts, and so the same for each.
func (e *Error) Cause() string {
	var b strings.Builder
	b.WriteString(e.Text)
	if e.Status != 0 {
		fmt.Fprintf(&b, " (%d)", e.Status)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", e.Message)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// temporary reports whether the same request may succeed later.
func (e *Error) temporary() bool {
	switch e.Reason {
	case Unavailable:
		return true
	case Protocol:
		return e.duplicate
	case Denied, Pending, NotFound, Untrusted, BadRoots, Bug, TooMuch, BadProxy:
		return false
	}
	return false
}

// proxyError is a proxy's refusal to connect us. Its own words, and the
// credentials it was shown, are left out.
type proxyError struct {
	host   string
	status int
}

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy %s answered %s (%d)", e.host, statusText(e.status), e.status)
}

// connError classifies a failure that left no whole reply.
func connError(err error, host string, waited time.Duration) *Error {
	e := &Error{Reason: Unavailable, Err: err}
	var roots *RootsError
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	peer := host
	if ByProxy(err) {
		peer = "the proxy"
	}
	switch {
	case errors.Is(err, errTooMuch):
		e.Reason, e.Text = TooMuch, errTooMuch.Error()
	case errors.As(err, &roots):
		e.Reason, e.Text = BadRoots, roots.Error()
	case errors.As(err, &verification):
		e.Reason, e.Text = Untrusted, "certificate of "+peer+" is not trusted: "+untrustedText(verification.Err)
	case errors.As(err, &record):
		e.Reason, e.Text = Protocol, peer+" does not speak TLS"
		if ByProxy(err) {
			e.Reason = BadProxy
		}
	default:
		e.Text = "cannot reach " + host + ": " + causeText(err, waited)
		if credentialsRefused(err) {
			e.Reason = BadProxy // not tried again: that locks accounts
		}
	}
	return e
}

// causeText describes an error of the network, in the same words each time: so
// without the local port. Only errors known to hold nothing that the server
// sent are quoted: net/http and HTTP/2 put bytes of a broken reply, which may
// be a secret's, into theirs.
func causeText(err error, waited time.Duration) string {
	var proxy *proxyError
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &proxy):
		return proxy.Error()
	case toProxy(err) != nil:
		return "the proxy: " + causeText(toProxy(err), waited)
	case errors.As(err, &dns):
		causes := strings.Split(dns.Err, ": ")
		return (&net.DNSError{Name: dns.Name, Server: dns.Server, Err: causes[len(causes)-1]}).Error()
	case errors.As(err, &op) && (op.Op == "dial" || !isTimeout(err)):
		return (&net.OpError{Op: op.Op, Net: op.Net, Addr: op.Addr, Err: op.Err}).Error()
	case isTimeout(err):
		return "no reply within " + roundWait(waited)
	case strings.Contains(err.Error(), "malformed HTTP"):
		return "the reply is not HTTP"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before the reply was complete"
	case strings.HasSuffix(err.Error(), "GOAWAY"), strings.HasSuffix(err.Error(), "client conn not usable"):
		return "the server is closing the connection"
	default:
		return brokenText(err.Error())
	}
}

// brokenText tells the errors of HTTP apart by their text, and quotes none of it.
func brokenText(text string) string {
	switch {
	case strings.Contains(text, "headers exceeded"), strings.Contains(text, "header list larger"):
		return "the headers of the reply are too large"
	case strings.HasPrefix(text, "stream error"):
		return "the server aborted the reply"
	}
	return "the connection broke"
}

// roundWait is a wait to about two digits, and never none.
func roundWait(d time.Duration) string {
	unit := 100 * time.Millisecond
	for unit > time.Millisecond && d < unit {
		unit /= 10
	}
	return max(time.Millisecond, d.Round(unit)).String()
}

// ByProxy reports whether err came up on the way to a proxy or with it, not
// with the vault.
func ByProxy(err error) bool { return toProxy(err) != nil }

// credentialsRefused reports whether a proxy refused the user and password, or
// asks for them. Of SOCKS only the text of net/http's error says so.
func credentialsRefused(err error) bool {
	var proxy *proxyError
	if errors.As(err, &proxy) {
		// tinyproxy has 407 for no password, and 401 for a wrong one.
		return proxy.status == http.StatusProxyAuthRequired || proxy.status == http.StatusUnauthorized
	}
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "socks connect" || op.Err == nil {
		return false
	}
	text := op.Err.Error()
	return strings.Contains(text, "username/password") || strings.Contains(text, "authentication method")
}

// toProxy returns what kept us from connecting to a proxy; nil if nothing did.
func toProxy(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "proxyconnect" {
		return op.Err
	}
	return nil
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

func untrustedText(err error) string {
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return "signed by an unknown authority"
	}
	// Of one that has expired, it holds the dates and the local clock, which is
	// wrong as often as the certificate.
	return err.Error()
}
