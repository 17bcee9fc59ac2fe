package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// program is an environment in which the variable F names a file in memory,
// descriptor 70, with a text around the secret a/X.
func program(t *testing.T, tool, secret, text string, more ...string) []string {
	t.Helper()
	_, err := exec.LookPath(tool)
	needTool(t, err == nil, tool)
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/X", secret)
	mapping := mappingFile(t, "F=@"+mappingFile(t, text)+"?fd=70\n")
	return append(append(env, "HOME="+t.TempDir(), "ASS_MAPPING="+mapping), more...)
}

// want runs a command and compares all that it writes.
func want(t *testing.T, env []string, out string, command ...string) {
	t.Helper()
	if status, stdout, stderr := assExec(t, env, command...); status != 0 || stdout != out {
		t.Errorf("got status %d, %q, %q; want %q", status, stdout, stderr, out)
	}
}

// authorized is a server that wants a header of every request.
func authorized(t *testing.T, header string, start func(http.Handler) *httptest.Server) *httptest.Server {
	s := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != header {
			t.Errorf("%s: got %q, want %q", r.URL.Path, got, header)
		}
		fmt.Fprint(w, `{"kind": "Status"}`)
	}))
	t.Cleanup(s.Close)
	return s
}

const nginxConf = `daemon off;
pid DIR/pid;
error_log stderr error;
events {}
http {
	access_log off;
	client_body_temp_path DIR/b; proxy_temp_path DIR/p; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;
	include DIR/types;
	server { listen unix:DIR/socket; location / { return 200 "${ass://a/X} $host"; } }
}
`

// ask gets a page over the socket of the nginx in a folder.
func ask(t *testing.T, dir string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", dir+"/socket")
		},
	}}
	reply, err := client.Get("http://host/")
	if err != nil {
		return err.Error()
	}
	defer reply.Body.Close()
	b, _ := io.ReadAll(reply.Body)
	return string(b)
}

// nginxDir is a folder for nginx, with its configuration.
func nginxDir(t *testing.T) (dir, conf string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "nginx") // a socket has a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.WriteFile(dir+"/types", []byte("types { text/html html; }"), 0o644); err != nil {
		t.Fatal(err)
	}
	_ = os.Chmod(dir, 0o755) // nginx's workers are another user
	return dir, strings.ReplaceAll(nginxConf, "DIR", dir)
}

// There is no shell in between; nginx takes descriptor 70 by its name.
func TestNginxStartsFromAFileInMemory(t *testing.T) {
	dir, conf := nginxDir(t)
	s := startStaying(t, program(t, "nginx", "one", conf), "nginx", "-c", "/proc/self/fd/70")
	until(t, "nginx has the first secret", func() bool { return ask(t, dir) == "one host" })
	_ = s.cmd.Process.Signal(os.Interrupt)
	s.end(0, "")
}

func TestNginxReloadsAFileInMemory(t *testing.T) {
	dir, conf := nginxDir(t)
	needTool(t, exec.Command("nginx", "-v").Run() == nil, "nginx")
	v, env := vaultServer(t, devvault.Config{})
	v.Put("a/X", "one")
	env = append(env, "ASS_MAPPING="+mappingFile(t, "F=@"+mappingFile(t, conf)+"\n"))
	s := startStaying(t, env, "--watch=50ms", "--on-change=HUP", "sh", "-c", `exec nginx -c "$F"`)
	until(t, "nginx has the first secret", func() bool { return ask(t, dir) == "one host" })
	v.Put("a/X", "two")
	until(t, "nginx has the second secret", func() bool { return ask(t, dir) == "two host" })
	_ = s.cmd.Process.Signal(os.Interrupt)
	s.end(0, "ass-exec: warning: the secrets have changed: HUP\n")
}

func TestNpmReadsItsConfigurationFromMemory(t *testing.T) {
	server := authorized(t, "Bearer npm_token", httptest.NewServer)
	host := strings.TrimPrefix(server.URL, "http:")
	env := program(t, "npm", "npm_token", "registry="+server.URL+"/\n"+host+"/:_authToken=${ass://a/X}\n", "npm_config_update_notifier=false")
	want(t, env, "", "sh", "-c", `NPM_CONFIG_USERCONFIG="$F" exec npm ping --silent`)
}

func TestCurlReadsANetrcFromMemory(t *testing.T) {
	server := authorized(t, "Basic dTpw", httptest.NewServer)
	env := program(t, "curl", "p", "machine 127.0.0.1 login u password ${ass://a/X}\n")
	want(t, env, `{"kind": "Status"}`, "sh", "-c", `exec curl -sS --netrc-file "$F" `+server.URL)
}

func TestKubectlReadsAKubeconfigFromMemory(t *testing.T) {
	server := authorized(t, "Bearer cluster_token", httptest.NewTLSServer) // in cleartext it sends none
	env := program(t, "kubectl", "cluster_token", `apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "`+server.URL+`", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: "${ass://a/X?encode=json}"}}]
`)
	want(t, env, `{"kind": "Status"}`, "sh", "-c", `KUBECONFIG="$F" exec kubectl get --raw /api`)
}

