package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
	"github.com/cenkalti/backoff/v4"
)

const (
	canaryKey   = "ass_canary_key_000000000000"
	canaryToken = "canary.token.000000"
	canaryValue = "canary-value-000000"
)

// instant is a backoff timer that does not wait but remembers how long it
// should have.
type instant struct {
	mu    *sync.Mutex
	waits *[]time.Duration
	c     chan time.Time
}

func (i *instant) Start(d time.Duration) {
	i.mu.Lock()
	*i.waits = append(*i.waits, d)
	i.mu.Unlock()
	i.c <- time.Time{}
}
func (i *instant) Stop()               {}
func (i *instant) C() <-chan time.Time { return i.c }

// testClient talks to a server with the given handler of secrets, which issues
// tokens without being asked to. The waits are not waited for.
func testClient(t *testing.T, secrets http.HandlerFunc) (*Client, *[]time.Duration) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/tokens", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"token":"`+canaryToken+`","requires_approval":false}`)
	})
	mux.HandleFunc("/v1/secrets/", secrets)
	return clientOf(t, mux)
}

func clientOf(t *testing.T, h http.Handler) (*Client, *[]time.Duration) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	waits := new([]time.Duration)
	mu := new(sync.Mutex)
	return &Client{
		URL: u, Key: NewSecret(canaryKey), Roots: Roots{}.Load, UserAgent: "ass-exec/test", TokenTTL: 5 * time.Minute, Timeout: time.Minute,
		newTimer: func() backoff.Timer { return &instant{mu, waits, make(chan time.Time, 1)} },
	}, waits
}

func readOne(c *Client, ref Ref) (Result, error) {
	ctx := context.Background()
	s, err := c.Open(ctx, []string{ReadScope(string(ref))})
	if err != nil {
		return Result{}, err
	}
	defer s.Close()
	return s.Read(ctx, []Ref{ref})[ref], nil
}

func TestRequestsAreWhatTheAPIExpects(t *testing.T) {
	var got []string
	c, _ := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, fmt.Sprintf("%s %s %s|%s|%s|%s %s", r.Method, r.RequestURI, r.Header.Get("Authorization"),
			r.Header.Get("User-Agent"), r.Header.Get("Accept"), r.Header.Get("Content-Type"), body))
		io.WriteString(w, `{"token":"tok","value":"v"}`)
	}))
	ref, err := ParseRef("production/sp ace/a%25b%23c%3Fd+e")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readOne(c, ref); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"POST /v1/tokens Bearer " + canaryKey + `|ass-exec/test|application/json|application/json {"scopes":["secrets:read:production/sp ace/a%b#c?d+e"],"ttl":"5m"}`,
		"GET /v1/secrets/production/sp%20ace/a%25b%23c%3Fd+e Bearer tok|ass-exec/test|application/json|application/json ",
	}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRequestIsForTheURLOfTheClient(t *testing.T) {
	for _, base := range []string{
		"https://v.example", "https://v.example:8443/proxy", "http://[::1]:80", "http://[fe80::1%25eth0]:8080", "https://v.example/a%20b",
	} {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		s := &Session{client: Client{URL: u}}
		got, err := s.newRequest(t.Context(), request{method: "GET", url: "/v1/secrets/a%2Eb/..%2F/C?namespace=n"}, Secret{})
		if err != nil || got.URL.String() != base+"/v1/secrets/a%2Eb/..%2F/C?namespace=n" || got.Host != u.Host {
			t.Errorf("%s: got %v, %v", base, got, err)
		}
	}
}

const okReply = `{"value":"` + canaryValue + `","version":3,"access_tier":"standard"}`

