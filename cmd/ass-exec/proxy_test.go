package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// connectProxy is a proxy that connects everybody to one address, or answers
// every CONNECT with a status. It tells what it was asked.
func connectProxy(t *testing.T, to string, status int) (address string, asked chan *http.Request) {
	t.Helper()
	asked = make(chan *http.Request, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		if status != 200 {
			http.Error(w, "hidden", status)
			return
		}
		vault, err := net.Dial("tcp", to)
		if err != nil {
			t.Error(err)
			return
		}
		defer vault.Close()
		client, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer client.Close()
		_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(vault, client); vault.Close() }()
		_, _ = io.Copy(client, vault)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), asked
}

// A proxy is used for what is not loopback, and its troubles are told as its
// own, without its credentials.
func TestProxyIsUsedAndItsTroublesAreNamed(t *testing.T) {
	const credentials = "canaryUSER:canaryPASSWORD"
	const hint = `^ass-exec: hint: check that vault\.example is right \(--api-url\) and can be reached from here through the proxy ADDRESS \(HTTPS_PROXY, NO_PROXY\); --timeout is 1s$`
	for _, tt := range []struct {
		name   string
		status int // of the proxy; 0: there is none
		exit   int
		stderr []string // its lines but for the warnings
	}{
		{"connects", 200, 0, nil},
		{"refuses", 407, 69, []string{`^ass-exec: error: cannot reach vault\.example: the proxy ADDRESS answered Proxy Authentication Required \(407\)(, after \d+ attempts)?$`, hint}},
		{"is not there", 0, 69, []string{`^ass-exec: error: cannot reach vault\.example: the proxy: dial tcp ADDRESS: connect: connection refused(, after \d+ attempts)?$`, hint}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, env := vaultServer(t, devvault.Config{})
			v.Put("a/B", "value")
			var to string
			for i, kv := range env {
				if raw, ok := strings.CutPrefix(kv, "ASS_API_URL="); ok {
					u, err := url.Parse(raw)
					if err != nil {
						t.Fatal(err)
					}
					to, env[i] = u.Host, "ASS_API_URL=https://vault.example"
				}
			}
			proxy, asked := connectProxy(t, to, max(tt.status, 200))
			if tt.status == 0 {
				proxy = "127.0.0.1:1"
			}
			env = append(env, "HTTPS_PROXY=http://"+credentials+"@"+proxy, "X=ass://a/B", "ASS_TIMEOUT=1s")
			status, stdout, stderr := assExec(t, env, "sh", "-c", `echo "$X"`)
			if status != tt.exit || (stdout == "value\n") != (tt.exit == 0) {
				t.Errorf("got status %d, stdout %q, want %d", status, stdout, tt.exit)
			}
			if regexp.MustCompile("canary|hidden").MatchString(stderr) {
				t.Errorf("got %s", stderr)
			}
			var lines []string
			for line := range strings.Lines(stderr) {
				if !strings.HasPrefix(line, "ass-exec: warning: ") {
					lines = append(lines, strings.TrimSuffix(line, "\n"))
				}
			}
			for i := range max(len(lines), len(tt.stderr)) {
				want := strings.ReplaceAll(at(tt.stderr, i), "ADDRESS", regexp.QuoteMeta(proxy))
				if want == "" || !regexp.MustCompile(want).MatchString(at(lines, i)) {
					t.Errorf("got line %q, want %s", at(lines, i), want)
				}
			}
			if tt.status != 0 {
				r := <-asked
				user, password, _ := (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth()
				if r.Method != "CONNECT" || r.Host != "vault.example:443" || user+":"+password != credentials {
					t.Errorf("the proxy was asked %s %s by %s", r.Method, r.Host, user)
				}
			}
		})
	}
}