// postgres asks each client for its password, and returns the first one sent.
func postgres(t *testing.T) (port string, password <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	sent := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		var size uint32
		_ = binary.Read(conn, binary.BigEndian, &size)
		_, _ = io.CopyN(io.Discard, conn, int64(size)-4)
		_, _ = conn.Write([]byte{'R', 0, 0, 0, 8, 0, 0, 0, 3}) // a password, in cleartext
		reply, _ := io.ReadAll(io.LimitReader(conn, 5+int64(len("pg_password"))+1))
		if len(reply) > 5 {
			reply = reply[5:]
		}
		sent <- string(bytes.TrimRight(reply, "\x00"))
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, sent
}

// It insists on a file that nobody else can read: 0400 will do, as 0600 does.
func TestPsqlReadsAPasswordFromMemory(t *testing.T) {
	tool(t, "psql")
	for mode, wanted := range map[string]string{"0400": "pg_password", "0600": "pg_password", "0444": ""} {
		port, password := postgres(t)
		v, env := vaultServer(t, devvault.Config{})
		v.Put("a/X", "127.0.0.1:*:*:*:pg_password\n")
		env = append(env, "F=ass://a/X?as=file&mode="+mode, "HOME="+t.TempDir(), "PGSSLMODE=disable", "PGGSSENCMODE=disable")
		_, _, stderr := assExec(t, env, "sh", "-c", `PGPASSFILE="$F" exec psql -w -h 127.0.0.1 -p `+port+` -U u d`)
		if got := <-password; got != wanted {
			t.Errorf("mode %s: got %q, want %q: %s", mode, got, wanted, stderr)
		}
	}
}

// It closes what it inherits, so another process must have the file: a shell
// that waits, or the parent under --watch.
func TestSSHUsesAKeyFromMemory(t *testing.T) {
	for _, name := range []string{"ssh", "ssh-keygen", "/usr/sbin/sshd"} {
		tool(t, name)
	}
	_, err := os.Stat("/run/sshd")
	needTool(t, err == nil, "/run/sshd")
	dir := t.TempDir()
	for _, name := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	conf := "HostKey " + dir + "/host\nAuthorizedKeysFile " + dir + "/user.pub\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
	if err := os.WriteFile(dir+"/conf", []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(dir + "/user")
	if err != nil {
		t.Fatal(err)
	}
	env := program(t, "ssh", string(key), "${ass://a/X}")
	ssh := `ssh -F none -i "$F" -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null ` +
		`-o ProxyCommand="/usr/sbin/sshd -i -f ` + dir + `/conf" "$(id -un)@host" echo in`
	want(t, env, "in\n", "sh", "-c", ssh+"; exit $?")
	want(t, env, "in\n", "--watch=1h", "sh", "-c", "exec "+ssh)
	if status, _, _ := assExec(t, env, "sh", "-c", "exec "+ssh); status != 255 {
		t.Errorf("got status %d without a process that keeps the file: the README can be shorter", status)
	}
}

// Node resolves the links of what it requires, and a file in memory has no name
// behind them.
func TestNodeRequiresNoFileInMemory(t *testing.T) {
	env := program(t, "node", "v", "module.exports = '${ass://a/X}'")
	if status, _, _ := assExec(t, env, "node", "-p", "require(process.env.F)"); status != 1 {
		t.Errorf("got status %d: the README can be shorter", status)
	}
}

func TestInterpretersReadFilesInMemory(t *testing.T) {
	const java = `import java.io.*; import java.util.*;
class Main { public static void main(String[] a) throws IOException {
	Properties p = new Properties();
	try (InputStream in = new FileInputStream(System.getenv("F"))) { p.load(in); }
	System.out.println(p.getProperty("key"));
} }`
	source := filepath.Join(t.TempDir(), "Main.java")
	if err := os.WriteFile(source, []byte(java), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		claim, tool, text string
		command           []string
	}{
		{"Node", "node", "key=${ass://a/X}\n", []string{"sh", "-c", `exec node --env-file="$F" -p process.env.key`}},
		{"JSON", "node", `{"key": "${ass://a/X?encode=json}"}`, []string{"node", "-p", `JSON.parse(require("fs").readFileSync(process.env.F)).key`}},
		{"Python", "python3", "[a]\nkey = ${ass://a/X}\n", []string{"python3", "-c", `import configparser, os; c = configparser.ConfigParser(interpolation=None); c.read(os.environ["F"]); print(c["a"]["key"])`}},
		{"Java", "java", "key=${ass://a/X}\n", []string{"java", "-XX:TieredStopAtLevel=1", source}},
	} {
		t.Run(tt.claim, func(t *testing.T) { want(t, program(t, tt.tool, "secret", tt.text), "secret\n", tt.command...) })
	}
}
