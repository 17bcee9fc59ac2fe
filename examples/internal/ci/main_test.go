//go:build ci

// Package ci runs the examples for GitHub Actions, GitLab CI and CircleCI
// against a vault of its own, with what .ci/install-ci-tools installs: act,
// gitlab-ci-local, and for CircleCI, whose tool wants its servers, a runner of
// our own. It wants bin/ass-exec, of make build.
package ci

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// The root of the module, and what the tests run, by their absolute paths.
var root, assExec, act, actionlint, actionValidator, gitlabCILocal, jsYAML string

// missing is what lacks for these tests, which are then skipped.
var missing error

func TestMain(m *testing.M) {
	missing = findTools()
	os.Exit(m.Run())
}

func findTools() (err error) {
	if root, err = filepath.Abs("../../.."); err != nil {
		return err
	}
	for file, tool := range map[string]*string{
		"bin/ass-exec":      &assExec,
		".tools/act":        &act,
		".tools/actionlint": &actionlint,
		".tools/npm/node_modules/.bin/action-validator": &actionValidator,
		".tools/npm/node_modules/.bin/gitlab-ci-local":  &gitlabCILocal,
		".tools/npm/node_modules/.bin/js-yaml":          &jsYAML,
	} {
		*tool = filepath.Join(root, file)
		if _, err := os.Stat(*tool); err != nil {
			return fmt.Errorf("needs %s, of make build and .ci/install-ci-tools", file)
		}
	}
	for _, tool := range []string{"rsync", "shellcheck", "git", "curl", "node", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			return errors.New("needs " + tool)
		}
	}
	return nil
}

// pipeline is an example, in a repository, and all that its run may write to.
type pipeline struct {
	t        *testing.T
	tree     string // the repository
	state    string // home, temporary files, caches and artifacts
	platform string // the platform's own secret store, which is not searched
	agentKey string
	apiURL   string
	secrets  map[string]string // by variable
	canaries []string          // one in each line of each secret, found nowhere else
	mu       sync.Mutex
	tokens   []string // given away
}

// newPipeline makes a repository of the stand-in project and of the example's
// files, which are given by their place in it.
func newPipeline(t *testing.T, files map[string]string) *pipeline {
	t.Helper()
	if missing != nil {
		t.Skip(missing)
	}
	p := &pipeline{t: t, tree: t.TempDir(), state: t.TempDir(), platform: t.TempDir()}
	p.serveVault()
	must(t, os.CopyFS(p.tree, os.DirFS("testdata/project")))
	release := serveRelease(t)
	for place, file := range files {
		b, err := os.ReadFile(filepath.Join(root, "examples", file))
		must(t, err)
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(p.tree, place)), 0o755))
		must(t, os.WriteFile(filepath.Join(p.tree, place), []byte(release.Replace(string(b))), 0o644))
	}
	for _, dir := range []string{"home", "tmp", "cache"} {
		must(t, os.Mkdir(filepath.Join(p.state, dir), 0o755))
	}
	p.git("init", "-q", "-b", "main")
	p.git("remote", "add", "origin", "https://git.example/example.git")
	p.commit()
	return p
}

func (p *pipeline) commit() {
	p.t.Helper()
	p.git("add", "-A")
	p.git("-c", "user.name=test", "-c", "user.email=test@example", "commit", "-q", "-m", "example")
}

func (p *pipeline) git(args ...string) {
	p.t.Helper()
	if status, log := p.run("git", args...); status != 0 {
		p.t.Fatalf("git %s: %s", args, log)
	}
}

// serveVault starts a vault whose values a shell would mangle.
func (p *pipeline) serveVault() {
	canary := func() string {
		p.canaries = append(p.canaries, "canary"+rand.Text())
		return p.canaries[len(p.canaries)-1]
	}
	p.secrets = map[string]string{
		"GEMINI_API_KEY":    canary(),
		"DATABASE_URL":      "postgres://app:" + canary() + "@db/app?a=1&b=2 $HOME",
		"STRIPE_SECRET_KEY": canary() + "\n" + canary() + "'\"`id`$(id)",
		"SLACK_BOT_TOKEN":   canary() + "%25",
	}
	seed := map[string]string{}
	for name, folder := range map[string]string{"GEMINI_API_KEY": "gemini", "DATABASE_URL": "database", "STRIPE_SECRET_KEY": "stripe", "SLACK_BOT_TOKEN": "slack"} {
		seed["production/"+folder+"/"+name] = p.secrets[name]
	}
	p.agentKey = "agentkey" + rand.Text()
	vault := devvault.New(devvault.Config{AgentKey: p.agentKey})
	b, err := json.Marshal(map[string]any{"secrets": seed})
	must(p.t, err)
	must(p.t, vault.Seed(bytes.NewReader(b)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/tokens" {
			w = &tokenReader{w, p}
		}
		vault.ServeHTTP(w, r)
	}))
	p.t.Cleanup(func() { vault.Close(); server.Close() })
	p.apiURL = server.URL
}

