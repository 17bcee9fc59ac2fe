package vault

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"
)

func TestReplyIsOneMiBAtMost(t *testing.T) {
	const head, tail = `{"value":"`, `"}`
	for over, want := range map[int]string{0: "", 1: "the reply is larger than 1 MiB (200)"} {
		value := strings.Repeat("x", 1<<20+over-len(head)-len(tail))
		c, _ := testClient(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, head+value+tail) })
		got, err := readOne(c, "a/B")
		text := ""
		if got.Err != nil {
			text = got.Err.Error()
		}
		if err != nil || text != want || want == "" && got.Value.Reveal() != value {
			t.Errorf("%d bytes over: got %d bytes, %v, %q; want %q", over, len(got.Value.Reveal()), err, text, want)
		}
	}
}

// Bytes that are not kept count for nothing: each of many retries may bring a
// page of a proxy.
func TestBadRepliesAreNotPartOfTheRound(t *testing.T) {
	page := strings.Repeat("x", maxBody)
	reads := 0
	c, _ := testClient(t, func(w http.ResponseWriter, _ *http.Request) {
		if reads++; reads > 2*maxRound/maxBody {
			io.WriteString(w, `{"value":"v"}`)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, page)
	})
	c.Timeout = 0
	if got, err := readOne(c, "a/B"); err != nil || got.Err != nil {
		t.Errorf("got %v, %v", err, got.Err)
	}
}

