//go:build world

package world

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/examples/internal/link"
	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// A front is a program between ass-exec and the vault, that ends TLS.
type front struct {
	name, program string
	config        string // a file, which args name as CONFIG
	args          []string
	behind        *front // the program that it hands on to, in place of the vault
	reload        bool
}

// In configurations and arguments PORT is the front's, VAULT what is behind it,
// and CERT, KEY, PEM (both) and DIR are files and a folder.
const nginxConfig = `
user root; daemon off; pid DIR/pid; error_log DIR/error.log; worker_processes 2;
events { worker_connections 1024; }
http {
	access_log off; client_body_temp_path DIR/body; proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;
	limit_req_zone $binary_remote_addr zone=one:1m rate=50r/s; limit_req_status 429;
	upstream vault { server 127.0.0.1:VAULT; }
	server {
		listen 127.0.0.1:PORT ssl LISTEN;
		ssl_certificate CERT; ssl_certificate_key KEY;
		OPTIONS
		location / { proxy_pass http://vault; LOCATION }
	}
}`

func nginx(name, listen, options, location string) front {
	return front{
		name: "nginx, " + name, program: "nginx", args: []string{"-p", "DIR", "-c", "CONFIG"},
		config: strings.NewReplacer("LISTEN", listen, "OPTIONS", options, "LOCATION", location).Replace(nginxConfig),
	}
}

func fronts() []front {
	reloaded := nginx("HTTP/2, reloaded all the time", "http2", "", "")
	reloaded.reload = true
	return []front{
		nginx("HTTP/1.1", "", "", ""),
		nginx("HTTP/2", "http2", "", ""),
		nginx("HTTP/2, 2 streams", "http2", "http2_max_concurrent_streams 2;", ""),
		nginx("HTTP/1.1, 1 request a connection", "", "keepalive_requests 1;", ""),
		nginx("HTTP/1.1, 3 requests a connection", "", "keepalive_requests 3;", ""),
		nginx("HTTP/2, 1 request a connection", "http2", "keepalive_requests 1;", ""),
		nginx("HTTP/2, 3 requests a connection", "http2", "keepalive_requests 3;", ""),
		nginx("HTTP/2, 50 requests a second", "http2", "", "limit_req zone=one burst=10 nodelay;"),
		reloaded,
		{name: "haproxy, HTTP/2", program: "haproxy", args: []string{"-db", "-f", "CONFIG"}, config: `
defaults
  mode http
  timeout client 30s
  timeout connect 5s
  timeout server 30s
frontend f
  bind 127.0.0.1:PORT ssl crt PEM alpn h2,http/1.1
  default_backend b
backend b
  server vault 127.0.0.1:VAULT
`},
		{name: "Apache, HTTP/2", program: "apache2", args: []string{"-d", "DIR", "-f", "CONFIG", "-DFOREGROUND"}, config: `
ServerName localhost
Listen 127.0.0.1:PORT
PidFile DIR/pid
ErrorLog DIR/error.log
User www-data
Mutex pthread
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
LoadModule http2_module /usr/lib/apache2/modules/mod_http2.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
Protocols h2 http/1.1
SSLEngine on
SSLCertificateFile CERT
SSLCertificateKeyFile KEY
AllowEncodedSlashes NoDecode
ProxyPass / http://127.0.0.1:VAULT/ nocanon
`},
		{name: "Caddy, HTTP/2", program: "caddy", args: []string{"run", "--adapter", "caddyfile", "--config", "CONFIG"}, config: `
{
	admin off
	auto_https off
	storage file_system DIR
	servers {
		protocols h1 h2
	}
}
https://127.0.0.1:PORT {
	tls CERT KEY
	reverse_proxy 127.0.0.1:VAULT
}
`},
		{name: "nghttpx, HTTP/2", program: "nghttpx", args: []string{
			"--conf=/dev/null", "-f127.0.0.1,PORT", "-b127.0.0.1,VAULT", "--errorlog-file=DIR/error.log", "KEY", "CERT",
		}},
		{name: "hitch and varnish, HTTP/1.1", program: "hitch", config: "daemon = off\n", args: []string{
			"--config=CONFIG", "--user=nobody", "--frontend=[127.0.0.1]:PORT", "--backend=[127.0.0.1]:VAULT", "PEM",
		}, behind: &front{program: "varnishd", args: []string{
			"-F", "-n", "DIR", "-a", "127.0.0.1:PORT", "-b", "127.0.0.1:VAULT", "-s", "malloc,32m",
		}}},
		{name: "lighttpd, HTTP/2", program: "lighttpd", args: []string{"-D", "-f", "CONFIG"}, config: `
server.modules = ("mod_openssl", "mod_proxy")
server.document-root = "DIR"
server.errorlog = "DIR/error.log"
server.bind = "127.0.0.1"
server.port = PORT
ssl.engine = "enable"
ssl.pemfile = "CERT"
ssl.privkey = "KEY"
proxy.server = ("" => (("host" => "127.0.0.1", "port" => VAULT)))
`},
		{name: "Node, HTTP/2 with windows of one byte", program: "node", args: []string{"testdata/window.js", "PORT", "VAULT", "CERT", "KEY"}},
	}
}

