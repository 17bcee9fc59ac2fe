package vault

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"testing"
	"time"
)

// hangUp, at the end of an answer, closes the connection.
const hangUp = "\x00hang up"

// scriptedServer speaks HTTP/1.1: connected is called for each connection, and
// what it returns makes the bytes that answer a request.
func scriptedServer(t *testing.T, connected func() func(*http.Request) string) *Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log.SetOutput(io.Discard) // net/http tells it what an idle connection brings
	t.Cleanup(func() { l.Close(); log.SetOutput(os.Stderr) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answerAll(c, connected())
		}
	}()
	return &Client{
		URL: &url.URL{Scheme: "http", Host: l.Addr().String()}, Key: NewSecret(canaryKey), Roots: Roots{}.Load,
		UserAgent: "ass-exec/test", TokenTTL: time.Minute, Timeout: 20 * time.Second,
	}
}

func answerAll(c net.Conn, answer func(*http.Request) string) {
	defer c.Close()
	for in := bufio.NewReader(c); ; {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		text, ends := strings.CutSuffix(answer(r), hangUp)
		if _, err := io.WriteString(c, text); err != nil || ends {
			return
		}
	}
}

func rawReply(status int, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

// twice sends each reply a second time, before the answer to the next request.
func twice(answer func(*http.Request) string) func() func(*http.Request) string {
	return func() func(*http.Request) string {
		last := ""
		return func(r *http.Request) string {
			again := last
			last = answer(r)
			return again + last
		}
	}
}

// HTTP/1.1 has nothing that tells a second copy of a reply from the answer to
// the next request: only what the reply says of itself does.
func TestReplySentTwiceAnswersNoOtherRequest(t *testing.T) {
	for _, tt := range []struct {
		claim string
		found string // a reply
		none  string // the reply for every other secret; empty: the same
	}{
		{"a value alone", `{"value":"value of %s"}`, ""},
		{"a value with its key", `{"value":"value of %s","key":"%[1]s"}`, ""},
		{"a value with its path", `{"value":"value of %s","path":"a/%[1]s"}`, ""},
		{"a value with namespace and key", `{"value":"value of %s","namespace":"a","key":"%[1]s"}`, ""},
		{"a value with a path that is no string", `{"value":"value of %s","path":7}`, ""},
		{"not found", `{"value":"value of %s","path":"a/%[1]s"}`, rawReply(404, `{"error":{"message":"none"}}`)},
		{"not authorized", `{"value":"value of %s","path":"a/%[1]s"}`, rawReply(403, `{"error":{"message":"no"}}`)},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			none := func(key string) bool { return tt.none != "" && strings.ContainsAny(key[len(key)-1:], "13579") }
			c := scriptedServer(t, twice(func(r *http.Request) string {
				key := path.Base(r.URL.Path)
				switch {
				case r.URL.Path == "/v1/tokens":
					return rawReply(200, `{"token":"t"}`)
				case none(key):
					return tt.none
				}
				return rawReply(200, fmt.Sprintf(tt.found, key))
			}))
			s, err := c.Open(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var refs []Ref
			for i := range 20 {
				refs = append(refs, Ref(fmt.Sprint("a/K", i)))
			}
			for ref, r := range s.Read(t.Context(), refs) {
				switch want := "value of " + ref.Key(); {
				case none(ref.Key()):
					if r.Err == nil || r.Err.Status/100 != 4 {
						t.Errorf("%s: got %q, %v, and there is none", ref, r.Value.Reveal(), r.Err)
					}
				case r.Err != nil || r.Value.Reveal() != want:
					t.Errorf("%s: got %q, %v; want %q", ref, r.Value.Reveal(), r.Err, want)
				}
			}
		})
	}
}

// The listing of a/b is one of a, as far as its items say.
func TestListingSentTwiceAnswersNoOtherRequest(t *testing.T) {
	for claim, of := range map[string]string{"without its namespace": "", "with its namespace": `"namespace":%q,`} {
		t.Run(claim, func(t *testing.T) {
			c := scriptedServer(t, twice(func(r *http.Request) string {
				if r.URL.Path == "/v1/tokens" {
					return rawReply(200, `{"token":"t"}`)
				}
				namespace := r.URL.Query().Get("namespace")
				body := "{" + of + `"items":[{"namespace":%[1]q,"key":"K"}]}`
				if of == "" {
					body = `{"items":[{"namespace":%q,"key":"K"}]}`
				}
				return rawReply(200, fmt.Sprintf(body, namespace))
			}))
			s, err := c.Open(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for _, namespace := range []string{"a/b/c", "a/b", "a"} {
				items, err := s.List(t.Context(), namespace)
				if want := Ref(namespace + "/K"); err != nil || len(items) != 1 || items[0].Ref != want {
					t.Errorf("got %v, %v; want %s", items, err, want)
				}
			}
		})
	}
}
