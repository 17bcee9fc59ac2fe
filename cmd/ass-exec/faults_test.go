package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// vaultServer serves a dev vault over TLS and returns what a client needs.
func vaultServer(t testing.TB, cfg devvault.Config) (v *devvault.Server, env []string) {
	t.Helper()
	v = devvault.New(cfg)
	cert, ca, err := devvault.Certificate("127.0.0.1", "vault.example")
	if err != nil {
		t.Fatal(err)
	}
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, ca, 0o644); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(v)
	s.Listener = v.Listener(s.Listener)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(func() { v.Close(); s.CloseClientConnections(); s.Close() })
	return v, []string{
		"PATH=" + os.Getenv("PATH"), "ASS_API_URL=" + s.URL, "ASS_AGENT_KEY=" + v.AgentKey(), "ASS_CA_FILE=" + caFile,
	}
}

// assExec runs the built binary to its end.
func assExec(t *testing.T, env []string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "ass-exec"), args...)
	cmd.Env = env
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

const (
	canaryKey   = "ass_canaryKEY00000000000000"
	canaryValue = "canaryVALUE0000000000"
	canaryToken = "eyJkZXY." // what each token of the dev vault begins with
)

// faultCases name, for each kind of trouble, how a run ends and how many
// requests of that endpoint it takes. 0 attempts: not counted.
var faultCases = []struct {
	name, fault string
	cfg         devvault.Config
	timeout     string
	status      int
	attempts    int
	stderr      string // what it must say
}{
	{name: "no trouble", status: 0, attempts: 1},
	{name: "slow", fault: "kind=latency,delay=300ms,count=1", status: 0, attempts: 1},
	{name: "503 twice", fault: "kind=status,status=503,count=2", status: 0, attempts: 3, stderr: "answered Service Unavailable (503)"},
	{name: "429 with seconds", fault: "kind=status,status=429,retry-after=1,count=1", status: 0, attempts: 2},
	{name: "429 with a date", fault: "kind=status,status=429,retry-after=date+1,count=1", status: 0, attempts: 2},
	{name: "429 for longer than the budget", fault: "kind=status,status=429,retry-after=90", status: 69, attempts: 1},
	{name: "500 for ever", fault: "kind=status,status=500", timeout: "1500ms", status: 69, stderr: "answered Internal Server Error (500): Internal Server Error, after "},
	{name: "408", fault: "kind=status,status=408,count=1", status: 0, attempts: 2},
	{name: "400", fault: "kind=status,status=400", status: 76, attempts: 1},
	{name: "401 once", fault: "kind=status,status=401,count=1", status: 0, attempts: 2},
	{name: "401", fault: "kind=status,status=401", status: 77, attempts: 2},
	{name: "403", fault: "kind=status,status=403", status: 77, attempts: 1},
	{name: "404", fault: "kind=status,status=404", status: 66, attempts: 1},
	{name: "409", fault: "kind=status,status=409", status: 76, attempts: 1},
	{name: "422", fault: "kind=status,status=422", status: 76, attempts: 1},
	{name: "hang", fault: "kind=hang", timeout: "2s", status: 69, attempts: 1, stderr: "no reply within "},
	{name: "slow drip", fault: "kind=drip,delay=100ms", timeout: "2s", status: 69, attempts: 1, stderr: "no reply within "},
	{name: "cut body", fault: "kind=cut,count=1", status: 0, attempts: 2},
	{name: "cut body for ever", fault: "kind=cut", timeout: "2s", status: 69},
	{name: "reset", fault: "kind=reset,count=1", status: 0, attempts: 2},
	{name: "GOAWAY", fault: "kind=goaway", status: 0, attempts: 1},
	{name: "redirect", fault: "kind=redirect,location=EVIL", status: 76, attempts: 1, stderr: "redirected to http://127.0.0.1"},
	{name: "HTML", fault: "kind=html", status: 76, attempts: 1, stderr: "the reply is not JSON (200)"},
	{name: "no value", fault: "kind=object", status: 76, attempts: 1},
	{name: "null", fault: "kind=null", status: 76, attempts: 1},
	{name: "number", fault: "kind=number", status: 76, attempts: 1},
	{name: "empty value", fault: "kind=empty", status: 65, attempts: 1, stderr: "the secret is empty"},
	{name: "NUL", fault: "kind=nul", status: 65, attempts: 1},
	{name: "another secret", fault: "kind=other", status: 76, attempts: 1},
	{name: "TLS refused once", fault: "kind=tls,count=1", status: 0, attempts: 1},
	{name: "clock skew of expires_at", cfg: devvault.Config{Skew: -time.Hour}, status: 0, attempts: 1},
	{name: "tokens that expire at once", cfg: devvault.Config{TokensExpired: true}, status: 77, attempts: 2},
	{name: "token used up half-way", cfg: devvault.Config{TokenMaxUses: 2}, status: 0},
	{name: "rate limit", cfg: devvault.Config{RateLimit: 3}, status: 0},
}