// readReply reads a secret from a server that answers the first reads with
// status and body, and after times with a value. It returns what the retries
// were for.
func readReply(t *testing.T, times, status int, body string) (got Result, retried []*Error) {
	t.Helper()
	reads := 0
	c, _ := testClient(t, func(w http.ResponseWriter, r *http.Request) {
		if reads++; reads > times {
			io.WriteString(w, okReply)
			return
		}
		w.Header().Set("Location", "https://evil.example/x")
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
	c.OnRetry = func(e *Error, _ time.Duration) { retried = append(retried, e) }
	got, err := readOne(c, "a/b/C")
	if err != nil {
		t.Fatal(err)
	}
	return got, retried
}

func TestValueIsTakenFromAGoodReply(t *testing.T) {
	for _, tt := range []struct {
		claim  string
		status int
		body   string
		want   Result // but for the value
	}{
		{"value", 200, okReply, Result{Version: 3, Tier: "standard"}},
		{"any 2xx", 203, okReply, Result{Version: 3, Tier: "standard"}},
		{"unknown fields", 200, `{"value":"` + canaryValue + `","new":{"a":[1]}}`, Result{}},
		{"own names", 200, `{"value":"` + canaryValue + `","namespace":"a/b","key":"C","path":"a/b/C"}`, Result{}},
	} {
		got, retried := readReply(t, 1, tt.status, tt.body)
		value := got.Value.Reveal()
		if got.Value = (Secret{}); got != tt.want || value != canaryValue || len(retried) > 0 {
			t.Errorf("%s: got %q, %+v after %d retries; want %+v at once", tt.claim, value, got, len(retried), tt.want)
		}
	}
}

func TestReplyWithoutTheValueIsAProtocolError(t *testing.T) {
	const (
		other   = "the reply is for a different secret"
		noValue = "the value in the reply is missing or not a string"
		notJSON = "the reply is not JSON (200)"
	)
	for _, tt := range []struct{ claim, body, want string }{
		{"another path", `{"value":"x","path":"a/b/D"}`, other},
		{"another key", `{"value":"x","key":"D"}`, other},
		{"another namespace", `{"value":"x","namespace":"a"}`, other},
		{"no value", `{}`, noValue},
		{"value in capitals", `{"VALUE":"x"}`, noValue},
		{"null", `{"value":null}`, noValue},
		{"number", `{"value":42}`, noValue},
		{"lone surrogate", `{"value":"a\ud800"}`, noValue},
		{"not UTF-8", "{\"value\":\"a\xff\"}", notJSON},
		{"page of a proxy", "<html>" + canaryValue, notJSON},
		{"array", "[]", notJSON},
		{"trailing garbage", okReply + "x", notJSON},
		{"too large", `{"value":"` + strings.Repeat("x", maxBody) + `"}`, "the reply is larger than 1 MiB (200)"},
	} {
		got, retried := readReply(t, 1, 200, tt.body)
		if e := got.Err; e == nil || e.Reason != Protocol || e.Cause() != tt.want || len(retried) > 0 {
			t.Errorf("%s: got %v after %d retries; want %s at once", tt.claim, e, len(retried), tt.want)
		}
	}
}

func TestStatusSaysWhatAFailureIs(t *testing.T) {
	for _, tt := range []struct {
		claim  string
		status int
		body   string
		reason Reason
		text   string
	}{
		{"no content", 204, "", Protocol, "the reply is not JSON (204)"},
		{"redirect", 307, "", Protocol, "redirected to https://evil.example, which is not followed (307)"},
		{"bad request", 400, `{"error":{"code":"X","message":"m"}}`, Protocol, "unexpected reply Bad Request (400): m"},
		{"unauthorized twice", 401, `{"detail":"m"}`, Denied, "not authorized (401): m"},
		{"forbidden", 403, `{"error":{"code":"SCOPE_DENIED","message":"no"},"detail":"other"}`, Denied, "access denied (403): no"},
		{"not found", 404, `{"error":{"code":"SECRET_NOT_FOUND","message":"no"}}`, NotFound, "not found (404): no"},
		{"not found, other envelope", 404, `{"detail":"no"}`, NotFound, "not found (404): no"},
		{"not found, no envelope", 404, `{"code":"SECRET_NOT_FOUND","message":"no"}`, NotFound, "not found (404): no"},
		{"not found by another gateway", 404, `{"code":"NOT_FOUND","message":"no route"}`, Protocol, "unexpected reply Not Found (404): no route"},
		{"not found by a proxy", 404, "<html>", Protocol, "unexpected reply Not Found (404)"},
		{"not found by a gateway", 404, `{"message":"no Route matched"}`, Protocol, "unexpected reply Not Found (404): no Route matched"},
		{"a proxy that wants a password", 407, ``, BadProxy, "the proxy answered Proxy Authentication Required (407)"},
		{"conflict", 409, `{}`, Protocol, "unexpected reply Conflict (409)"},
		{"validation of nothing", 422, `{"detail":[],"message":"m"}`, Protocol, "unexpected reply Unprocessable Entity (422): m"},
		{"validation", 422, `{"detail":[{"loc":["query","ttl"],"msg":"bad","type":"t"}]}`, Protocol, "unexpected reply Unprocessable Entity (422): query ttl: bad"},
		{"not implemented", 501, ``, Protocol, "unexpected reply Not Implemented (501)"},
		{"no status of HTTP", 600, `{"error":"m"}`, Protocol, "unexpected reply with an unknown status (600): m"},
		{"another version of HTTP", 505, ``, Protocol, "unexpected reply HTTP Version Not Supported (505)"},
		{
			"hostile message", 403, `{"error":{"message":"\u001b[2J\n` + canaryKey + " " + canaryToken + strings.Repeat("é", 300) + `"}}`, Denied,
			`access denied (403): \x1b[2J\n[redacted] [redacted]` + strings.Repeat("é", maxMessage-len(`\x1b[2J\n[redacted] [redacted]`)) + "…",
		},
	} {
		got, retried := readReply(t, 2, tt.status, tt.body)
		if e := got.Err; e == nil || e.Reason != tt.reason || e.Cause() != tt.text || len(retried) > 0 {
			t.Errorf("%s: got %+v, %v after %d retries\nwant %d %s at once", tt.claim, e, e, len(retried), tt.reason, tt.text)
		}
	}
}

func TestStatusThatMayPassIsTriedAgain(t *testing.T) {
	for status, want := range map[int]string{
		408: "Request Timeout (408)", 425: "Too Early (425)", 429: "Too Many Requests (429)",
		500: "Internal Server Error (500)", 502: "Bad Gateway (502)", 503: "Service Unavailable (503)", 504: "Gateway Timeout (504)",
		522: "with an unknown status (522)", 599: "with an unknown status (599)", // a CDN's own
	} {
		got, retried := readReply(t, 2, status, `{"error":"m"}`)
		if got.Err != nil || got.Value.Reveal() != canaryValue || len(retried) != 2 {
			t.Errorf("%d: got %v after %d retries, want the value after 2", status, got.Err, len(retried))
			continue
		}
		for _, e := range retried {
			if e.Reason != Unavailable || !strings.HasSuffix(e.Cause(), " answered "+want+": m") {
				t.Errorf("%d: got %d %s, want … answered %s: m", status, e.Reason, e.Cause(), want)
			}
		}
	}
}

func TestTokenRepliesAreClassified(t *testing.T) {
	for _, tt := range []struct {
		claim, body string
		reason      Reason
		text        string
	}{
		{"token alone", `{"token":"tok"}`, 0, ""},
		{"everything", `{"token":"tok","expires_at":"2026-06-02T11:30:00.123Z","requires_approval":false,"approval_id":null,"scopes":[]}`, 0, ""},
		{"approval comes before the token", `{"token":"tok","requires_approval":true,"approval_id":"apr_1"}`, Pending, "a human's approval is needed"},
		{"approval named .", `{"requires_approval":true,"approval_id":"."}`, Protocol, "the approval id in the reply is not valid"},
		{"approval named ..", `{"requires_approval":true,"approval_id":".."}`, Protocol, "the approval id in the reply is not valid"},
		{"approval named by the key", `{"requires_approval":true,"approval_id":"x` + canaryKey + `"}`, Protocol, "the approval id in the reply is not valid"},
		{"approval with a long name", `{"requires_approval":true,"approval_id":"` + strings.Repeat("x", maxMessage) + `"}`, Pending, "a human's approval is needed"},
		{"approval with a novel for a name", `{"requires_approval":true,"approval_id":"` + strings.Repeat("x", maxMessage+1) + `"}`, Protocol, "the approval id in the reply is not valid"},
		{"no token", `{"requires_approval":false}`, Protocol, "the reply has no token"},
		{"empty token", `{"token":""}`, Protocol, "the reply has no token"},
		{"token of every character that a header takes", `{"token":"!Az09~"}`, 0, ""},
		{"token that ends a header", `{"token":"a\r\nX: y"}`, Protocol, "the token in the reply cannot be sent in a header"},
		{"token with a blank", `{"token":"a b"}`, Protocol, "the token in the reply cannot be sent in a header"},
		{"token with a DEL", `{"token":"a\u007f"}`, Protocol, "the token in the reply cannot be sent in a header"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			c, _ := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, tt.body) }))
			s, err := c.Open(context.Background(), []string{"secrets:read:a/B"})
			if tt.reason == 0 {
				if err != nil {
					t.Fatal(err)
				}
				s.Close()
				return
			}
			var e *Error
			if !errors.As(err, &e) || e.Reason != tt.reason || e.Cause() != tt.text {
				t.Errorf("got %+v, want %d %s", err, tt.reason, tt.text)
			}
		})
	}
}

