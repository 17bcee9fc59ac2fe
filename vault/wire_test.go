package vault

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
)

const goodReply = `{"value":"` + canaryValue + `","path":"a/B"}`

func chunked(chunks string) string {
	return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
}

func withHeaders(headers, body string) string {
	return "HTTP/1.1 200 OK\r\n" + headers + "\r\n" + body
}

// readScripted reads a secret from a server that answers the first read with
// raw and every other one with a good reply.
func readScripted(t *testing.T, raw string) (retried []string, result string) {
	t.Helper()
	reads := 0
	c := scriptedServer(t, func() func(*http.Request) string {
		return func(r *http.Request) string {
			if r.URL.Path == "/v1/tokens" {
				return rawReply(200, `{"token":"t"}`)
			}
			if reads++; reads == 1 {
				return raw
			}
			return rawReply(200, goodReply)
		}
	})
	return readNoting(t, c)
}

// readNoting reads a secret without waiting between attempts. It returns what the
// retries were for, and the value or the error.
func readNoting(t *testing.T, c *Client) (retried []string, result string) {
	t.Helper()
	c.newTimer = func() backoff.Timer { return &instant{new(sync.Mutex), new([]time.Duration), make(chan time.Time, 1)} }
	c.OnRetry = func(e *Error, _ time.Duration) {
		retried = append(retried, strings.TrimPrefix(e.Text, "cannot reach "+c.URL.Host+": "))
	}
	got, err := readOne(c, "a/B")
	switch {
	case err != nil:
		t.Fatal(err)
	case got.Err != nil:
		return retried, got.Err.Error()
	}
	return retried, got.Value.Reveal()
}

// Where the end of a reply is in doubt, not even a whole object in it counts:
// the request is sent again.
func TestReplyOfBrokenFramingIsNotTaken(t *testing.T) {
	const cut, broken = "the connection was closed before the reply was complete", "the connection broke"
	length := fmt.Sprintf("Content-Length: %d\r\n", len(goodReply))
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(goodReply), goodReply)
	for _, tt := range []struct{ claim, raw, want string }{
		{"nothing", hangUp, cut},
		{"a status line that is cut off", "HTTP/1.1 20" + hangUp, "the reply is not HTTP"},
		{"a chunk that is cut off", chunked(chunk[:20]) + hangUp, cut},
		{"no last chunk", chunked(chunk) + hangUp, cut},
		{"a last chunk that is cut off", chunked(chunk+"0\r\n") + hangUp, broken},
		{"a chunk without a length", chunked("zz\r\n" + chunk + "0\r\n\r\n"), broken},
		{"a chunk that is longer than its length", chunked("5\r\n" + goodReply + "\r\n0\r\n\r\n"), broken},
		{"a trailer without end", chunked(chunk + "0\r\n" + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 1000) + "\r\n"), broken},
		{"less than its length", withHeaders("Content-Length: 999\r\n", goodReply) + hangUp, cut},
		{"two lengths", withHeaders(length+"Content-Length: 5\r\n", goodReply), broken},
		{"a negative length", withHeaders("Content-Length: -1\r\n", goodReply), broken},
		{"an unknown transfer encoding", withHeaders("Transfer-Encoding: gzip\r\n", goodReply), broken},
		{"interim replies without end", strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n", 10000), "the headers of the reply are too large"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			retried, got := readScripted(t, tt.raw)
			if len(retried) != 1 || retried[0] != tt.want || got != canaryValue {
				t.Errorf("got %q after %q; want the value after %q", got, retried, tt.want)
			}
		})
	}
}

// What a server says for good is not asked again.
func TestReplyThatIsNotTheAPIsIsRefusedAtOnce(t *testing.T) {
	const notJSON = "the reply is not JSON (200)"
	for _, tt := range []struct{ claim, raw, want string }{
		{"an empty body", rawReply(200, ""), notJSON},
		{"an empty chunked body", chunked("0\r\n\r\n"), notJSON},
		{"a body that ends with the connection", withHeaders("", "") + hangUp, notJSON},
		{"less than was sent", withHeaders("Content-Length: 9\r\n", goodReply), notJSON},
		{"an encoding that was not asked for", withHeaders("Content-Encoding: gzip\r\nContent-Length: 4\r\n", "\x1f\x8b\x08\x00"), notJSON},
		{"another protocol, on a connection that stays open", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "unexpected reply Switching Protocols (101)"},
		{"not modified", "HTTP/1.1 304 Not Modified\r\n\r\n", "redirected to another address, which is not followed (304)"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			if retried, got := readScripted(t, tt.raw); got != tt.want || len(retried) > 0 {
				t.Errorf("got %q after %q; want %q at once", got, retried, tt.want)
			}
		})
	}
}

