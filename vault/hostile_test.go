package vault

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Whatever a server sends, the client answers soon, with an error, and in
// little memory.
func TestHostileRepliesAreRefusedInBoundedMemory(t *testing.T) {
	bomb := gzipBomb()
	const bound = 32 << 20 // bytes allocated for one reply, of which most at once
	for _, tt := range []struct {
		claim   string
		serve   http.HandlerFunc
		text    string
		retried bool // until the budget ends
	}{
		{"a body without end", func(w http.ResponseWriter, r *http.Request) {
			block := []byte(strings.Repeat("x", 1<<20))
			for err := r.Context().Err(); err == nil; {
				_, err = w.Write(block)
			}
		}, "the reply is larger than 1 MiB (200)", false},
		{"a gzip bomb", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb)
		}, "the reply is not JSON (200)", false},
		{"deep JSON", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"value":`+strings.Repeat("[", 500000))
		}, "the reply is not JSON (200)", false},
		{"deep JSON that ends", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"value":`+strings.Repeat("[", 9000)+strings.Repeat("]", 9000)+`}`)
		}, "the value in the reply is missing or not a string", false},
		{"a megabyte of headers", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		}, "the headers of the reply are too large", true},
		{"escapes in the status line", func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(c, "HTTP/1.1 \x1b[2J"+canaryValue+"\r\n\r\n")
				c.Close()
			}
		}, "the reply is not HTTP", true},
		{"a switch to another protocol, and then silence", func(w http.ResponseWriter, _ *http.Request) {
			if _, rw, err := http.NewResponseController(w).Hijack(); err == nil {
				_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
				_ = rw.Flush()
			}
		}, "unexpected reply Switching Protocols (101)", false},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			c, _ := testClient(t, tt.serve)
			if tt.retried {
				c.Timeout, c.newTimer = time.Second, nil
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := readOne(c, "a/B")
			runtime.ReadMemStats(&after)
			if err != nil || got.Err == nil || !strings.Contains(got.Err.Cause(), tt.text) || strings.Contains(got.Err.Error(), canaryValue) {
				t.Errorf("got %v, %v; want %s", err, got.Err, tt.text)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > bound {
				t.Errorf("%d bytes were allocated", used)
			}
		})
	}
}

func gzipBomb() []byte {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 64<<20))
	z.Close()
	return bomb.Bytes()
}

// The bound holds for all replies of a round, the token's too, and each round
// has its own.
func TestRepliesOfARoundAreBoundedTogether(t *testing.T) {
	const tokenReply = `{"token":"t"}`
	for _, over := range []int{0, 1} {
		mux := http.NewServeMux()
		mux.HandleFunc("/v1/tokens", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, tokenReply) })
		mux.HandleFunc("/v1/secrets/a/", func(w http.ResponseWriter, r *http.Request) {
			size := maxBody
			if strings.HasSuffix(r.URL.Path, "/LAST") {
				size += over - len(tokenReply)
			}
			const around = len(`{"value":""}`)
			io.WriteString(w, `{"value":"`+strings.Repeat("x", size-around)+`"}`)
		})
		c, _ := clientOf(t, mux)
		s, err := c.Open(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		refs := []Ref{"a/LAST"}
		for len(refs) < maxRound/maxBody {
			refs = append(refs, Ref(fmt.Sprint("a/S", len(refs))))
		}
		failed := 0
		for _, r := range s.Read(context.Background(), refs) {
			if r.Err == nil {
				continue
			}
			failed++
			if r.Err.Reason != TooMuch || r.Err.Error() != "the replies are larger than 64 MiB in total" {
				t.Errorf("got %v", r.Err)
			}
		}
		if (failed > 0) != (over > 0) {
			t.Errorf("%d bytes too many: got %d failures", over, failed)
		}
		s.ResetBudget()
		if got := s.Read(context.Background(), refs[1:2])[refs[1]]; got.Err != nil {
			t.Errorf("the next round: got %v", got.Err)
		}
	}
}