func TestRetryAfterIsObeyedInBothForms(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		header, date string
		want         time.Duration
	}{
		{"", "", 0},
		{"7", "", 7 * time.Second},
		{"0", "", 0},
		{"-3", "", 0},
		{"soon", "", 0},
		{"99999999999999999999", "", 1 << 31 * time.Second},
		{"Fri, 31 Dec 9999 23:59:59 GMT", "", 1 << 31 * time.Second}, // and not so much that adding to it overflows
		{now.Add(9 * time.Second).Format(http.TimeFormat), "", 9 * time.Second},
		{now.Add(-9 * time.Second).Format(http.TimeFormat), "", 0},
		{now.Add(time.Hour).Format(http.TimeFormat), now.Add(time.Hour - 4*time.Second).Format(http.TimeFormat), 4 * time.Second},
	} {
		h := http.Header{"Retry-After": {tt.header}, "Date": {tt.date}}
		if got := retryAfter(h, now); got != tt.want {
			t.Errorf("%q at %q: got %s, want %s", tt.header, tt.date, got, tt.want)
		}
	}
}

func TestWaitsHaveFullJitter(t *testing.T) {
	reads := 0
	c, waits := testClient(t, func(w http.ResponseWriter, r *http.Request) {
		if reads++; reads > 8 {
			io.WriteString(w, `{"value":"v"}`)
			return
		}
		w.WriteHeader(503)
	})
	if got, err := readOne(c, "a/B"); err != nil || got.Err != nil {
		t.Fatal(err, got.Err)
	}
	bound := firstWait
	for i, wait := range *waits {
		if wait < 0 || wait > bound {
			t.Errorf("wait %d: got %s, want 0 to %s", i, wait, bound)
		}
		bound = min(2*bound, maxWait)
	}
	if len(*waits) != 8 {
		t.Errorf("got %d waits, want 8", len(*waits))
	}
}

