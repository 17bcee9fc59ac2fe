// Package vault is a client of the Agent Secret Store API: a scoped token, the
// listing of a namespace, and the secrets themselves, with retries under one
// budget. It knows nothing of processes and never logs.
package vault

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Client holds what it takes to talk to a vault. URL and Key are required.
type Client struct {
	URL       *url.URL                       // of the API, without /v1
	Key       Secret                         // the agent key
	Roots     func() (*x509.CertPool, error) // what is trusted; called once, if at all
	UserAgent string

	// TokenTTL is the lifetime asked for a token, rounded up to whole
	// minutes. Zero asks for one.
	TokenTTL time.Duration
	// Timeout bounds everything but the wait for an approval, retries
	// included. Zero is no bound.
	Timeout time.Duration
	// ApprovalTimeout bounds the wait for a human's approval. Zero waits for
	// none: then one that is needed is an Error at once.
	ApprovalTimeout time.Duration
	// HTTP1Only keeps the client from using HTTP/2.
	HTTP1Only bool
	// OnRetry, if set, is called after every failed attempt, before the wait
	// that follows it, and from several goroutines.
	OnRetry func(err *Error, wait time.Duration)
	// OnApproval, if set, is called before each wait for a human's approval.
	OnApproval func(Approval)
	// OnApproved, if set, is called once it is granted.
	OnApproved func()

	now      func() time.Time     // tests only
	newTimer func() backoff.Timer // tests only
}

// Session is a scoped token and the connections it is used over. It is safe
// for concurrent use. Close it.
type Session struct {
	client Client // a copy: what a session changes is its own
	scopes []string
	pool   *pool
	budget budget
	token  tokenSource
}

// Result is what reading one secret came to.
type Result struct {
	Value   Secret
	Version int64  // 0 if the reply has none
	Tier    string // standard, sensitive, critical, or other; empty if the reply has none
	Err     *Error // if set, nothing else is
}

// ReadScope is the scope that allows reading what path names; a namespace's
// secrets are namespace/*.
func ReadScope(path string) string { return "secrets:read:" + path }