func TestMessageIsQuotedToItsLimit(t *testing.T) {
	for text, want := range map[string]string{
		strings.Repeat("é", maxMessage):            strings.Repeat("é", maxMessage),
		strings.Repeat("é", maxMessage+1):          strings.Repeat("é", maxMessage) + "…",
		strings.Repeat("x", maxMessage-3) + "\x1b": strings.Repeat("x", maxMessage-3) + "…", // not a part of an escape
		"the key is " + canaryKey:                  "the key is [redacted]",
	} {
		if got := quote(text, NewSecret(canaryKey), Secret{}); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestTokenLivesWholeMinutes(t *testing.T) {
	for ttl, want := range map[time.Duration]string{
		0: "1m", 1: "1m", time.Minute: "1m", time.Minute + 1: "2m", 5 * time.Minute: "5m", time.Hour: "60m",
	} {
		var asked string
		c, _ := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			asked = string(body)
			io.WriteString(w, `{"token":"t"}`)
		}))
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		c.TokenTTL, c.now = ttl, func() time.Time { return now }
		s, err := c.Open(t.Context(), []string{"s"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if want := `{"scopes":["s"],"ttl":"` + want + `"}`; asked != want {
			t.Errorf("%s: got %s, want %s", ttl, asked, want)
		}
		lives, err := time.ParseDuration(want)
		if err != nil {
			t.Fatal(err)
		}
		for after, want := range map[time.Duration]bool{lives: false, lives + 1: true} {
			now = now.Add(after)
			if _, expired := s.current(); expired != want {
				t.Errorf("%s: expired is %v after %s", ttl, expired, after)
			}
			now = now.Add(-after)
		}
	}
}

// Each wait is drawn from zero to its bound, and the bound doubles.
func TestJitterReachesFromZeroToABoundThatDoubles(t *testing.T) {
	const draws = 3000
	var low, high [8]time.Duration
	for i := range draws {
		b := jitter()
		for n := range low {
			wait := b.NextBackOff()
			if i == 0 || wait < low[n] {
				low[n] = wait
			}
			high[n] = max(high[n], wait)
		}
	}
	bound := 200 * time.Millisecond
	for n := range low {
		if slack := bound / 50; low[n] > slack || high[n] > bound || high[n] < bound-slack {
			t.Errorf("wait %d: got %s to %s, want 0 to %s", n, low[n], high[n], bound)
		}
		bound = min(2*bound, 5*time.Second)
	}
}

// Only a server that does not know the query form is asked in another one.
func TestListingFallsBackWhereTheQueryFormIsUnknown(t *testing.T) {
	for status, want := range map[int]string{
		404: "/v1/secrets /v1/secrets/ns", 405: "/v1/secrets /v1/secrets/ns", 422: "/v1/secrets /v1/secrets/ns",
		400: "/v1/secrets", 401: "/v1/secrets /v1/secrets", 403: "/v1/secrets", 501: "/v1/secrets",
	} {
		var asked []string
		mux := http.NewServeMux()
		mux.HandleFunc("/v1/tokens", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"token":"t`+strings.Repeat("t", len(asked))+`"}`)
		})
		mux.HandleFunc("/v1/secrets", func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.Path)
			w.WriteHeader(status)
		})
		mux.HandleFunc("/v1/secrets/ns", func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.Path)
			io.WriteString(w, `{"items":[{"key":"K"}]}`)
		})
		c, _ := clientOf(t, mux)
		s, err := c.Open(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		items, listErr := s.List(t.Context(), "ns")
		whole := len(items) == 1 && items[0].Ref == "ns/K" && listErr == nil
		if got := strings.Join(asked, " "); got != want || whole != strings.HasSuffix(want, "/ns") {
			t.Errorf("%d: got requests of %s, %v, %v; want %s", status, got, items, listErr, want)
		}
	}
}

// The clocks of server and client may differ by hours: a token is used until
// what was asked for has passed here.
func TestTokenLivesByOurClockWhateverTheReplySays(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, expires := range []string{
		`"2026-01-02T02:04:05Z"`, `"2026-01-02T04:04:05Z"`, `"1970-01-01T00:00:00Z"`, `"soon"`, `""`, `null`, `0`, `-1`, `1e999`, `[]`,
	} {
		tokens := 0
		mux := http.NewServeMux()
		mux.HandleFunc("/v1/tokens", func(w http.ResponseWriter, _ *http.Request) {
			tokens++
			w.Header().Set("Date", now.Add(time.Hour).Format(http.TimeFormat))
			io.WriteString(w, `{"token":"t","expires_at":`+expires+`}`)
		})
		mux.HandleFunc("/v1/secrets/", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", now.Add(-time.Hour).Format(http.TimeFormat))
			io.WriteString(w, `{"value":"v"}`)
		})
		c, _ := clientOf(t, mux)
		at := now
		c.now = func() time.Time { return at }
		s, err := c.Open(t.Context(), nil)
		if err != nil {
			t.Fatalf("expires_at %s: %v", expires, err)
		}
		defer s.Close()
		for want, after := range []time.Duration{c.TokenTTL, c.TokenTTL + 1} {
			at = now.Add(after)
			s.ResetBudget()
			if r := s.Read(t.Context(), []Ref{"a/B"})["a/B"]; r.Err != nil || tokens != 1+want {
				t.Errorf("expires_at %s, %s later: got %v, %d tokens; want %d", expires, after, r.Err, tokens, 1+want)
			}
		}
	}
}

// A wait may end exactly with the budget: the attempt after it has no time, and
// its failure is not told.
func TestWaitMayTakeAllTheTimeThatIsLeft(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct{ asked, left, want time.Duration }{
		{10 * time.Second, 10 * time.Second, 10 * time.Second},
		{10*time.Second + 1, 10 * time.Second, backoff.Stop},
		{0, 0, 0},
	} {
		last := &Error{Reason: Unavailable, retryAfter: tt.asked}
		p := &policy{
			BackOff: &backoff.ZeroBackOff{}, last: &last,
			budget: &budget{now: func() time.Time { return now }, deadline: now.Add(tt.left), firstRefusal: func() time.Time { return now }},
		}
		if got := p.NextBackOff(); got != tt.want {
			t.Errorf("asked to wait %s with %s left: got %s, want %s", tt.asked, tt.left, got, tt.want)
		}
	}
}

// A request that is refused time and again without a time to come back is
// spread ever wider, and each request by itself.
func TestSpreadGrowsWithTheRefusalsOfARequest(t *testing.T) {
	now := time.Now()
	last := &Error{Reason: Unavailable, Status: 429}
	var high [4]time.Duration
	for range 3000 {
		p := &policy{
			BackOff: &backoff.ZeroBackOff{}, last: &last,
			budget: &budget{now: func() time.Time { return now }, firstRefusal: func() time.Time { return now }},
		}
		for n := range high {
			high[n] = max(high[n], p.NextBackOff())
		}
	}
	for n, bound := range []time.Duration{800 * time.Millisecond, 3200 * time.Millisecond, 6 * time.Second, 6 * time.Second} {
		if high[n] > bound || high[n] < bound-bound/20 {
			t.Errorf("refusal %d: got waits to %s, want to %s", n, high[n], bound)
		}
	}
}

// Once the bytes of a round are spent, nothing is sent; before that, a reply of
// no bytes is what it says.
func TestNothingIsSentOnceARoundIsFull(t *testing.T) {
	for received, want := range map[int64]string{maxRound: "access denied (403)", maxRound + 1: "the replies are larger than 64 MiB in total"} {
		asked := 0
		c, _ := testClient(t, func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.WriteHeader(http.StatusForbidden)
		})
		s, err := c.Open(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.budget.received.Store(received)
		r := s.Read(t.Context(), []Ref{"a/B"})["a/B"]
		if r.Err == nil || r.Err.Error() != want || (asked > 0) != (received <= maxRound) {
			t.Errorf("%d bytes: got %v after %d requests, want %s", received, r.Err, asked, want)
		}
	}
}

// Where the token endpoint itself is missing, nothing says that a secret is.
func TestMissingTokenEndpointIsNoMissingSecret(t *testing.T) {
	c, _ := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error":{"message":"m"}}`)
	}))
	_, err := c.Open(t.Context(), nil)
	var e *Error
	if !errors.As(err, &e) || e.Reason != Protocol || e.Error() != "unexpected reply Not Found (404): m" {
		t.Errorf("got %+v", err)
	}
}

// Reading the roots takes as long as connecting, so it does not wait for that;
// and without TLS nobody needs them.
func TestRootsAreReadWhileConnecting(t *testing.T) {
	for scheme, want := range map[string]int64{"https": 1, "http": 0} {
		synctest.Test(t, func(t *testing.T) {
			var loads atomic.Int64
			c := &Client{
				URL:   &url.URL{Scheme: scheme, Host: "127.0.0.1:1"},
				Roots: func() (*x509.CertPool, error) { loads.Add(1); return nil, nil },
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // so that there is no connection
			if _, err := c.Open(ctx, nil); err == nil {
				t.Error("got a session")
			}
			synctest.Wait()
			if got := loads.Load(); got != want {
				t.Errorf("%s: the roots were read %d times, want %d", scheme, got, want)
			}
		})
	}
}
