package devvault

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// health asks a vault for its health over a connection of its own, and returns
// the status, what a fault may have set in the header, and the body, or the
// failure.
func health(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/v1/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "no reply"
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	text := fmt.Sprint(resp.StatusCode)
	for _, name := range []string{"Location", "Retry-After"} {
		if value := resp.Header.Get(name); value != "" {
			text += " " + value
		}
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		text += " HTML"
	}
	if resp.Close {
		text += " close"
	}
	if text += " " + string(body); err != nil {
		text += " " + err.Error()
	}
	return strings.TrimSpace(text)
}

const healthy = `200 {"service":"ass-devvault","status":"ok","version":"dev"}`

func TestEveryKindOfFaultDoesWhatItSays(t *testing.T) {
	body := strings.TrimPrefix(healthy, "200 ")
	for _, tt := range []struct {
		fault Fault
		want  string
	}{
		{Fault{Kind: "status", Status: 503}, `503 {"detail":"Service Unavailable","error":{"code":"FAULT","message":"Service Unavailable"}}`},
		{Fault{Kind: "status", Status: 429, RetryAfter: "7"}, `429 7 {"detail":"Too Many Requests","error":{"code":"FAULT","message":"Too Many Requests"}}`},
		{Fault{Kind: "latency", Delay: time.Millisecond}, healthy},
		{Fault{Kind: "drip", Delay: time.Microsecond}, healthy},
		{Fault{Kind: "cut"}, "200 " + body[:len(body)/2] + " unexpected EOF"},
		{Fault{Kind: "reset"}, "no reply"},
		{Fault{Kind: "twice"}, healthy},
		{Fault{Kind: "goaway"}, "200 close " + body},
		{Fault{Kind: "redirect", Location: "http://other"}, "307 http://other"},
		{Fault{Kind: "html"}, "200 HTML <!doctype html><title>Sign in</title>"},
		{Fault{Kind: "object"}, "200 {}"},
		{Fault{Kind: "null"}, `200 {"value":null,"token":null}`},
		{Fault{Kind: "number"}, `200 {"value":42,"token":42}`},
		{Fault{Kind: "empty"}, `200 {"value":""}`},
		{Fault{Kind: "nul"}, `200 {"value":"a\u0000b"}`},
		{Fault{Kind: "other"}, `200 {"value":"x","namespace":"other","key":"OTHER"}`},
	} {
		t.Run(tt.fault.Kind, func(t *testing.T) {
			v, c := start(t, Config{})
			tt.fault.Count = 1
			v.Inject(tt.fault)
			if got := health(t, c.url); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := health(t, c.url); got != healthy {
				t.Errorf("after it: got %s", got)
			}
		})
	}
}

func TestTwiceIsTwoWholeReplies(t *testing.T) {
	v, c := start(t, Config{})
	v.Inject(Fault{Kind: "twice"})
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
	_ = conn.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(conn)
	body := strings.TrimPrefix(healthy, "200 ")
	reply := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if string(got) != reply+reply || err != nil {
		t.Errorf("got %q, %v; want twice %q", got, err, reply)
	}
}

func TestLatencyIsWaitedForAndNoLonger(t *testing.T) {
	v, c := start(t, Config{})
	v.Inject(Fault{Kind: "latency", Delay: 30 * time.Millisecond})
	begin := time.Now()
	if got := health(t, c.url); got != healthy || time.Since(begin) < 30*time.Millisecond {
		t.Errorf("got %s after %s", got, time.Since(begin))
	}
}

func TestHangEndsWithTheServer(t *testing.T) {
	v := New(Config{})
	s := httptest.NewServer(v)
	defer s.Close()
	v.Inject(Fault{Kind: "hang"})
	reply := make(chan string)
	go func() { reply <- health(t, s.URL) }()
	for len(v.Requests()) == 0 {
		time.Sleep(time.Millisecond) // until it hangs
	}
	select {
	case got := <-reply:
		t.Errorf("got %s from a server that hangs", got)
	default:
	}
	v.Close()
	if got := <-reply; got != "no reply" {
		t.Errorf("got %s", got)
	}
}