func TestRefusalsForWantOfCapacityAreSpread(t *testing.T) {
	for _, tt := range []struct {
		claim    string
		err      Error
		since    time.Duration // the first refusal of the session
		budget   time.Duration // 0: none
		refusals int           // before, of the request
		from, to time.Duration
	}{
		{"429 that asks to wait", Error{Status: 429, retryAfter: time.Second}, 0, 0, 0, time.Second, time.Second + spread},
		{"429 that does not", Error{Status: 429}, 0, time.Minute, 0, 0, firstSpread},
		{"429 that does not, again", Error{Status: 429}, time.Second, time.Minute, 1, 0, 4 * firstSpread},
		{"429 that does not, time and again", Error{Status: 429}, 0, time.Minute, 9, 0, spread},
		{"503 that asks to wait", Error{Status: 503, retryAfter: 3 * time.Second}, 0, time.Minute, 0, 3 * time.Second, 3*time.Second + spread},
		{"in what is left of the spread", Error{Status: 429, retryAfter: time.Second}, spread - 2*time.Second, time.Minute, 0, time.Second, 3 * time.Second},
		{"after the spread", Error{Status: 429, retryAfter: time.Second}, 30 * time.Second, time.Minute, 0, time.Second, time.Second + firstWait},
		{"in the time that is left", Error{Status: 429, retryAfter: 28 * time.Second}, 0, 30 * time.Second, 0, 28 * time.Second, 29 * time.Second},
		{"503 that does not ask to wait", Error{Status: 503}, 0, time.Minute, 0, 0, firstWait},
		{"no reply", Error{}, 0, time.Minute, 0, 0, firstWait},
	} {
		now := time.Now()
		last := &tt.err
		p := &policy{
			last: &last, budget: &budget{
				now:          func() time.Time { return now },
				firstRefusal: func() time.Time { return now.Add(-tt.since) },
			},
		}
		if tt.budget > 0 {
			p.budget.deadline = now.Add(tt.budget)
		}
		low, high := time.Duration(math.MaxInt64), time.Duration(0)
		for range 10000 {
			p.BackOff, p.refusals = jitter(), tt.refusals
			wait := p.NextBackOff()
			low, high = min(low, wait), max(high, wait)
		}
		slack := (tt.to - tt.from) / 20
		if low < tt.from || low > tt.from+slack || high > tt.to || high < tt.to-slack {
			t.Errorf("%s: got %s to %s, want %s to %s", tt.claim, low, high, tt.from, tt.to)
		}
	}
}