// Behind whatever server the vault stands, a command runs with all of its
// secrets or does not run.
func TestServersGiveAllSecretsOrAStatus(t *testing.T) {
	v := newVault(t, 200)
	var report strings.Builder
	for _, f := range fronts() {
		port, process := v.serveBehind(t, f)
		done := make(chan bool)
		if f.reload {
			go func() {
				for ticks := time.Tick(30 * time.Millisecond); ; {
					select {
					case <-ticks:
						_ = process.Signal(syscall.SIGHUP)
					case <-done:
						return
					}
				}
			}()
		}
		fmt.Fprintf(&report, "%-40s", f.name)
		sizes := []int{1, 20, 200}
		if f.reload {
			sizes = slices.Repeat(sizes, 20)
		}
		whole := 0
		for i, n := range sizes {
			start := time.Now()
			status, stderr := v.start(t, f.name, n, "ASS_API_URL=https://127.0.0.1:"+port)
			if i < 3 {
				fmt.Fprintf(&report, " | %3d secrets: %2d in %4d ms", n, status, time.Since(start).Milliseconds())
			}
			if status == 0 {
				whole++
			} else {
				t.Logf("%s, %d secrets: %s", f.name, n, stderr)
			}
		}
		fmt.Fprintf(&report, " | %d of %d whole\n", whole, len(sizes))
		if whole < len(sizes) && !f.reload {
			t.Errorf("%s: %d of %d starts were whole", f.name, whole, len(sizes))
		}
		close(done)
	}
	t.Logf("exit status and time until the end:\n%s", report.String())
}

// worldVault is a vault on loopback, without TLS.
type worldVault struct {
	*devvault.Server
	port                string
	dir                 string
	ca, cert, key, both string // files

	run func(*exec.Cmd) error // of ass-exec
}

func value(i int) string { return fmt.Sprintf("%s of w/s/S%d, and no other", canary, i) }