func TestListingIsWholeOrAnError(t *testing.T) {
	item := func(namespace, key string) string {
		return fmt.Sprintf(`{"namespace":%q,"key":%q,"version":2}`, namespace, key)
	}
	for _, tt := range []struct {
		claim string
		pages map[string]string // by the query
		want  string            // the secrets, or the error
	}{
		{"items", map[string]string{"namespace=ns": `{"items":[` + item("ns", "A") + `,` + item("ns/deep", "B") + `]}`}, "ns/A ns/deep/B"},
		{"secrets, without a namespace", map[string]string{"namespace=ns": `{"secrets":[{"key":"A"},{"key":"deep/B"}]}`}, "ns/A ns/deep/B"},
		{"nothing", map[string]string{"namespace=ns": `{"items":[]}`}, ""},
		{"no list", map[string]string{"namespace=ns": `{}`}, "the reply has no list of secrets"},
		{"a listing of another", map[string]string{"namespace=ns": `{"namespace":"n","items":[]}`}, "the listing is for a different namespace"},
		{"null", map[string]string{"namespace=ns": `{"items":null}`}, "the reply has no list of secrets"},
		{"another namespace", map[string]string{"namespace=ns": `{"items":[` + item("nsx", "A") + `]}`}, "the listing has an item outside ns: it is in another namespace"},
		{"a way out", map[string]string{"namespace=ns": `{"items":[` + item("ns/../etc", "A") + `]}`}, "the listing has an item outside ns: a path cannot have a . or .. segment"},
		{"no key", map[string]string{"namespace=ns": `{"items":[{}]}`}, "the listing has an item outside ns: it has no key"},
		{"twice the same", map[string]string{"namespace=ns": `{"items":[` + item("ns", "A") + `,` + item("ns", "A") + `]}`}, "ns/A"},
		{"paging", map[string]string{"namespace=ns": `{"total":2,"items":[` + item("ns", "A") + `]}`}, "the listing may be one page of several, and paging is not supported"},
		{"no query form", map[string]string{"": `{"items":[` + item("ns", "A") + `]}`}, "ns/A"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.HandleFunc("POST /v1/tokens", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"token":"t"}`) })
			mux.HandleFunc("GET /v1/secrets", func(w http.ResponseWriter, r *http.Request) {
				body, ok := tt.pages[r.URL.RawQuery]
				if !ok {
					w.WriteHeader(http.StatusUnprocessableEntity)
				}
				io.WriteString(w, body)
			})
			mux.HandleFunc("GET /v1/secrets/ns", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, tt.pages[""]) })
			c, _ := clientOf(t, mux)
			s, err := c.Open(context.Background(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			items, listErr := s.List(context.Background(), "ns")
			got := ""
			for _, item := range items {
				got += " " + string(item.Ref)
			}
			if listErr != nil {
				got = " " + listErr.Cause()
			}
			if strings.TrimPrefix(got, " ") != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// A string without an escape is not decoded; what stands around it is not part
// of it.
func TestPlainStringIsWhatJSONDecodes(t *testing.T) {
	for _, s := range []string{`""`, `"x"`, `"grüße"`, `" blanks "`, `"\u0041"`, `"\\"`, `"a\"b"`, `"\ufffd�\uFFFD"`} {
		var want string
		if err := json.Unmarshal([]byte(s), &want); err != nil {
			t.Fatal(err)
		}
		for _, reply := range []string{`{"value":` + s + `}`, "{ \"value\" :\n\t" + s + " \r\n, \"other\":1}"} {
			if got, ok := parseObject([]byte(reply)).text("value"); !ok || got != want {
				t.Errorf("%s: got %q, %v; want %q", reply, got, ok, want)
			}
		}
	}
}

// No bytes make the client panic, or accept what is not a secret, a token or a
// listing.
func FuzzReply(f *testing.F) {
	for _, s := range []string{
		`{"value":"v","version":1,"path":"a/B"}`, `{"token":"t","requires_approval":true,"approval_id":"x"}`, `{"items":[{"key":"K"}],"next":"?a=b","total":9}`,
		`{"error":{"code":"c","message":"m"},"detail":[{"loc":["a",1],"msg":"m"}]}`, `{"status":"approved","token":"t","expires_at":"x"}`, `{"value":"\ud800"}`, "[", "\xff",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o := parseObject(body)
		if r, err := parseSecret("a/B", o); err == nil && r.Value.v == nil {
			t.Error("a value out of nothing")
		}
		if token, err := parseToken(o, NewSecret("m")); err == nil && (token.Empty() || strings.ContainsAny(token.Reveal(), "\r\n ")) {
			t.Errorf("got token %q", token.Reveal())
		}
		if items, err := parseList("ns", o); err == nil {
			for _, item := range items {
				if !strings.HasPrefix(string(item.Ref), "ns/") {
					t.Errorf("got item %q", item.Ref)
				}
			}
		}
		_, _ = parseApproval(o)
		paged(&reply{200, nil, o}, 1)
		message := o.message()
		if q := quote(message, NewSecret("m")); strings.ContainsAny(q, "\x1b\n\r\x07") || len([]rune(q)) > maxMessage+1 {
			t.Errorf("got message %q", q)
		}
	})
}