// It is the session that is refused first, not each of its requests, and anew
// with each budget.
func TestBudgetKnowsWhenItWasFirstRefused(t *testing.T) {
	now := time.Now()
	b := &budget{now: func() time.Time { return now }}
	for range 2 {
		b.reset(0)
		now = now.Add(time.Hour)
		want := now
		for range 2 {
			if got := b.firstRefusal(); !got.Equal(want) {
				t.Errorf("got %s too late", got.Sub(want))
			}
			now = now.Add(time.Second)
		}
	}
}

func TestRetryEndsWithoutAWaitThatLeavesNoTime(t *testing.T) {
	c, waits := testClient(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "61")
		w.WriteHeader(429)
	})
	got, err := readOne(c, "a/B")
	if err != nil || got.Err == nil || got.Err.Reason != Unavailable || got.Err.Attempts != 1 || len(*waits) != 0 {
		t.Errorf("got %+v, %v, waits %v", got.Err, err, *waits)
	}
}

// A watch is quiet; the client, and what else was opened with it, is not.
func TestSessionIsQuietByItself(t *testing.T) {
	c, _ := testClient(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	c.newTimer = nil
	for _, quiet := range []bool{true, false} {
		var calls atomic.Int64
		c.OnRetry = func(*Error, time.Duration) { calls.Add(1) }
		s, err := c.Open(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.client.Timeout = 300 * time.Millisecond
		if quiet {
			s.Quiet()
		}
		for calls.Load() == 0 { // full jitter may leave no time for a second attempt
			s.ResetBudget()
			if r := s.Read(t.Context(), []Ref{"a/B"})["a/B"]; r.Err == nil {
				t.Fatal("got no error")
			}
			if quiet {
				break
			}
		}
		if quiet == (calls.Load() > 0) || c.OnRetry == nil {
			t.Errorf("quiet %v: %d calls, OnRetry is kept: %v", quiet, calls.Load(), c.OnRetry != nil)
		}
	}
}

// Otherwise every read of the next poll would be refused first.
func TestExpiredTokenIsReplacedBeforeItIsUsed(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	v := devvault.New(devvault.Config{Now: clock})
	c, _ := clientOf(t, v)
	c.Key, c.now = NewSecret(v.AgentKey()), clock
	refs, scopes := fill(v, 3)
	s, err := c.Open(context.Background(), scopes)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 2 {
		s.ResetBudget()
		for ref, r := range s.Read(context.Background(), refs) {
			if r.Err != nil {
				t.Errorf("%s: %v", ref, r.Err)
			}
		}
		now = now.Add(c.TokenTTL + time.Second)
	}
	got := make(map[int]int)
	for _, r := range v.Requests() {
		got[r.Status]++
	}
	if want := map[int]int{200: 2 + 2*len(refs)}; !maps.Equal(got, want) {
		t.Errorf("got replies %v, want %v", got, want)
	}
}

func TestRefusedTokenIsReplacedOnceForAllReads(t *testing.T) {
	tokens := 0
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/tokens", func(w http.ResponseWriter, r *http.Request) {
		tokens++
		fmt.Fprintf(w, `{"token":"t%d"}`, tokens)
	})
	mux.HandleFunc("/v1/secrets/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer t1" {
			w.WriteHeader(401)
			return
		}
		io.WriteString(w, `{"value":"v"}`)
	})
	c, _ := clientOf(t, mux)
	ctx := context.Background()
	s, err := c.Open(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	refs := []Ref{"a/A", "a/B", "a/C", "a/D"}
	results := s.Read(ctx, refs)
	for _, ref := range refs {
		if results[ref].Err != nil {
			t.Errorf("%s: %v", ref, results[ref].Err)
		}
	}
	if tokens != 2 {
		t.Errorf("got %d token requests, want 2", tokens)
	}
}

