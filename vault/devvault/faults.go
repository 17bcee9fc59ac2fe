package devvault

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is what goes wrong with some requests.
type Fault struct {
	Endpoint   string        // tokens, secrets (reading one), list, approvals or health; empty: all
	Kind       string        // one of FaultKinds
	Count      int           // how many requests it affects; 0: all
	Skip       int           // how many it lets pass before
	Status     int           // for status
	RetryAfter string        // for status: seconds, or date+SECONDS for a date
	Delay      time.Duration // for latency, and between the bytes of a drip
	Location   string        // for redirect
}

// FaultKinds says what each kind of fault does.
var FaultKinds = []struct{ Kind, Does string }{
	{"status", "answers with status= and, if given, retry-after="},
	{"latency", "waits for delay= before the answer"},
	{"hang", "never answers"},
	{"drip", "sends a byte each delay="},
	{"cut", "ends the connection in the middle of the body"},
	{"reset", "resets the connection, or with HTTP/2 the stream"},
	{"twice", "sends the answer twice (with HTTP/2, which cannot, resets the stream)"},
	{"goaway", "answers, and closes the connection (with HTTP/2 by GOAWAY)"},
	{"redirect", "answers 307 to location="},
	{"html", "answers 200 with a page in HTML"},
	{"object", "answers 200 with {}"},
	{"null", `answers 200 with {"value":null}`},
	{"number", `answers 200 with {"value":42}`},
	{"empty", `answers 200 with {"value":""}`},
	{"nul", "answers 200 with a value that holds a NUL"},
	{"other", "answers 200 with the value of another path"},
	{"tls", "closes the connection in the place of a TLS handshake"},
}

// ParseFault reads a fault such as
//
//	endpoint=secrets,kind=status,status=503,retry-after=2,count=3
func ParseFault(text string) (Fault, error) {
	var f Fault
	for _, field := range strings.Split(text, ",") {
		name, value, _ := strings.Cut(field, "=")
		var err error
		switch name {
		case "endpoint":
			f.Endpoint = value
		case "kind":
			f.Kind = value
		case "count":
			f.Count, err = strconv.Atoi(value)
		case "skip":
			f.Skip, err = strconv.Atoi(value)
		case "status":
			f.Status, err = strconv.Atoi(value)
		case "retry-after":
			f.RetryAfter = value
		case "delay":
			f.Delay, err = time.ParseDuration(value)
		case "location":
			f.Location = value
		default:
			err = errors.New("unknown field")
		}
		if err != nil {
			return f, fmt.Errorf("fault: %s=%s: %w", name, value, err)
		}
	}
	return f, f.check()
}

func (f Fault) check() error {
	switch {
	case !slices.ContainsFunc(FaultKinds, func(k struct{ Kind, Does string }) bool { return k.Kind == f.Kind }):
		return fmt.Errorf("fault: unknown kind %q", f.Kind)
	case !slices.Contains([]string{"", "tokens", "secrets", "list", "approvals", "health"}, f.Endpoint):
		return fmt.Errorf("fault: unknown endpoint %q", f.Endpoint)
	case f.Kind == "status" && (f.Status < 200 || f.Status > 599):
		return errors.New("fault: kind=status needs a status= from 200 to 599")
	}
	return nil
}

// Inject adds a fault. Only the first that matches a request affects it.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Count == 0 {
		f.Count = -1
	}
	s.faults = append(s.faults, &f)
}

// Heal takes all faults away.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func endpointOf(r *http.Request) string {
	first, _, more := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	if first == "secrets" && !more {
		return "list"
	}
	return first
}

// faultFor finds the fault that affects a request, if any.
func (s *Server) faultFor(endpoint string) *Fault {
	for _, f := range s.faults {
		if f.Count == 0 || f.Kind == "tls" || f.Endpoint != "" && f.Endpoint != endpoint {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		f.Count--
		return f
	}
	return nil
}

func (f *Fault) header(now time.Time) http.Header {
	if f.RetryAfter == "" {
		return nil
	}
	value := f.RetryAfter
	if seconds, ok := strings.CutPrefix(value, "date+"); ok {
		n, _ := strconv.Atoi(seconds)
		// A date has whole seconds: rounded up, it is never too early.
		value = now.Add(time.Duration(n)*time.Second + 999*time.Millisecond).UTC().Format(http.TimeFormat)
	}
	return http.Header{"Retry-After": {value}}
}

// apply lets the fault happen, and reports whether that replaced the answer.
func (f *Fault) apply(s *Server, w http.ResponseWriter, r *http.Request, a answer) bool {
	switch f.Kind {
	case "latency":
		s.pause(r, f.Delay)
		return false
	case "hang":
		s.pause(r, 0)
		panic(http.ErrAbortHandler)
	case "drip":
		f.drip(s, w, r, a.bytes())
	case "cut":
		b := a.bytes()
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = w.Write(b[:len(b)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "twice":
		twice(w, a.bytes())
	case "reset":
		reset(w)
	case "goaway":
		w.Header().Set("Connection", "close")
		return false
	case "redirect":
		w.Header().Set("Location", f.Location)
		w.WriteHeader(http.StatusTemporaryRedirect)
	default:
		return f.replace(w)
	}
	return true
}

// replace sends another body in place of the answer's.
func (f *Fault) replace(w http.ResponseWriter) bool {
	body, found := map[string]string{
		"object": `{}`,
		"null":   `{"value":null,"token":null}`,
		"number": `{"value":42,"token":42}`,
		"empty":  `{"value":""}`,
		"nul":    `{"value":"a\u0000b"}`,
		"other":  `{"value":"x","namespace":"other","key":"OTHER"}`,
		"html":   `<!doctype html><title>Sign in</title>`,
	}[f.Kind]
	if !found {
		return false
	}
	kind := "application/json"
	if f.Kind == "html" {
		kind = "text/html"
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write([]byte(body))
	return true
}

func (f *Fault) drip(s *Server, w http.ResponseWriter, r *http.Request, b []byte) {
	w.Header().Set("Content-Type", "application/json")
	for i := range b {
		s.pause(r, max(f.Delay, time.Millisecond))
		if _, err := w.Write(b[i : i+1]); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
	}
}

// pause waits for d, or without one until the client goes or the server ends.
func (s *Server) pause(r *http.Request, d time.Duration) {
	var timer <-chan time.Time
	if d > 0 {
		timer = time.After(d)
	}
	select {
	case <-timer:
	case <-r.Context().Done():
	case <-s.closed:
	}
}

func twice(w http.ResponseWriter, b []byte) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	reply := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(b), b)
	_, _ = io.WriteString(conn, reply+reply)
	_, _ = io.Copy(io.Discard, conn) // until the client has had enough
}

func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: the stream is reset
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}