func TestRepliesOfOldServersAreTaken(t *testing.T) {
	for claim, raw := range map[string]string{
		"HTTP/1.0":                             "HTTP/1.0 200 OK\r\n\r\n" + goodReply + hangUp,
		"a length beside chunks":               "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" + strings.TrimPrefix(chunked(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(goodReply), goodReply)), "HTTP/1.1 200 OK\r\n"),
		"interim replies":                      strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 3) + rawReply(200, goodReply),
		"white space around the object":        rawReply(200, "\r\n\t "+goodReply+" \n"),
		"the media type of something else":     withHeaders(fmt.Sprintf("Content-Type: text/html\r\nContent-Length: %d\r\n", len(goodReply)), goodReply),
		"a Date that is wrong by many decades": withHeaders(fmt.Sprintf("Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: %d\r\n", len(goodReply)), goodReply),
	} {
		t.Run(claim, func(t *testing.T) {
			if retried, got := readScripted(t, raw); got != canaryValue || len(retried) > 0 {
				t.Errorf("got %q after %q; want the value at once", got, retried)
			}
		})
	}
}

// readOverHTTP2 is readScripted with a handler, over HTTP/2.
func readOverHTTP2(t *testing.T, first http.HandlerFunc) (retried []string, result string) {
	t.Helper()
	reads := 0
	c, _ := tlsClient(t, &http.HTTP2Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/tokens" {
			_, _ = io.WriteString(w, `{"token":"t"}`)
			return
		}
		if reads++; reads == 1 {
			first(w, r)
			return
		}
		_, _ = io.WriteString(w, goodReply)
	}))
	return readNoting(t, c)
}

// HTTP/2 has other ways to end a reply, and to make it long.
func TestReplyOfBrokenHTTP2IsNotTaken(t *testing.T) {
	header := strings.Repeat("x", 1<<20)
	for _, tt := range []struct {
		claim, want string // want is what the retry is for
		serve       http.HandlerFunc
	}{
		{"a stream that is reset behind a whole object", "the server aborted the reply", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, goodReply)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}},
		{"less than its length", "the connection was closed before the reply was complete", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "999")
			_, _ = io.WriteString(w, goodReply)
		}},
		{"interim replies without end", "the server aborted the reply", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.WriteHeader(http.StatusEarlyHints)
			}
		}},
		{"headers that are too large", "the connection broke", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", header)
			_, _ = io.WriteString(w, goodReply)
		}},
		{"trailers that are too large", "the connection broke", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(http.TrailerPrefix+"X", header)
			_, _ = io.WriteString(w, goodReply)
		}},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			retried, got := readOverHTTP2(t, tt.serve)
			if len(retried) != 1 || retried[0] != tt.want || got != canaryValue {
				t.Errorf("got %q after %q; want the value after %q", got, retried, tt.want)
			}
		})
	}
}

func TestReplyOverHTTP2ThatIsNotTheAPIsIsRefusedAtOnce(t *testing.T) {
	for _, tt := range []struct {
		claim, want string
		serve       http.HandlerFunc
	}{
		{"an empty body", "the reply is not JSON (200)", func(http.ResponseWriter, *http.Request) {}},
		{"a body without end", "the reply is larger than 1 MiB (200)", func(w http.ResponseWriter, r *http.Request) {
			for err := r.Context().Err(); err == nil; {
				_, err = w.Write(make([]byte, 64<<10))
			}
		}},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			if retried, got := readOverHTTP2(t, tt.serve); got != tt.want || len(retried) > 0 {
				t.Errorf("got %q after %q; want %q at once", got, retried, tt.want)
			}
		})
	}
}