// Only one of the reads asks for another token, but what comes of it is the
// cause of them all. A human is asked once in all rounds.
func TestTokenThatCannotBeReplacedIsTheCauseOfEveryRefusedRead(t *testing.T) {
	for _, tt := range []struct {
		claim, reply string // to every token request but the first
		cause        string
		requests     int // for a token in two rounds, the first one's included
	}{
		{"the key is revoked", "401 {}", "no new token: not authorized (401)", 3},
		{"a scope is gone", `403 {"error":"no"}`, "no new token: access denied (403): no", 3},
		{"not a token", "{}", "no new token: the reply has no token", 3},
		{"a human's approval is needed", needsApproval, "no new token: a human's approval is needed", 2},
	} {
		server := &approvalServer{states: []string{"401 {}"}, tokens: []string{`{"token":"t"}`, tt.reply}}
		var mu sync.Mutex
		c, _ := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			server.ServeHTTP(w, r)
		}))
		s, err := c.Open(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for range 2 {
			s.ResetBudget()
			for ref, r := range s.Read(t.Context(), []Ref{"a/A", "a/B", "a/C"}) {
				if r.Err == nil || r.Err.Error() != tt.cause {
					t.Errorf("%s: %s: got %v, want %s", tt.claim, ref, r.Err, tt.cause)
				}
			}
		}
		tokens := 0
		for _, asked := range server.asked {
			if asked == "POST /v1/tokens" {
				tokens++
			}
		}
		if tokens != tt.requests {
			t.Errorf("%s: got %d token requests, want %d", tt.claim, tokens, tt.requests)
		}
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	c, _ := testClient(t, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	s, err := c.Open(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := s.Read(ctx, []Ref{"a/B"})["a/B"]; !errors.Is(got.Err, context.Canceled) {
		t.Errorf("got %v", got.Err)
	}
}

func TestBudgetEndsAHangWithTheLastRealError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reads atomic.Int64
		s := bubbleSession(t, attemptTimeout/2, func(w http.ResponseWriter, r *http.Request) {
			if reads.Add(1) == 1 {
				w.WriteHeader(503)
				return
			}
			<-r.Context().Done()
		})
		start := time.Now()
		got := s.Read(t.Context(), []Ref{"a/B"})["a/B"]
		if got.Err == nil || got.Err.Status != 503 || got.Err.Reason != Unavailable || reads.Load() != 2 {
			t.Errorf("got %+v after %d reads", got.Err, reads.Load())
		}
		if took := time.Since(start); took != attemptTimeout/2 {
			t.Errorf("it took %s", took)
		}
	})
}

// late is a context whose deadline has passed and whose timer has yet to fire.
type late struct {
	context.Context
	deadline time.Time
}

func (l *late) Deadline() (time.Time, bool) { return l.deadline, true }

func TestBudgetThatEndsBeforeItsTimerFiresKeepsTheLastRealError(t *testing.T) {
	c, _ := clientOf(t, http.NotFoundHandler()) // never asked
	c.Timeout = 0
	s := &Session{client: *c}
	s.ResetBudget()
	ctx := &late{t.Context(), time.Now().Add(time.Hour)}
	replies := []*Error{{Reason: Unavailable, Text: "refused"}, {Reason: Unavailable, Text: "timed out"}}
	got := s.retry(ctx, request{op: OpToken}, func(context.Context) *Error {
		if len(replies) == 1 {
			ctx.deadline = time.Now()
		}
		reply := replies[0]
		replies = replies[1:]
		return reply
	})
	want := &Error{Reason: Unavailable, Op: OpToken, Text: "refused", Attempts: 1}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSecretNeverFormats(t *testing.T) {
	s := NewSecret(canaryValue)
	holder := struct {
		S Secret
		p *Secret
	}{s, &s}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "s", s, "h", holder)
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "s", s, "h", holder)
	out := log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%T"} {
		out += fmt.Sprintf(verb, s) + fmt.Sprintf(verb, &s) + fmt.Sprintf(verb, holder) + fmt.Sprintf(verb, []Secret{s})
	}
	b, err := json.Marshal(map[string]any{"s": s, "h": holder})
	if err != nil {
		t.Fatal(err)
	}
	out += string(b)
	for _, leak := range []string{canaryValue, fmt.Sprintf("%x", canaryValue)} {
		if strings.Contains(out, leak) {
			t.Errorf("%q is printed in\n%s", leak, out)
		}
	}
}
