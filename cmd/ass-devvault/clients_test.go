package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// The vendor's own clients are what shows that the dev vault is the vendor's
// API: nothing here knows more of it than they do.

// clients installs the official clients, once, and returns their folder.
var clients = sync.OnceValues(func() (string, error) {
	source, err := filepath.Abs("testdata/clients")
	if err != nil {
		return "", err
	}
	dir, err := filepath.Abs("../../.tools/clients")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	names := []string{"package.json", "package-lock.json", "sdk.cjs", "mcp.mjs"}
	fresh := true
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", err
		}
		have, _ := os.ReadFile(filepath.Join(dir, name))
		fresh = fresh && bytes.Equal(have, b)
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return "", err
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules/.bin/ass")); err == nil && fresh {
		return dir, nil
	}
	npm := exec.Command("npm", "ci", "--no-audit", "--no-fund")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return dir, nil
})

func needClients(t *testing.T) string {
	t.Helper()
	_, err := exec.LookPath("npm")
	why := "needs npm and node"
	dir := ""
	if err == nil {
		why = "needs npm's registry, for the official clients"
		dir, err = clients()
	}
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("CI %s: %v", why, err)
	default:
		t.Skip(why)
	}
	return dir
}

const (
	userKey  = "user_login_0000000000000000"
	agentKey = "ass_agent_000000000000000000"
)

// serveVault serves a dev vault, and returns the environment that the clients
// need for it.
func serveVault(t *testing.T, cfg devvault.Config) (*devvault.Server, []string) {
	t.Helper()
	cfg.AgentKey, cfg.UserKey = agentKey, userKey
	v := devvault.New(cfg)
	s := httptest.NewServer(v)
	t.Cleanup(func() { v.Close(); s.Close() })
	return v, []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NO_COLOR=1", "CI=1",
		"ASS_API_URL=" + s.URL, "ASS_AGENT_KEY=" + agentKey, "ASS_RESOLVE=all",
	}
}

// values are what the SDK writes and everything else must read, byte for byte.
var values = map[string]string{
	"sdk/PEM":                   "-----BEGIN KEY-----\nabc\ndef\n-----END KEY-----\n",
	"sdk/TRAILING":              "value\n\n",
	"sdk/UTF8":                  "grüße, 世界 🔑",
	"sdk/QUOTES":                `it's "quoted" \and\n escaped`,
	"sdk/SHELL":                 "$HOME `id` $(id) ${X} & ; | > < * ? # ~",
	"sdk/LARGE":                 strings.Repeat("0123456789", 10<<10),
	"sdk/deep/er/K":             "deep",
	"sdk/BLANKS":                "  \tblanks around  ",
	"sdk/plus+and,comma@at/K+1": "+",
}

func TestOfficialSDKWorksUnmodified(t *testing.T) {
	dir := needClients(t)
	v, env := serveVault(t, devvault.Config{})
	limited, limitedEnv := serveVault(t, devvault.Config{})
	limited.Inject(devvault.Fault{Kind: "status", Status: 429, RetryAfter: "2"})
	confined := createAgent(t, v)
	encoded, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "sdk.cjs")
	cmd.Dir = dir
	cmd.Env = append(env, "VALUES="+string(encoded), "CONFINED_KEY="+confined,
		"LIMITED_URL="+strings.TrimPrefix(limitedEnv[4], "ASS_API_URL="))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("ass-exec injects what the SDK wrote", func(t *testing.T) { injects(t, env, values) })
}