// Open asks for a token with exactly these scopes. The error is an *Error, or
// the context's.
func (c *Client) Open(ctx context.Context, scopes []string) (*Session, error) {
	s := &Session{client: *c, scopes: scopes}
	load := sync.OnceValues(c.Roots)
	if c.URL.Scheme == "https" {
		// Reading the roots takes as long as connecting: do both at once.
		go func() { _, _ = load() }()
	}
	s.pool = newPool(c.URL, load, c.HTTP1Only, len(scopes))
	s.ResetBudget()
	if err := s.issue(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// ResetBudget begins a new budget for what is asked next, and allows a new
// token for it, unless a human has been asked for one. Nothing may be under way.
func (s *Session) ResetBudget() {
	s.budget.now = s.client.clock
	s.budget.reset(s.client.Timeout)
	if err := s.token.renewErr; err == nil || err.Reason != Pending {
		s.token.renewed, s.token.renewErr = false, nil
	}
}

// Quiet ends the calls of OnRetry and OnApproval. Nothing may be under way.
func (s *Session) Quiet() { s.client.OnRetry, s.client.OnApproval = nil, nil }

// Close closes the session's connections. The token is left to expire.
func (s *Session) Close() { s.pool.close() }

// Read reads each secret once, all of them concurrently, and returns a result
// for each. Where the context ended, the results mean nothing.
func (s *Session) Read(ctx context.Context, refs []Ref) map[Ref]Result {
	results := make([]Result, len(refs))
	if err := s.refresh(ctx); err != nil {
		for i := range results {
			results[i].Err = err
		}
	} else {
		slots := s.pool.reserve(ctx, len(refs))
		var wg sync.WaitGroup
		for i, ref := range refs {
			wg.Go(func() { results[i] = s.read(ctx, ref, slots[i]) })
		}
		wg.Wait()
	}
	byRef := make(map[Ref]Result, len(refs))
	for i, ref := range refs {
		byRef[ref] = results[i]
	}
	return byRef
}

func (s *Session) read(ctx context.Context, ref Ref, slot *slot) (result Result) {
	defer func() {
		// The panic's own text, and the dump of a goroutine that dies of it,
		// may hold anything.
		if recover() != nil {
			result = Result{Err: &Error{Reason: Bug, Op: OpRead, Text: "internal error"}}
		}
	}()
	req := request{op: OpRead, method: http.MethodGet, url: "/v1/secrets/" + ref.Escaped(), slot: slot}
	result.Err = s.authorized(ctx, req, func(r *reply) (err *Error) {
		result, err = parseSecret(ref, r.object)
		return err
	})
	return result
}

// parseSecret takes a secret out of a reply that must be about ref.
func parseSecret(ref Ref, o object) (Result, *Error) {
	value, ok := o.text("value")
	if !ok {
		return Result{}, protocolError("the value in the reply is missing or not a string")
	}
	for key, want := range map[string]string{"namespace": ref.Namespace(), "key": ref.Key(), "path": string(ref)} {
		if got, ok := o.text(key); ok && got != want {
			return Result{}, protocolError("the reply is for a different secret")
		}
	}
	return Result{Value: NewSecret(value), Version: o.integer("version"), Tier: o.tier()}, nil
}

func protocolError(text string) *Error { return &Error{Reason: Protocol, Text: text} }

// request is one request, to be sent as often as it takes.
type request struct {
	op     Op
	method string
	url    string // escaped, from /v1 on
	body   any    // sent as JSON if not nil
	slot   *slot  // of its first attempt; may be nil
	fresh  bool   // needs a connection without earlier requests
}

// do sends a request with bearer until it has an answer, a failure that is not
// temporary, or no time left, and hands a good reply to use.
func (s *Session) do(ctx context.Context, req request, bearer Secret, use func(*reply) *Error) *Error {
	return s.retry(ctx, req, func(ctx context.Context) *Error {
		err := s.attempt(ctx, req, bearer, use)
		req.fresh = err != nil && err.duplicate
		return err
	})
}

// attempt sends a request once and hands a good reply to use.
func (s *Session) attempt(ctx context.Context, req request, bearer Secret, use func(*reply) *Error) *Error {
	start := time.Now()
	c, reserved := req.slot.claim()
	if !reserved {
		var err error
		if c, err = s.pool.get(ctx, req.fresh); err != nil {
			return connError(err, s.client.URL.Host, time.Since(start))
		}
	}
	left := failed
	defer func() { s.pool.put(c, left) }()
	if reserved {
		var onWritten func()
		ctx, onWritten = c.trackWrites(ctx)
		defer onWritten()
	}
	var r *reply
	var err *Error
	r, left, err = s.exchange(ctx, c, req, bearer)
	if err != nil {
		return err
	}
	if c.unsure && r.object == nil {
		left = failed
		return &Error{Reason: Unavailable, Text: s.client.URL.Host + " does not speak HTTP/1.1"}
	}
	if err = s.classify(req, r, bearer); err == nil {
		err = use(r)
	}
	if !c.h2 {
		left = c.settle(req, r, left, err)
	}
	return err
}

// exchange sends a request over a connection and reads the whole reply.
func (s *Session) exchange(ctx context.Context, c *conn, req request, bearer Secret) (*reply, condition, *Error) {
	// Only from here: the wait for a connection is not the vault's doing.
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	if s.budget.received.Load() > maxRound {
		return nil, reusable, connError(errTooMuch, s.client.URL.Host, 0)
	}
	httpReq, err := s.newRequest(ctx, req, bearer)
	if err != nil {
		return nil, failed, &Error{Reason: Protocol, Text: "the request cannot be built", Err: err}
	}
	resp, err := c.RoundTrip(httpReq)
	if err != nil {
		return nil, failed, connError(err, s.client.URL.Host, time.Since(start))
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		// Its body is the connection, which no deadline ends.
		return &reply{status: resp.StatusCode, header: resp.Header}, finished, nil
	}
	body, err := s.budget.readBody(resp)
	if err != nil {
		return nil, failed, connError(err, s.client.URL.Host, time.Since(start))
	}
	if len(body) > maxBody {
		return nil, failed, &Error{Reason: Protocol, Status: resp.StatusCode, Text: "the reply is larger than 1 MiB"}
	}
	left := reusable
	if resp.Close {
		left = finished
	}
	return &reply{resp.StatusCode, resp.Header, parseObject(body)}, left, nil
}

func (s *Session) newRequest(ctx context.Context, req request, bearer Secret) (*http.Request, error) {
	var body io.Reader
	if req.body != nil {
		b, err := json.Marshal(req.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	// Parsed, not joined: joining would clean the path.
	u := strings.TrimSuffix(s.client.URL.String(), "/") + req.url
	httpReq, err := http.NewRequestWithContext(ctx, req.method, u, body)
	if err != nil {
		return nil, err
	}
	httpReq.Header.Set("Authorization", "Bearer "+bearer.Reveal())
	httpReq.Header.Set("Accept", "application/json")
	httpReq.Header.Set("Content-Type", "application/json")
	httpReq.Header.Set("User-Agent", s.client.UserAgent)
	return httpReq, nil
}

// classify turns every reply that is not the API's 2xx into an error, by status.
func (s *Session) classify(req request, r *reply, bearer Secret) *Error {
	if r.status/100 == 2 && r.object != nil {
		return nil
	}
	e := &Error{Status: r.status, Message: quote(r.object.message(), s.client.Key, bearer)}
	switch status := r.status; {
	case status/100 == 2:
		return &Error{Reason: Protocol, Status: status, Text: "the reply is not JSON"}
	case status/100 == 3:
		e.Reason, e.Text = Protocol, "redirected to "+redirectTarget(r.header, s.client.Key, bearer)+", which is not followed"
	case status == 401:
		e.Reason, e.Text = Denied, "not authorized"
	case status == 403:
		e.Reason, e.Text = Denied, "access denied"
	case status == 404 && r.object.enveloped() && req.op != OpToken:
		e.Reason, e.Text = NotFound, "not found"
	case status == 407 && s.client.URL.Scheme == "http":
		e.Reason, e.Text = BadProxy, "the proxy answered "+statusText(status)
	case status == 408 || status == 425 || status == 429 || status/100 == 5 && status != 501 && status != 505:
		e.Reason, e.Text = Unavailable, s.client.URL.Host+" answered "+statusText(status)
		e.retryAfter = retryAfter(r.header, s.client.clock())
	default:
		e.Reason, e.Text = Protocol, "unexpected reply "+statusText(status)
	}
	return e
}

func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "with an unknown status"
}

func redirectTarget(h http.Header, secrets ...Secret) string {
	if u, err := url.Parse(h.Get("Location")); err == nil && u.Host != "" {
		return quote(u.Scheme+"://"+u.Host, secrets...)
	}
	return "another address"
}

func (c *Client) timer() backoff.Timer {
	if c.newTimer != nil {
		return c.newTimer()
	}
	return &realTimer{}
}

type realTimer struct{ *time.Timer }

func (t *realTimer) Start(d time.Duration) { t.Timer = time.NewTimer(d) }

func (t *realTimer) Stop() {
	if t.Timer != nil {
		t.Timer.Stop()
	}
}

func (t *realTimer) C() <-chan time.Time { return t.Timer.C }

func (c *Client) clock() time.Time {
	if c.now != nil {
		return c.now()
	}
	return time.Now()
}