func TestEveryFaultEndsAsItShould(t *testing.T) {
	var stolen []string
	evil := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		stolen = append(stolen, r.Header.Get("Authorization"))
	}))
	defer evil.Close()
	for _, tt := range faultCases {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.AgentKey = canaryKey
			v, env := vaultServer(t, tt.cfg)
			refs := []string{"a/ONE"}
			if tt.attempts == 0 {
				refs = []string{"a/ONE", "a/TWO", "a/THREE", "a/FOUR"}
			}
			for _, ref := range refs {
				v.Put(ref, canaryValue)
				env = append(env, strings.ReplaceAll(ref, "a/", "")+"=ass://"+ref)
			}
			if tt.fault != "" {
				f, err := devvault.ParseFault("endpoint=secrets," + strings.ReplaceAll(tt.fault, "EVIL", evil.URL))
				if err != nil {
					t.Fatal(err)
				}
				v.Inject(f)
			}
			if tt.timeout != "" {
				env = append(env, "ASS_TIMEOUT="+tt.timeout)
			}
			status, stdout, stderr := assExec(t, env, "sh", "-c", "echo started")
			if status != tt.status || (stdout == "started\n") != (status == 0) {
				t.Errorf("got status %d, stdout %q, stderr %s\nwant %d", status, stdout, stderr, tt.status)
			}
			if !strings.Contains(stderr, tt.stderr) {
				t.Errorf("got stderr %q, want %q in it", stderr, tt.stderr)
			}
			for _, secret := range []string{canaryKey, canaryValue, "eyJkZXY"} {
				if strings.Contains(stdout+stderr, secret) {
					t.Errorf("%q is printed in %s%s", secret, stdout, stderr)
				}
			}
			reads := 0
			for _, r := range v.Requests() {
				if strings.HasPrefix(r.Path, "/v1/secrets") {
					reads++
				}
			}
			if tt.attempts > 0 && reads != tt.attempts {
				t.Errorf("got %d attempts, want %d", reads, tt.attempts)
			}
			t.Logf("%-32s exit %d, %d requests for secrets", tt.name, status, reads)
		})
	}
	if len(stolen) > 0 {
		t.Errorf("the redirect was followed %d times, with %q", len(stolen), stolen)
	}
}

// Bytes behind a reply are a server's mistake, and net/http logs them: they are
// a value or a token when a reply is sent twice, or when its length counts
// characters.
func TestNothingBehindAReplyIsPrinted(t *testing.T) {
	const sentToken = "canaryTOKEN0000000000"
	const token = `{"token":"` + sentToken + `"}`
	const value = `{"value":"` + canaryValue + `"}`
	const wide = `{"value":"ääääääääääääääääääääääääääääääää` + canaryValue + `"}`
	reply := func(length int, body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", length, body)
	}
	once := reply(len(token), token)
	for _, tt := range []struct{ name, token, secret string }{
		{"token twice", once + once, reply(len(value), value)},
		{"secret twice", once, reply(len(value), value) + reply(len(value), value)},
		{"length in characters", once, reply(len([]rune(wide)), wide)},
		{"the rest behind", once, reply(len(value), value+value)},
	} {
		for _, args := range [][]string{{"cat"}, {"--check"}, {"--watch=2ms", "cat"}, {"--log-format=json", "-v", "--watch=2ms", "cat"}} {
			t.Run(fmt.Sprint(tt.name, args), func(t *testing.T) {
				stdin, enough, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer stdin.Close()
				defer enough.Close()
				env := rawServer(t, tt.token, tt.secret, func(requests int64) {
					if requests > 40 {
						enough.Close()
					}
				})
				cmd := exec.Command(filepath.Join(bin, "ass-exec"), args...)
				cmd.Env, cmd.Stdin = env, stdin
				if !strings.Contains(fmt.Sprint(args), "watch") {
					enough.Close()
				}
				out, _ := cmd.CombinedOutput() // how it ends is a race
				for _, secret := range []string{canaryKey, canaryValue, sentToken} {
					if strings.Contains(string(out), secret) {
						t.Fatalf("%q is printed in %s", secret, out)
					}
				}
			})
		}
	}
}

// rawServer answers over HTTP/1.1 and TLS with these bytes, each time on a new
// connection, and tells how many requests there were.
func rawServer(t *testing.T, token, secret string, seen func(requests int64)) (env []string) {
	t.Helper()
	var requests atomic.Int64
	cert, ca, err := devvault.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, ca, 0o644); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		text := secret
		if r.URL.Path == "/v1/tokens" {
			text = token
		}
		_, _ = io.WriteString(c, text)
		seen(requests.Add(1))
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return []string{"PATH=" + os.Getenv("PATH"), "ASS_API_URL=" + s.URL, "ASS_AGENT_KEY=" + canaryKey, "ASS_CA_FILE=" + caFile, "X=ass://a/B", "ASS_TIMEOUT=5s"}
}