// createAgent makes an agent that may read the namespace sdk only.
func createAgent(t *testing.T, v *devvault.Server) (key string) {
	t.Helper()
	r := httptest.NewRequest("POST", "/v1/agents", strings.NewReader(`{"name":"confined","allowed_namespaces":["sdk"]}`))
	r.Header.Set("Authorization", "Bearer "+userKey)
	w := httptest.NewRecorder()
	v.ServeHTTP(w, r)
	var made struct {
		APIKey string `json:"api_key"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil {
		t.Fatal(err)
	}
	return made.APIKey
}

var assExec = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ass-exec-clients")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", dir, "../ass-exec")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return filepath.Join(dir, "ass-exec"), nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if path, err := assExec(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(status)
}

// injects runs ass-exec with one variable for each path and compares what
// arrives.
func injects(t *testing.T, env []string, values map[string]string) {
	t.Helper()
	path, err := assExec()
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]string)
	for p, value := range values {
		name := fmt.Sprintf("V%d", len(want))
		want[name] = value
		env = append(env, name+"=ass://"+escape(p))
	}
	cmd := exec.Command(path, "env", "-0")
	cmd.Env = env
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range want {
		if !bytes.Contains(out, []byte("\x00"+name+"="+value+"\x00")) {
			t.Errorf("%s did not arrive as it was written: %.80q", name, value)
		}
	}
}

// escape writes a path as it stands in a mapping.
func escape(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return strings.Join(segments, "/")
}

func TestNamesAreEncodedAsTheNewestDocsSay(t *testing.T) {
	v, env := serveVault(t, devvault.Config{})
	odd := map[string]string{
		"odd/with space/K":     "1",
		"odd/per%cent/100%":    "2",
		"odd/ha#sh/K#1":        "3",
		"odd/quest?ion/K?":     "4",
		"odd/pl+us/K+":         "5",
		"odd/ümläut/キー":        "6",
		"odd/a&b=c;d/K,$@!'()": "7",
	}
	for p, value := range odd {
		v.Put(p, value)
	}
	injects(t, env, odd)
}

// cli runs the official CLI, which speaks for a human, and returns its output.
func cli(t *testing.T, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command("node_modules/.bin/ass", args...)
	cmd.Dir = needClients(t)
	cmd.Env = append(env, "ASS_API_KEY="+userKey)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ass %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	t.Logf("ass %s", strings.Join(args, " "))
	return string(out)
}

func TestOfficialCLIWorksUnmodified(t *testing.T) {
	needClients(t)
	v, env := serveVault(t, devvault.Config{})
	file := filepath.Join(t.TempDir(), "in.env")
	if err := os.WriteFile(file, []byte("ONE=1\nTWO=\"2 and more\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	v.PutTier("guarded/K", "v", "sensitive")
	approve, deny := requestApproval(t, v), requestApproval(t, v)
	for _, tt := range []struct {
		args []string
		want string // in the output
	}{
		{[]string{"status"}, "Operational"},
		{[]string{"whoami"}, "dev@localhost"},
		{[]string{"secrets", "set", "cli/deep/K", "from the cli", "--type", "api_key", "--tier", "standard"}, ""},
		{[]string{"secrets", "get", "cli/deep/K"}, "from the cli"},
		{[]string{"secrets", "get", "cli/deep/K", "--json"}, `"version": 1`},
		{[]string{"secrets", "list", "cli/deep"}, "K"},
		{[]string{"secrets", "list"}, ""},
		{[]string{"secrets", "rotate", "cli/deep/K", "--force"}, ""},
		{[]string{"env", "import", file, "--namespace", "cli/env"}, ""},
		{[]string{"env", "export", "cli/env"}, "TWO="},
		{[]string{"secrets", "delete", "cli/deep/K", "--force"}, ""},
		{[]string{"tokens", "issue", "--scopes", "read:secrets", "--ttl", "900", "--json"}, "eyJ"},
		{[]string{"approvals", "list"}, approve},
		{[]string{"approvals", "approve", "--force", approve}, ""},
		{[]string{"approvals", "deny", "--force", deny, "--reason", "no"}, ""},
		{[]string{"audit", "--limit", "5"}, "approval.denied"},
		{[]string{"agents", "list"}, "dev"},
		{[]string{"agents", "revoke", "agt_dev", "--force"}, ""},
	} {
		if out := cli(t, env, tt.args...); !strings.Contains(out, tt.want) {
			t.Errorf("ass %s: got %s, want %q in it", strings.Join(tt.args, " "), out, tt.want)
		}
	}
	if got := fmt.Sprint(v.Approvals()); !strings.Contains(got, approve+" approved") || !strings.Contains(got, deny+" denied") {
		t.Errorf("got %s", got)
	}
}

// requestApproval has the agent ask for a sensitive secret.
func requestApproval(t *testing.T, v *devvault.Server) (id string) {
	t.Helper()
	r := httptest.NewRequest("POST", "/v1/tokens", strings.NewReader(`{"scopes":["secrets:read:guarded/K"]}`))
	r.Header.Set("Authorization", "Bearer "+agentKey)
	w := httptest.NewRecorder()
	v.ServeHTTP(w, r)
	var reply struct {
		ApprovalID string `json:"approval_id"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil || reply.ApprovalID == "" {
		t.Fatalf("got %s", w.Body)
	}
	return reply.ApprovalID
}

func TestOfficialMCPServerWorksUnmodified(t *testing.T) {
	dir := needClients(t)
	_, env := serveVault(t, devvault.Config{})
	cmd := exec.Command("node", "mcp.mjs")
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// A person approves with the official CLI, and a waiting ass-exec goes on.
func TestApprovalByTheOfficialCLILetsAWaitingStartGoOn(t *testing.T) {
	needClients(t)
	path, err := assExec()
	if err != nil {
		t.Fatal(err)
	}
	for _, inStatus := range []bool{false, true} {
		v, env := serveVault(t, devvault.Config{TokenInStatus: inStatus})
		v.PutTier("guarded/K", "approved value", "critical")
		cmd := exec.Command(path, "printenv", "X")
		cmd.Env = append(env, "X=ass://guarded/K")
		var stdout bytes.Buffer
		cmd.Stdout = &stdout
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(stderr).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		id := regexp.MustCompile("ass approvals approve (apr_[0-9]+)").FindStringSubmatch(line)
		if id == nil {
			t.Fatalf("got %q", line)
		}
		cli(t, env, "approvals", "approve", "--force", id[1])
		if err := cmd.Wait(); err != nil || stdout.String() != "approved value\n" {
			t.Errorf("got %v, %q", err, &stdout)
		}
		if n := len(v.Approvals()); n != 1 {
			t.Errorf("got %d approvals, want 1", n)
		}
	}
}

// A secret changed with the official CLI restarts a watched node server with
// the new value; a vault that has stopped leaves it alone.
func TestSecretChangedByTheOfficialCLIRestartsAWatchedServer(t *testing.T) {
	needClients(t)
	path, err := assExec()
	if err != nil {
		t.Fatal(err)
	}
	v, env := serveVault(t, devvault.Config{})
	v.Put("watched/K", "old")
	const server = `require("http").createServer().listen(0, "127.0.0.1", () => console.log("serving with " + process.env.X))`
	cmd := exec.Command(path, "--watch=100ms", "node", "-e", server)
	cmd.Env = append(env, "X=ass://watched/K")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	lines := bufio.NewReader(stdout)
	if line, err := lines.ReadString('\n'); line != "serving with old\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	cli(t, env, "secrets", "set", "watched/K", "new", "--type", "custom", "--tier", "standard")
	if line, err := lines.ReadString('\n'); line != "serving with new\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	v.Inject(devvault.Fault{Kind: "reset"})
	before := len(v.Requests())
	for len(v.Requests()) < before+3 {
		time.Sleep(10 * time.Millisecond) // until it has looked three times
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
		t.Errorf("got %q, %v: the server was started again", rest, err)
	}
	_ = cmd.Wait()
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.ExitStatus() != 143 {
		t.Errorf("got %v, want 143", cmd.ProcessState)
	}
}
