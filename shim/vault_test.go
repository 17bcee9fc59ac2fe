package shim

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

const testKey = "ass_key-of-the-tests"

// testVault is a dev vault in this process, and the environment that leads to it.
type testVault struct {
	*devvault.Server
	environ []string

	onRequest func(path string) // may be nil
	mu        sync.Mutex
	bodies    []string // of the requests for a token
}

func newVault(t *testing.T, cfg devvault.Config) *testVault {
	t.Helper()
	cfg.AgentKey = testKey
	v := &testVault{Server: devvault.New(cfg)}
	cert, ca, err := devvault.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(v)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(func() { v.Close(); s.CloseClientConnections(); s.Close() })
	v.environ = []string{"PATH=/bin:/usr/bin", "ASS_API_URL=" + s.URL, "ASS_CA_FILE=" + caFile, "ASS_AGENT_KEY=" + testKey}
	return v
}

func (v *testVault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if v.onRequest != nil {
		v.onRequest(r.URL.Path)
	}
	if r.URL.Path == "/v1/tokens" {
		body, _ := io.ReadAll(r.Body)
		v.mu.Lock()
		v.bodies = append(v.bodies, string(body))
		v.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	v.Server.ServeHTTP(w, r)
}

// asked lists the requests after the first n, like "GET /secrets/a/B 200".
func (v *testVault) asked(n int) []string {
	var all []string
	for _, r := range v.Requests()[n:] {
		all = append(all, fmt.Sprintf("%s %s %d", r.Method, strings.TrimPrefix(r.Path, "/v1"), r.Status))
	}
	return all
}

// configFor is what an environment and flags come to for a command, in a folder
// without a mapping unless there are lines for one.
func configFor(t *testing.T, mapping string, environ []string, args ...string) Config {
	t.Helper()
	t.Chdir(t.TempDir())
	if mapping != "" {
		if err := os.WriteFile("m", []byte(mapping), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append([]string{"--mapping=m"}, args...)
	}
	cfg, err := ParseConfig(append(args, "sh"), environ)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// logTo writes records as LEVEL message, one a line.
func logTo(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}
