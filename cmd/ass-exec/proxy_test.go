package main

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// connectProxy is a proxy that connects everybody to one address, or answers
// every CONNECT with a status. It tells what it was asked.
func connectProxy(t *testing.T, to string, status int) (address string, asked chan *http.Request) {
	t.Helper()
	h, asked := connectHandler(t, to, status)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), asked
}

func connectHandler(t *testing.T, to string, status int) (h http.HandlerFunc, asked chan *http.Request) {
	asked = make(chan *http.Request, 100)
	return func(w http.ResponseWriter, r *http.Request) {
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
	}, asked
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
		{"refuses", 403, 69, []string{`^ass-exec: error: cannot reach vault\.example: the proxy ADDRESS answered Forbidden \(403\)(, after \d+ attempts)?$`, hint}},
		{"is not there", 0, 69, []string{`^ass-exec: error: cannot reach vault\.example: the proxy: dial tcp ADDRESS: connect: connection refused(, after \d+ attempts)?$`, hint}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, env := vaultServer(t, devvault.Config{})
			v.Put("a/B", "value")
			to := strings.TrimPrefix(env[1], "ASS_API_URL=https://")
			proxy, asked := connectProxy(t, to, max(tt.status, 200))
			if tt.status == 0 {
				proxy = "127.0.0.1:1"
			}
			env = append(env, "ASS_API_URL=https://vault.example", "HTTPS_PROXY=http://"+credentials+"@"+proxy, "X=ass://a/B")
			if tt.exit != 0 {
				env = append(env, "ASS_TIMEOUT=1s")
			}
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

// A proxy with HTTP/2 would take it where it is offered, and no CONNECT of
// HTTP/1.1 after that.
func TestProxyOverTLSIsAskedInHTTP1(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/B", "value")
	var to, caFile string
	for i, kv := range env {
		switch name, value, _ := strings.Cut(kv, "="); name {
		case "ASS_API_URL":
			to, env[i] = strings.TrimPrefix(value, "https://"), "ASS_API_URL=https://vault.example"
		case "ASS_CA_FILE":
			caFile = value
		}
	}
	h, asked := connectHandler(t, to, 200)
	proxy := httptest.NewUnstartedServer(h)
	proxy.EnableHTTP2 = true
	proxy.StartTLS()
	t.Cleanup(func() { proxy.CloseClientConnections(); proxy.Close() })
	f, err := os.OpenFile(caFile, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := pem.Encode(f, &pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw}); err != nil {
		t.Fatal(err)
	}
	env = append(env, "HTTPS_PROXY="+proxy.URL, "X=ass://a/B", "ASS_TIMEOUT=5s")
	status, stdout, stderr := assExec(t, env, "sh", "-c", `echo "$X"`)
	if status != 0 || stdout != "value\n" || stderr != "" || len(asked) != 1 {
		t.Errorf("got status %d, stdout %q, stderr %q; the proxy was asked %d times", status, stdout, stderr, len(asked))
	}
	for _, r := range v.Requests() {
		if r.Proto != "HTTP/2.0" {
			t.Errorf("got %+v, want HTTP/2 to the vault", r)
		}
	}
}

// Cleartext is allowed on loopback because it does not leave the machine.
func TestLoopbackIsAskedWithoutTheProxy(t *testing.T) {
	proxy, asked := connectProxy(t, "", 403)
	v := devvault.New(devvault.Config{})
	v.Put("a/B", "value")
	s := httptest.NewServer(v)
	t.Cleanup(func() { v.Close(); s.Close() })
	for _, host := range []string{"127.0.0.1", "[::ffff:127.0.0.1]", "localhost", "LOCALHOST", "Localhost"} {
		status, stdout, stderr := assExec(t, []string{
			"PATH=" + os.Getenv("PATH"), "ASS_AGENT_KEY=" + v.AgentKey(), "ASS_API_URL=" + strings.Replace(s.URL, "127.0.0.1", host, 1),
			"HTTP_PROXY=http://" + proxy, "X=ass://a/B", "ASS_TIMEOUT=5s",
		}, "sh", "-c", `echo "$X"`)
		if status != 0 || stdout != "value\n" || stderr != "" || len(asked) > 0 {
			t.Errorf("%s: got status %d, stdout %q, stderr %q; the proxy was asked %d times", host, status, stdout, stderr, len(asked))
		}
	}
}

// A directory locks an account after a few wrong passwords.
func TestProxyThatWantsOtherCredentialsIsAskedOnce(t *testing.T) {
	const hint = "ass-exec: hint: correct user and password in VARIABLE, like http://user:password@proxy.example:3128 with special characters percent-encoded; it was tried only once, so as not to lock the account\n"
	http407, asked := connectProxy(t, "", 407)
	http401, asked401 := connectProxy(t, "", 401)
	socks, dialed := socksProxy(t, []byte{5, 2}, []byte{1, 1})
	socksNone, dialedNone := socksProxy(t, []byte{5, 0xff})
	for _, tt := range []struct {
		name, proxy, vault string
		asked              func() int
		stderr             string
	}{
		{
			"CONNECT", "http://canaryUSER:canaryPASSWORD@" + http407, "https://vault.example", func() int { return len(asked) },
			"cannot reach vault.example: the proxy " + http407 + " answered Proxy Authentication Required (407)\n",
		},
		{
			"CONNECT, as tinyproxy refuses", "http://canaryUSER:canaryPASSWORD@" + http401, "https://vault.example", func() int { return len(asked401) },
			"cannot reach vault.example: the proxy " + http401 + " answered Unauthorized (401)\n",
		},
		{
			"plain http", "http://canaryUSER:canaryPASSWORD@" + http407, "http://vault.example", func() int { return len(asked) },
			"the proxy answered Proxy Authentication Required (407)\n",
		},
		{
			"SOCKS password", "socks5://canaryUSER:canaryPASSWORD@" + socks, "https://vault.example", func() int { return len(dialed) },
			"cannot reach vault.example: socks connect tcp vault.example:443: username/password authentication failed\n",
		},
		{
			"SOCKS method", "socks5://" + socksNone, "https://vault.example", func() int { return len(dialedNone) },
			"cannot reach vault.example: socks connect tcp vault.example:443: no acceptable authentication methods\n",
		},
	} {
		before := tt.asked()
		variable := strings.ToUpper(strings.Split(tt.vault, ":")[0]) + "_PROXY"
		status, stdout, stderr := assExec(t, []string{
			"PATH=" + os.Getenv("PATH"), "ASS_AGENT_KEY=" + canaryKey, "ASS_API_URL=" + tt.vault, "ASS_ALLOW_HTTP=true", "ASS_TIMEOUT=5s",
			variable + "=" + tt.proxy, "X=ass://a/B",
		}, "true")
		want := "ass-exec: error: " + tt.stderr + strings.ReplaceAll(hint, "VARIABLE", variable)
		if status != 78 || stdout != "" || stderr != want {
			t.Errorf("%s: got status %d, stdout %q,\n%swant 78, nothing,\n%s", tt.name, status, stdout, stderr, want)
		}
		if n := tt.asked() - before; n != 1 {
			t.Errorf("%s: the proxy was asked %d times", tt.name, n)
		}
	}
}

// socksProxy answers each message of a client with the next of these, and
// tells of every connection.
func socksProxy(t *testing.T, answers ...[]byte) (address string, dialed chan bool) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	dialed = make(chan bool, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			dialed <- true
			for _, answer := range answers {
				_, _ = c.Read(make([]byte, 600))
				_, _ = c.Write(answer)
			}
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	return l.Addr().String(), dialed
}

// What is wrong with a TLS proxy is not told of the vault.
func TestTroubleWithATLSProxyIsTheProxys(t *testing.T) {
	untrusted := httptest.NewTLSServer(http.NotFoundHandler()) // by nobody
	defer untrusted.Close()
	plain, _ := connectProxy(t, "", 200)
	for proxy, want := range map[string]string{
		untrusted.URL: "ass-exec: error: certificate of the proxy is not trusted: signed by an unknown authority\n" +
			"ass-exec: hint: if the proxy has an authority of its own, add its certificate to the file of --ca-file, beside the vault's; otherwise another server answers in the proxy's place\n",
		"https://" + plain: "ass-exec: error: the proxy does not speak TLS\n" +
			"ass-exec: hint: write http:// instead of https:// in HTTPS_PROXY, if that is what the proxy speaks\n",
	} {
		status, stdout, stderr := assExec(t, []string{
			"PATH=" + os.Getenv("PATH"), "ASS_AGENT_KEY=" + canaryKey, "ASS_API_URL=https://vault.example", "ASS_TIMEOUT=5s",
			"HTTPS_PROXY=" + proxy, "X=ass://a/B",
		}, "true")
		if status != 78 || stdout != "" || stderr != want {
			t.Errorf("got status %d, stdout %q,\n%swant 78, nothing,\n%s", status, stdout, stderr, want)
		}
	}
}
