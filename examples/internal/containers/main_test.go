//go:build container

// Package containers runs the images of the examples with a real Docker,
// against a vault of its own on Docker's bridge. It wants the images node and
// golang, or the stand-ins of .ci/base-images, and ours, of make image.
package containers

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// The images under test.
const (
	ours     = "ghcr.io/agent-secret-store/ass-exec"
	node     = "ass-exec-test-node"
	static   = "ass-exec-test-static"
	devVault = "ass-exec-test-devvault"
)

// gateway is this host as the containers see it.
var gateway string

// unique names what Docker keeps during a test, apart from another run's.
var unique = fmt.Sprint("ass-exec-test-", os.Getpid())

// Who asks for the tag wants these tests: without Docker they fail.
func TestMain(m *testing.M) {
	if err := setUp(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func setUp() error {
	for _, build := range [][]string{
		{"-t", node, "../../docker"},
		{"-t", static, "../../docker/static"},
		{"-t", devVault, "--target", "devvault", "../../.."},
	} {
		if out, err := exec.Command("docker", append([]string{"build", "-q"}, build...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("docker build %s: %w\n%s", build, err, out)
		}
	}
	out, err := exec.Command("docker", "run", "--rm", "--add-host", "us:host-gateway", "--entrypoint", "sed", node,
		"-n", `s/[[:space:]]us$//p`, "/etc/hosts").CombinedOutput()
	if err != nil {
		return fmt.Errorf("docker run: %w\n%s", err, out)
	}
	gateway = strings.TrimSpace(string(out))
	return nil
}

// vault is a vault that containers can reach, with what it gave away.
type vault struct {
	*devvault.Server
	url     string
	ca, key string            // files
	secrets map[string]string // by path, each a value that is found nowhere else
	arrived chan string       // "METHOD path" of each request, before its answer
	tokens  chan string       // given away
}

const (
	databaseURL = "production/database/DATABASE_URL"
	stripe      = "production/stripe/STRIPE_SECRET_KEY"
	tlsKey      = "production/tls/PRIVATE_KEY"
	bankKey     = "production/bank/KEY" // wants an approval
)

func newVault(t *testing.T) *vault {
	t.Helper()
	v := &vault{
		secrets: map[string]string{"production/gemini/GEMINI_API_KEY": "", databaseURL: "", stripe: "", tlsKey: "", bankKey: ""},
		arrived: make(chan string, 1000), tokens: make(chan string, 1000),
	}
	// Digits and letters look the same in JSON, in a trace and in base64's input.
	v.Server = devvault.New(devvault.Config{AgentKey: "canarykey" + rand.Text()})
	seed := map[string]any{}
	for path := range v.secrets {
		v.secrets[path] = "canary" + rand.Text()
		seed[path] = map[string]string{"value": v.secrets[path], "access_tier": map[bool]string{true: "sensitive"}[path == bankKey]}
	}
	b, err := json.Marshal(map[string]any{"secrets": seed})
	if err == nil {
		err = v.Seed(bytes.NewReader(b))
	}
	if err != nil {
		t.Fatal(err)
	}
	v.serve(t)
	return v
}

func (v *vault) serve(t *testing.T) {
	t.Helper()
	cert, ca, err := devvault.Certificate("vault", gateway)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	v.ca, v.key = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "agent-key")
	l, err := net.Listen("tcp", net.JoinHostPort(gateway, "0"))
	if err := errors.Join(err, os.Chmod(dir, 0o755), os.WriteFile(v.ca, ca, 0o644), os.WriteFile(v.key, []byte(v.AgentKey()+"\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	v.url = "https://vault:" + port
	server := &http.Server{
		Handler:   v.recorded(),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}},
	}
	go func() { _ = server.ServeTLS(v.Listener(l), "", "") }()
	t.Cleanup(func() { v.Close(); server.Close() })
}

// recorded tells of each request when it comes, and of the tokens in answers.
func (v *vault) recorded() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.arrived <- r.Method + " " + r.URL.Path
		if r.URL.Path != "/v1/tokens" {
			v.ServeHTTP(w, r)
			return
		}
		v.ServeHTTP(&tokenReader{w, v.tokens}, r)
	})
}

type tokenReader struct {
	http.ResponseWriter
	tokens chan<- string
}

func (w *tokenReader) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *tokenReader) Write(b []byte) (int, error) {
	var reply struct{ Token string }
	if json.Unmarshal(b, &reply) == nil && reply.Token != "" {
		w.tokens <- reply.Token
	}
	return w.ResponseWriter.Write(b)
}

// await waits for a request.
func (v *vault) await(t *testing.T, request string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case got := <-v.arrived:
			if got == request {
				return
			}
		case <-deadline:
			t.Fatalf("no %s in 30 s", request)
		}
	}
}

// options are those of docker run that lead ass-exec to the vault.
func (v *vault) options() []string {
	return []string{
		"--add-host", "vault:" + gateway,
		"-v", v.ca + ":/ca.pem:ro", "-e", "ASS_CA_FILE=/ca.pem",
		"-v", v.key + ":/agent-key:ro", "-e", "ASS_AGENT_KEY_FILE=/agent-key",
		"-e", "ASS_API_URL=" + v.url,
	}
}

type result struct {
	status         int
	stdout, stderr string
}

// run runs a container to its end. Later options win over the vault's.
func (v *vault) run(t *testing.T, image string, options []string, command ...string) result {
	t.Helper()
	args := append([]string{"run", "--rm"}, v.options()...)
	args = append(append(append(args, options...), image), command...)
	return run(t, "docker", args...)
}

// start starts a container, which is removed when the test ends.
func (v *vault) start(t *testing.T, image string, options []string, command ...string) (id string) {
	t.Helper()
	args := append([]string{"run", "-d"}, v.options()...)
	args = append(append(append(args, options...), image), command...)
	id = docker(t, args...)
	t.Cleanup(func() { run(t, "docker", "rm", "-f", "-v", id) })
	return id
}

func run(t *testing.T, name string, args ...string) result {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// docker runs a docker command that must succeed.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	got := run(t, "docker", args...)
	if got.status != 0 {
		t.Fatalf("docker %s: %s", strings.Join(args, " "), got.stderr)
	}
	return strings.TrimRight(got.stdout, "\n")
}

// readmeLines are the commands of a README's first block.
func readmeLines(t *testing.T, file string) []string {
	t.Helper()
	readme, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(readme), "```sh\n")
	block, _, _ = strings.Cut(block, "```")
	return strings.Split(strings.TrimSpace(block), "\n")
}

// eventually polls until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	within(t, 30*time.Second, what, holds)
}

func within(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in %v: %s", limit, what)
		}
	}
}