// Two faults are two, and what one lets pass the next may affect.
func TestFaultsSkipCountAndMatchTheirEndpoint(t *testing.T) {
	for _, tt := range []struct {
		claim  string
		faults string // separated by blanks
		want   string // the statuses of five requests for a secret
	}{
		{"all", "kind=status,status=500", "500 500 500 500 500"},
		{"two", "kind=status,status=500,count=2", "500 500 401 401 401"},
		{"after two", "kind=status,status=500,skip=2", "401 401 500 500 500"},
		{"one after one", "kind=status,status=500,skip=1,count=1", "401 500 401 401 401"},
		{"two faults", "kind=status,status=500,count=1 kind=status,status=501,count=1", "500 501 401 401 401"},
		{"another endpoint", "kind=status,status=500,endpoint=list", "401 401 401 401 401"},
		{"this endpoint", "kind=status,status=500,endpoint=secrets,count=1", "500 401 401 401 401"},
		{"not a request's", "kind=tls,count=1", "401 401 401 401 401"},
	} {
		v, c := start(t, Config{})
		for _, text := range strings.Fields(tt.faults) {
			f, err := ParseFault(text)
			if err != nil {
				t.Fatal(err)
			}
			v.Inject(f)
		}
		var got []string
		for range 5 {
			status, _ := c.do("GET", "/v1/secrets/a/B", "", "")
			got = append(got, fmt.Sprint(status))
		}
		if text := strings.Join(got, " "); text != tt.want {
			t.Errorf("%s: got %s, want %s", tt.claim, text, tt.want)
		}
		v.Heal()
		c.want(401, "GET", "/v1/secrets/a/B", "", "")
	}
}

func TestEndpointsOfFaultsAreTheAPIs(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/tokens": "tokens", "/v1/secrets": "list", "/v1/secrets/a": "secrets", "/v1/secrets/a/B": "secrets",
		"/v1/approvals/agent/x": "approvals", "/v1/health": "health",
	} {
		if got := endpointOf(httptest.NewRequest("GET", path, nil)); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

// A date has whole seconds, and one that comes too early is a lie.
func TestRetryAfterAsADateIsNeverTooEarly(t *testing.T) {
	second := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for part, want := range map[time.Duration]string{
		0: "Fri, 02 Jan 2026 03:04:10 GMT", time.Millisecond: "Fri, 02 Jan 2026 03:04:11 GMT", 999 * time.Millisecond: "Fri, 02 Jan 2026 03:04:11 GMT",
	} {
		f := &Fault{RetryAfter: "date+5"}
		if got := f.header(second.Add(part)).Get("Retry-After"); got != want {
			t.Errorf("%s into a second: got %s, want %s", part, got, want)
		}
	}
	if got := (&Fault{}).header(second); got != nil {
		t.Errorf("got %v for a fault without", got)
	}
}

func TestFaultOfTLSClosesConnectionsBeforeTheyAreServed(t *testing.T) {
	v := New(Config{})
	defer v.Close()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: v, ReadHeaderTimeout: time.Second}
	go func() { _ = s.Serve(v.Listener(plain)) }()
	defer s.Close()
	v.Inject(Fault{Kind: "status", Status: 500, Count: 1})
	v.Inject(Fault{Kind: "tls", Count: 2})
	var got []string
	for range 4 {
		status, _, _ := strings.Cut(health(t, "http://"+plain.Addr().String()), " {")
		got = append(got, status)
	}
	if want := "no reply, no reply, 500, 200"; strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
}

func TestFaultsAreReadFieldByField(t *testing.T) {
	got, err := ParseFault("endpoint=tokens,kind=status,count=2,skip=3,status=200,retry-after=date+4,delay=5ms,location=http://x")
	want := Fault{Endpoint: "tokens", Kind: "status", Count: 2, Skip: 3, Status: 200, RetryAfter: "date+4", Delay: 5 * time.Millisecond, Location: "http://x"}
	if got != want || err != nil {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for status, want := range map[int]bool{199: false, 200: true, 599: true, 600: false} {
		if _, err := ParseFault(fmt.Sprintf("kind=status,status=%d", status)); (err == nil) != want {
			t.Errorf("status %d: got %v", status, err)
		}
	}
}