// tokenReader notes the tokens in answers.
type tokenReader struct {
	http.ResponseWriter
	p *pipeline
}

func (w *tokenReader) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *tokenReader) Write(b []byte) (int, error) {
	var reply struct{ Token string }
	if json.Unmarshal(b, &reply) == nil && reply.Token != "" {
		w.p.mu.Lock()
		w.p.tokens = append(w.p.tokens, reply.Token)
		w.p.mu.Unlock()
	}
	return w.ResponseWriter.Write(b)
}

// What the examples say for a release that they pin.
const (
	releaseURL = "https://github.com/agent-secret-store/ass-exec/releases/download/v1.0.0/ass-exec-linux-amd64"
	releaseSum = "the first column of SHA256SUMS"
)

// serveRelease serves the binary that was built here as that release, and
// returns what puts its address and checksum into an example.
func serveRelease(t *testing.T) *strings.Replacer {
	t.Helper()
	b, err := os.ReadFile(assExec)
	must(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) }))
	t.Cleanup(server.Close)
	sum := sha256.Sum256(b)
	return strings.NewReplacer(releaseURL, server.URL, releaseSum, hex.EncodeToString(sum[:]))
}

// environ is this process's environment without what a run must not see, and
// with places to write to that are searched afterwards.
func (p *pipeline) environ() []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "ASS_") || strings.HasPrefix(kv, "GITHUB_") || strings.HasPrefix(kv, "CI_") || strings.HasPrefix(kv, "GIT_")
	})
	return append(env,
		"HOME="+filepath.Join(p.state, "home"),
		"TMPDIR="+filepath.Join(p.state, "tmp"),
		"XDG_CACHE_HOME="+filepath.Join(p.state, "cache"),
		"ARTIFACTS="+filepath.Join(p.state, "artifacts"),
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", "NO_COLOR=1", "FORCE_COLOR=0")
}

// run runs a program in the repository, and returns all that it wrote.
func (p *pipeline) run(name string, args ...string) (status int, log string) {
	p.t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = p.tree, p.environ()
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

var reportLine = regexp.MustCompile(`(?m)(?:unit-test|build|deploy): (?:[A-Z_]+ has \d+ characters|done)\r?$`)

// wantOnlyDeploy wants that the jobs unit-test and build ran without a secret,
// and then deploy with the named ones, which were fetched once.
func (p *pipeline) wantOnlyDeploy(log string, names ...string) {
	p.t.Helper()
	want := []string{"unit-test: done", "build: done"}
	for _, name := range names {
		want = append(want, fmt.Sprintf("deploy: %s has %d characters", name, len(p.secrets[name])))
	}
	want = append(want, "deploy: done")
	got := reportLine.FindAllString(log, -1)
	if !slices.Equal(got, want) {
		p.t.Errorf("got reports\n\t%s\nwant\n\t%s\nin the log\n%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"), log)
	}
	if len(p.tokens) != 1 {
		p.t.Errorf("%d tokens were fetched, want 1", len(p.tokens))
	}
	p.t.Logf("the jobs' reports:\n\t%s", strings.Join(got, "\n\t"))
}

// wantNoTrace wants that nothing secret is in the log or on disk.
func (p *pipeline) wantNoTrace(log string) {
	p.t.Helper()
	for _, where := range p.traces(log) {
		p.t.Errorf("a secret is in %s", where)
	}
}

// traces lists the places with a secret, a token or the agent key in them.
func (p *pipeline) traces(log string) (where []string) {
	p.t.Helper()
	secret := slices.Concat(p.canaries, p.tokens, []string{p.agentKey})
	holds := func(b []byte) bool {
		return slices.ContainsFunc(secret, func(s string) bool { return bytes.Contains(b, []byte(s)) })
	}
	if holds([]byte(log)) {
		where = append(where, "the log")
	}
	files := 0
	for _, dir := range []string{p.tree, p.state} {
		must(p.t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			files++
			b, err := os.ReadFile(path)
			if holds(b) {
				where = append(where, path)
			}
			return err
		}))
	}
	p.t.Logf("searched %d files", files)
	return where
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