func newVault(t *testing.T, n int) *worldVault {
	t.Helper()
	v := &worldVault{Server: devvault.New(devvault.Config{}), dir: t.TempDir(), run: (*exec.Cmd).Run}
	for i := range n {
		v.Put(fmt.Sprintf("w/s/S%d", i), value(i))
	}
	if n > 0 {
		watchProcesses(t)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	_, v.port, _ = net.SplitHostPort(l.Addr().String())
	server := &http.Server{Handler: v.Server}
	go func() { _ = server.Serve(v.Listener(l)) }()
	t.Cleanup(func() { v.Close(); server.Close() })
	cert, ca, err := devvault.Certificate("127.0.0.1", "localhost", "10.9.0.1", link.ServerAddr.String(), "*.example")
	must(t, err)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	must(t, err)
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	var certPEM []byte
	for _, der := range cert.Certificate {
		certPEM = append(certPEM, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	must(t, os.Chmod(v.dir, 0o755)) // servers become other users
	must(t, os.Chmod(filepath.Dir(v.dir), 0o755))
	for _, file := range []struct {
		to   *string
		name string
		text []byte
	}{{&v.ca, "ca.pem", ca}, {&v.cert, "cert.pem", certPEM}, {&v.key, "key.pem", keyPEM}, {&v.both, "both.pem", slices.Concat(keyPEM, certPEM)}} {
		*file.to = filepath.Join(v.dir, file.name)
		must(t, os.WriteFile(*file.to, file.text, 0o644))
	}
	return v
}

// serveBehind starts a front of the vault, and what is between them.
func (v *worldVault) serveBehind(t *testing.T, f front) (port string, process *os.Process) {
	t.Helper()
	behind := v.port
	if f.behind != nil {
		behind, _ = v.serveBehind(t, *f.behind)
	}
	dir, err := os.MkdirTemp(v.dir, "front")
	must(t, err)
	must(t, os.Chmod(dir, 0o777))
	port = freePort(t)
	fill := strings.NewReplacer("PORT", port, "VAULT", behind, "CERT", v.cert, "KEY", v.key, "PEM", v.both, "DIR", dir, "CONFIG", filepath.Join(dir, "config"))
	must(t, os.WriteFile(filepath.Join(dir, "config"), []byte(fill.Replace(f.config)), 0o644))
	args := slices.Clone(f.args)
	for i := range args {
		args[i] = fill.Replace(args[i])
	}
	return port, startProgram(t, port, f.program, args...).Process
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// startProgram returns once something accepts at a port of loopback.
func startProgram(t *testing.T, port, program string, args ...string) *exec.Cmd {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
			return cmd
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v: %s", program, err, out.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen", program)
		}
	}
}

// start has ass-exec start a command with n secrets, and demands that it has
// them all, or none and a status of ours, and that no secret is printed or
// written.
func (v *worldVault) start(t *testing.T, who string, n int, env ...string) (status int, stderr string) {
	t.Helper()
	env = append([]string{"PATH=" + os.Getenv("PATH"), "ASS_AGENT_KEY=" + v.AgentKey(), "ASS_CA_FILE=" + v.ca, "ASS_TIMEOUT=15s"}, env...)
	for i := range n {
		env = append(env, fmt.Sprintf("S%d=ass://w/s/S%d", i, i))
	}
	var stdout, errs strings.Builder
	dir := t.TempDir()
	cmd := exec.Command(assExec, "--", "env")
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = append(env, "HOME="+dir, "TMPDIR="+dir), dir, &stdout, &errs
	err := v.run(cmd)
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Error(err)
		return -1, ""
	}
	status, stderr = cmd.ProcessState.ExitCode(), errs.String()
	nothingWritten(t, dir)
	if holds([]byte(stderr), slices.Concat(spellings(canary), spellings(v.AgentKey()))) {
		t.Errorf("%s, %d secrets: a secret is printed: %s", who, n, stderr)
	}
	if status != 0 {
		if stdout.Len() > 0 || !slices.Contains(exit.Codes(), exit.Code(status)) {
			t.Errorf("%s, %d secrets: got status %d and %d bytes of output, want a status of ours and silence", who, n, status, stdout.Len())
		}
		return status, stderr
	}
	lines := strings.Split(stdout.String(), "\n")
	for i := range n {
		if !slices.Contains(lines, fmt.Sprintf("S%d=%s", i, value(i))) {
			t.Errorf("%s, %d secrets: S%d is wrong or missing", who, n, i)
		}
	}
	return status, stderr
}
