//go:build kubernetes

// Package cluster runs the examples on a real Kubernetes, against vaults of the
// tests' own. "make test-kubernetes" starts it inside of run.
package cluster

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

const (
	node     = "10.123.0.1" // what pods reach this process by
	examples = "../../kubernetes/"
	patience = 2 * time.Minute
)

// lab is a namespace under the restricted Pod Security Standard, with a vault and
// the agent key for it.
type lab struct {
	*devvault.Server
	t       *testing.T
	name    string // of the namespace
	dir     string // with kubeconfig, agent-key, ca.pem
	address string
	cert    tls.Certificate
	http    *http.Server
	secrets map[string]string // by path, each a value that is found nowhere else
}

func newLab(t *testing.T, cfg devvault.Config) *lab {
	t.Helper()
	t.Parallel()
	cfg.AgentKey = canary("key")
	l := &lab{Server: devvault.New(cfg), t: t, dir: t.TempDir(), address: node + ":0", secrets: map[string]string{
		"production/gemini/GEMINI_API_KEY":   canary("gemini"),
		"production/postgres/PASSWORD":       canary("p@ss/w#rd"),
		"production/postgres/credentials":    fmt.Sprintf(`{"password": %q}`, canary("field")),
		"production/tls/PRIVATE_KEY":         canary("tls"),
		"production/something/SOMETHINGELSE": canary("unasked"),
	}}
	for path, value := range l.secrets {
		l.Put(path, value)
	}
	cert, ca, err := devvault.Certificate(node)
	l.cert = cert
	if err := errors.Join(err, os.WriteFile(l.dir+"/ca.pem", ca, 0o600), os.WriteFile(l.dir+"/agent-key", []byte(cfg.AgentKey+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	l.open()
	t.Cleanup(l.shut)
	l.namespace()
	return l
}

// namespace makes the lab's namespace that of its kubeconfig.
func (l *lab) namespace() {
	name := strings.ToLower(regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(l.t.Name(), "-"))
	l.name = name
	kubeconfig, err := os.ReadFile(os.Getenv("KUBECONFIG"))
	if err == nil {
		err = os.WriteFile(l.dir+"/kubeconfig", kubeconfig, 0o600)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	l.kubectl("create", "namespace", name)
	l.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/warn=restricted")
	l.kubectl("config", "set-context", "--current", "--namespace", name)
	l.kubectl("create", "configmap", "vault-ca", "--from-file=ca.pem")
	l.t.Cleanup(func() {
		if l.t.Failed() {
			l.t.Log(l.sh("kubectl get all; kubectl describe pods; kubectl get events; kubectl logs -l app --prefix --tail 20").stdout)
		}
		l.seal()
	})
}

// open lets the vault answer, shut lets it be away, at the same address.
func (l *lab) open() {
	listener, err := net.Listen("tcp", l.address)
	if err != nil {
		l.t.Fatal(err)
	}
	l.address = listener.Addr().String()
	l.http = &http.Server{Handler: l.Server, TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{l.cert}, NextProtos: []string{"h2", "http/1.1"},
	}}
	server := l.http
	go func() { _ = server.ServeTLS(l.Listener(listener), "", "") }()
}

func (l *lab) shut() { l.http.Close() }

type result struct {
	status         int
	stdout, stderr string
}

// sh runs a line as a user would type it, with the lab's namespace.
func (l *lab) sh(line string) result {
	l.t.Helper()
	return l.run("", "sh", "-c", line)
}

// kubectl runs a kubectl command that must succeed without a warning, and returns
// what it says.
func (l *lab) kubectl(args ...string) string {
	l.t.Helper()
	got := l.run("", "kubectl", args...)
	if got.status != 0 || got.stderr != "" {
		l.t.Fatalf("kubectl %s: got status %d: %s", strings.Join(args, " "), got.status, got.stderr)
	}
	return strings.TrimSuffix(got.stdout, "\n")
}

func (l *lab) run(stdin, name string, args ...string) result {
	l.t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = l.dir, append(os.Environ(), "KUBECONFIG="+l.dir+"/kubeconfig")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		l.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// overlay adds to a manifest where the vault is, and nothing else.
func (l *lab) overlay(manifest []byte) string {
	l.t.Helper()
	dir := l.t.TempDir()
	kustomization := "resources: [manifest.yaml]\npatches:\n"
	for kind, spec := range map[string]string{
		"Pod": "/spec", "Deployment": "/spec/template/spec", "Job": "/spec/template/spec", "CronJob": "/spec/jobTemplate/spec/template/spec",
	} {
		if !regexp.MustCompile(`(?m)^kind: ` + kind + `$`).Match(manifest) {
			continue
		}
		kustomization += fmt.Sprintf(`
  - target: {kind: %s}
    patch: |
      - {op: add, path: %s/volumes/-, value: {name: ca, configMap: {name: vault-ca}}}
      - {op: add, path: %[2]s/containers/0/volumeMounts/-, value: {name: ca, mountPath: /ca}}
      - {op: add, path: %[2]s/containers/0/env/-, value: {name: ASS_CA_FILE, value: /ca/ca.pem}}
      - {op: add, path: %[2]s/containers/0/env/-, value: {name: ASS_API_URL, value: "https://%s"}}
`, kind, spec, l.address)
	}
	if err := errors.Join(os.WriteFile(dir+"/manifest.yaml", manifest, 0o600), os.WriteFile(dir+"/kustomization.yaml", []byte(kustomization), 0o600)); err != nil {
		l.t.Fatal(err)
	}
	return l.kubectl("kustomize", dir)
}

// apply applies a manifest that must be taken without a warning.
func (l *lab) apply(manifest string) {
	l.t.Helper()
	if got := l.run(manifest, "kubectl", "apply", "-f", "-"); got.status != 0 || got.stderr != "" {
		l.t.Fatalf("kubectl apply: got status %d: %s", got.status, got.stderr)
	}
}

// example is a manifest of the examples, with each change of pairs old, new.
func example(t *testing.T, name string, changes ...string) []byte {
	t.Helper()
	manifest, err := os.ReadFile(examples + name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(changes); i += 2 {
		if !bytes.Contains(manifest, []byte(changes[i])) {
			t.Fatalf("%s: %q is not in it", name, changes[i])
		}
		manifest = bytes.ReplaceAll(manifest, []byte(changes[i]), []byte(changes[i+1]))
	}
	return manifest
}

func (l *lab) createKey() {
	l.kubectl("create", "secret", "generic", "ass-agent-key", "--from-file=agent-key")
}

// rolledOut waits until every replica of the example is ready.
func (l *lab) rolledOut() {
	l.t.Helper()
	l.kubectl("rollout", "status", "deployment/example", "--timeout="+patience.String())
}

// await polls until what a kubectl command says matches a pattern.
func (l *lab) await(pattern string, args ...string) {
	l.t.Helper()
	want := regexp.MustCompile(pattern)
	var got result
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if got = l.run("", "kubectl", args...); got.status == 0 && want.MatchString(got.stdout) {
			return
		}
	}
	l.t.Fatalf("kubectl %s: after %s got %q %s\nwant %s", strings.Join(args, " "), patience, got.stdout, got.stderr, pattern)
}

// eventually polls until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", patience, what)
		}
	}
}

// started is what the app of the examples logs if it has every secret as it is in
// the vault, no agent key, and is PID 1.
func (l *lab) started() string {
	return fmt.Sprintf(`started {"pid":1,"GEMINI_API_KEY":%d,"DATABASE_URL":%d,"PGPASSWORD":%d,"tls":%d,"ass":[]}`,
		len(l.secrets["production/gemini/GEMINI_API_KEY"]),
		len("postgres://app:@db:5432/app")+len(l.secrets["production/postgres/PASSWORD"])+2*len("@/#"), // each is %XX in a URL
		len(l.secrets["production/postgres/credentials"])-len(`{"password": ""}`),
		len(l.secrets["production/tls/PRIVATE_KEY"]))
}

// --- what must be found nowhere

var canaries struct {
	sync.Mutex
	values []string
}

// canary makes a value that begins with a text, and of which the rest looks the
// same in every encoding but base64.
func canary(text string) string {
	random := rand.Text()
	canaries.Lock()
	defer canaries.Unlock()
	canaries.values = append(canaries.values, random)
	return text + random
}

func leaked(b []byte) bool {
	canaries.Lock()
	defer canaries.Unlock()
	for _, value := range canaries.values {
		if bytes.Contains(b, []byte(value)) {
			return true
		}
	}
	return false
}

// seal looks for values in every object of the namespace, its events too, and in
// the logs of its pods; the agent key's own Secret has base64.
func (l *lab) seal() {
	l.t.Helper()
	objects := l.sh(`kubectl get "$(kubectl api-resources --namespaced --verbs=list -o name | grep -v '^secrets$' | paste -sd,)" -o yaml --show-managed-fields`)
	if objects.status != 0 || !strings.Contains(objects.stdout, "name: vault-ca") {
		l.t.Errorf("reading every object: got %.500v", objects)
	}
	if described := l.sh("kubectl describe all"); leaked([]byte(objects.stdout + described.stdout)) {
		l.t.Error("an object or an event holds a value")
	}
	pods, _ := filepath.Glob("/var/log/pods/" + l.name + "_*")
	if err := readLogs(pods...); err != nil {
		l.t.Error(err)
	}
}

func TestMain(m *testing.M) {
	status := m.Run()
	if err := readLogs("/var/log/pods", os.Getenv("WORK")+"/log"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// readLogs looks for values in the logs below some folders.
func readLogs(dirs ...string) (err error) {
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error {
			// What is removed at the same time is none to read.
			if b, _ := os.ReadFile(path); leaked(b) {
				err = errors.Join(err, fmt.Errorf("%s holds a value", path))
			}
			return nil
		})
	}
	return err
}
