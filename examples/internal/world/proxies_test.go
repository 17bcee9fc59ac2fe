//go:build world

package world

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// The proxies resolve a name that only they know: ass-exec asks no proxy for
// an address of loopback.
const asProxy = `mount --bind "$0" /etc/hosts && exec "$@"`

const squidConfig = `
pid_filename DIR/pid
cache_log DIR/cache.log
access_log none
coredump_dir DIR
pinger_enable off
shutdown_lifetime 0 seconds
acl ours port 1-65535
PORTS 127.0.0.1:PORT TLS
AUTH
http_access deny all
`

func squid(scheme, auth string) front {
	ports, tls := "http_port", ""
	if scheme == "https" {
		ports, tls = "https_port", "tls-cert=CERT tls-key=KEY"
	}
	if auth != "" {
		auth = "auth_param basic program /usr/lib/squid/basic_ncsa_auth DIR/../passwd\nacl known proxy_auth REQUIRED\nhttp_access allow known"
	} else {
		auth = "http_access allow ours"
	}
	return front{
		program: "squid", args: []string{"-N", "-f", "CONFIG"},
		config: strings.NewReplacer("PORTS", ports, "TLS", tls, "AUTH", auth).Replace(squidConfig),
	}
}

// Through the proxies of others a command has all of its secrets, and a wrong
// password is sent once, or accounts would be locked.
func TestProxiesAreAskedOnceWithAWrongPassword(t *testing.T) {
	v := newVault(t, 20)
	port, _ := v.serveBehind(t, nginx("HTTP/2", "http2", "", ""))
	hosts := filepath.Join(v.dir, "hosts")
	must(t, os.WriteFile(hosts, []byte("127.0.0.1 vault.example localhost\n"), 0o644))
	must(t, exec.Command("htpasswd", "-cb", filepath.Join(v.dir, "passwd"), "user", "right").Run())
	tinyproxy := "Listen 127.0.0.1\nPort PORT\nUser nobody\nTimeout 60\n"
	for _, tt := range []struct {
		name, scheme string
		proxy        front
		auth         bool
	}{
		{"squid", "http", squid("http", ""), false},
		{"squid, credentials", "http", squid("http", "basic"), true},
		{"squid, TLS and credentials", "https", squid("https", "basic"), true},
		{"tinyproxy", "http", front{program: "tinyproxy", args: []string{"-d", "-c", "CONFIG"}, config: tinyproxy}, false},
		{"tinyproxy, credentials", "http", front{program: "tinyproxy", args: []string{"-d", "-c", "CONFIG"}, config: tinyproxy + "BasicAuth user right\n"}, true},
		{"microsocks", "socks5", front{program: "microsocks", args: []string{"-i", "127.0.0.1", "-p", "PORT"}}, false},
		{"microsocks, credentials", "socks5", front{program: "microsocks", args: []string{"-i", "127.0.0.1", "-p", "PORT", "-u", "user", "-P", "right"}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.proxy.args = append([]string{"-m", "sh", "-c", asProxy, hosts, tt.proxy.program}, tt.proxy.args...)
			tt.proxy.program = "unshare"
			proxyPort, _ := v.serveBehind(t, tt.proxy)
			relay, connections := countConnections(t, proxyPort)
			use := func(user string) (status int, stderr string) {
				connections.Store(0)
				return v.start(t, tt.name, 20, "ASS_API_URL=https://vault.example:"+port, "HTTPS_PROXY="+tt.scheme+"://"+user+"127.0.0.1:"+relay)
			}
			right := map[bool]string{true: "user:right@"}[tt.auth]
			if status, stderr := use(right); status != 0 || stderr != "" {
				t.Errorf("got status %d, %s", status, stderr)
			}
			if !tt.auth {
				return
			}
			for _, wrong := range []string{"user:wrongpassword@", ""} {
				status, stderr := use(wrong)
				if n := connections.Load(); status != 78 || n != 1 || strings.Contains(stderr, "wrongpassword") || !strings.Contains(stderr, "HTTPS_PROXY") {
					t.Errorf("%q: got status %d after %d connections: %s", wrong, status, n, stderr)
				}
			}
		})
	}
}

// countConnections passes connections on to a port of loopback.
func countConnections(t *testing.T, to string) (port string, n *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	n = new(atomic.Int64)
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			server, err := net.Dial("tcp", "127.0.0.1:"+to)
			if err != nil {
				client.Close()
				continue
			}
			go func() { _, _ = io.Copy(server, client); server.Close() }()
			go func() { _, _ = io.Copy(client, server); client.Close() }()
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, n
}
