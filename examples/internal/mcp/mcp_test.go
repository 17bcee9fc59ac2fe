// Package mcp has the official MCP client start the official servers through
// ass-exec, with the configurations of examples/mcp.
package mcp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

const (
	agentKey = "canary-agent-key"
	token    = "canary-github-token"
)

// servers installs the client and the servers, once, and returns their folder.
var servers = sync.OnceValues(func() (string, error) {
	dir, err := filepath.Abs("../../../.tools/mcp")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	fresh := true
	for _, name := range []string{"package.json", "package-lock.json", "client.mjs"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			return "", err
		}
		have, _ := os.ReadFile(filepath.Join(dir, name))
		fresh = fresh && bytes.Equal(have, b)
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return "", err
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules/.bin/mcp-server-github")); err == nil && fresh {
		return dir, nil
	}
	npm := exec.Command("npm", "ci", "--no-audit", "--no-fund")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return dir, nil
})

// bin is a folder with ass-exec, and with what stands for keychains.
var bin = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ass-exec-mcp")
	if err != nil {
		return "", err
	}
	for _, name := range []string{"pass", "security"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho "+agentKey+"\n"), 0o755); err != nil {
			return "", err
		}
	}
	build := exec.Command("go", "build", "-o", dir, "../../../cmd/ass-exec")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if dir, err := bin(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(status)
}

// server is an entry of a client's configuration, and what to do with it.
type server struct {
	Command string            `json:"command"`
	Args    []string          `json:"args"`
	Env     map[string]string `json:"env"`
	Call    *call             `json:"call,omitempty"`
	Starts  int               `json:"starts,omitempty"`
}

type call struct {
	Name      string         `json:"name"`
	Arguments map[string]any `json:"arguments"`
}

// session is what client.mjs saw.
type session struct {
	Tools   []string          `json:"tools"`
	Results []json.RawMessage `json:"results"`
	Lines   []string          `json:"lines"` // of the server's stdout
	Errors  []string          `json:"errors"`
	Stderr  string            `json:"stderr"`
	Closed  []float64         `json:"closed"` // milliseconds
	Failed  string            `json:"failed"`
}

// bench is what a test of this package needs.
type bench struct {
	dir, path, url, home string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("CI needs node and npm")
		}
		t.Skip("SKIPPED: needs node and npm")
	}
	dir, err := servers()
	if err != nil {
		t.Fatal(err)
	}
	binDir, err := bin()
	if err != nil {
		t.Fatal(err)
	}
	v := devvault.New(devvault.Config{AgentKey: agentKey})
	v.PutTier("production/github/TOKEN", token, "standard")
	s := httptest.NewServer(v)
	t.Cleanup(func() { v.Close(); s.Close() })
	b := &bench{dir: dir, path: binDir + ":" + os.Getenv("PATH"), url: s.URL, home: t.TempDir()}
	// What npx starts is installed.
	if err := os.WriteFile(filepath.Join(b.home, ".npmrc"), []byte("offline=true\nupdate-notifier=false\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

// drive has the client start the server, in the folder that has it installed.
func (b *bench) drive(t *testing.T, s server) session {
	t.Helper()
	if s.Env == nil {
		s.Env = map[string]string{}
	}
	s.Env["ASS_API_URL"] = b.url
	spec, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "client.mjs", string(spec))
	cmd.Dir = b.dir
	cmd.Env = []string{"PATH=" + b.path, "HOME=" + b.home, "TERM=dumb", "NOT_PASSED_ON=1"}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var seen session
	if err := json.Unmarshal(out, &seen); err != nil {
		t.Fatal(err)
	}
	for _, line := range seen.Lines {
		var message struct {
			Version string `json:"jsonrpc"`
		}
		if err := json.Unmarshal([]byte(line), &message); err != nil || message.Version != "2.0" {
			t.Errorf("stdout has a line that is no JSON-RPC: %s", line)
		}
	}
	t.Logf("%s %s: %d tools, %d lines, results %.200s, closed in %.0f ms, stderr %q, %s",
		s.Command, strings.Join(s.Args, " "), len(seen.Tools), len(seen.Lines), seen.Results, seen.Closed, seen.Stderr, seen.Failed)
	return seen
}

// through starts a program of the folder through ass-exec, with a secret.
func through(flags []string, program ...string) server {
	return server{
		Command: "ass-exec", Args: append(append(flags, "--"), program...),
		Env: map[string]string{
			"ASS_AGENT_KEY_COMMAND": "pass show ass/agent-key", "ASS_MAPPING": "/dev/null",
			"ASS_TIMEOUT": "20s", "ASS_APPROVAL_TIMEOUT": "0", "X": "ass://production/github/TOKEN", "ASS_RESOLVE": "all",
		},
	}
}

// configs are the files of examples/mcp.
var configs = []string{".mcp.json", "claude_desktop_config.json", "cursor.mcp.json", "vscode.mcp.json"}

func TestEachConfigurationStartsItsServer(t *testing.T) {
	b := newBench(t)
	keyFile := filepath.Join(b.home, ".config/ass/agent-key")
	if err := os.MkdirAll(filepath.Dir(keyFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, []byte(agentKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range configs {
		text, err := os.ReadFile("../../mcp/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var config struct{ McpServers, Servers map[string]server }
		if err := json.Unmarshal(text, &config); err != nil {
			t.Fatal(err)
		}
		s, ok := config.McpServers["github"]
		if name == "vscode.mcp.json" {
			s, ok = config.Servers["github"]
		}
		if !ok || s.Env["ASS_MAPPING"] == "" || s.Env["ASS_TIMEOUT"] != "20s" || s.Env["ASS_APPROVAL_TIMEOUT"] != "0" {
			t.Errorf("%s: got %+v", name, s)
			continue
		}
		for k, v := range s.Env { // as the client expands it
			s.Env[k] = strings.NewReplacer("${userHome}", b.home, "${input:agent-key}", agentKey).Replace(v)
		}
		s.Env["ASS_RESOLVE"] = "all" // it is none in CI
		// It refuses this before it asks GitHub.
		s.Call = &call{"get_issue", map[string]any{"owner": 1}}
		seen := b.drive(t, s)
		if len(seen.Tools) < 20 || len(seen.Results) != 1 || !strings.Contains(string(seen.Results[0]), "Invalid input") || len(seen.Errors) > 0 || seen.Failed != "" {
			t.Errorf("%s: got %+v", name, seen)
		}
	}
}

func TestServerHasItsSecretAndNoKey(t *testing.T) {
	b := newBench(t)
	for _, flags := range [][]string{nil, {"--init"}, {"--mask"}} {
		s := through(flags, "node_modules/.bin/mcp-server-everything")
		s.Call, s.Starts = &call{"get-env", map[string]any{}}, 2
		seen := b.drive(t, s)
		if len(seen.Results) != 2 || len(seen.Errors) > 0 || seen.Failed != "" {
			t.Fatalf("%v: got %+v", flags, seen)
		}
		want := token
		if len(flags) > 0 && flags[0] == "--mask" {
			want = "***"
		}
		for _, result := range seen.Results {
			if got := string(result); !strings.Contains(got, `\"X\": \"`+want+`\"`) || strings.Contains(got, "ASS_AGENT_KEY") || strings.Contains(got, agentKey) {
				t.Errorf("%v: got %s", flags, got)
			}
		}
	}
}

func TestFilesystemServerReads(t *testing.T) {
	b := newBench(t)
	if err := os.WriteFile(filepath.Join(b.home, "note"), []byte("written here"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := through(nil, "node_modules/.bin/mcp-server-filesystem", b.home)
	s.Call = &call{"read_text_file", map[string]any{"path": filepath.Join(b.home, "note")}}
	seen := b.drive(t, s)
	if len(seen.Results) != 1 || !strings.Contains(string(seen.Results[0]), "written here") || len(seen.Errors) > 0 {
		t.Errorf("got %+v", seen)
	}
}

func TestVendorsServerGetsTheKey(t *testing.T) {
	b := newBench(t)
	s := through([]string{"--keep-agent-key"}, "node_modules/.bin/ass-mcp")
	s.Call = &call{"get_secret", map[string]any{"namespace": "production/github", "key": "TOKEN"}}
	seen := b.drive(t, s)
	if len(seen.Results) != 1 || !strings.Contains(string(seen.Results[0]), token) || seen.Failed != "" {
		t.Errorf("got %+v", seen)
	}
}

func TestMisspeltPathIsToldOnStderrAlone(t *testing.T) {
	b := newBench(t)
	s := through(nil, "node_modules/.bin/mcp-server-everything")
	s.Env["X"] = "ass://production/github/TOKNE"
	seen := b.drive(t, s)
	if want := "ass-exec: error: environment: X: production/github/TOKNE does not exist\n"; !strings.HasPrefix(seen.Stderr, want) || len(seen.Lines) > 0 || seen.Failed == "" {
		t.Errorf("got %+v", seen)
	}
	cmd := exec.Command(filepath.Join(strings.Split(b.path, ":")[0], "ass-exec"), "--", "true")
	cmd.Env = []string{"PATH=" + b.path, "ASS_API_URL=" + b.url}
	for k, v := range s.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	start := time.Now()
	_ = cmd.Run()
	if took := time.Since(start); cmd.ProcessState.ExitCode() != 66 || took > 5*time.Second { // of the 20 that it has
		t.Errorf("got status %d after %s", cmd.ProcessState.ExitCode(), took)
	}
}

// The client closes stdin, and turns to signals after two seconds.
func TestCloseEndsTheServerAsWithoutUs(t *testing.T) {
	b := newBench(t)
	const program = "node_modules/.bin/mcp-server-everything"
	fastest := func(s server) float64 {
		s.Starts = 3
		seen := b.drive(t, s)
		if seen.Failed != "" {
			t.Fatalf("got %+v", seen)
		}
		least := seen.Closed[0]
		for _, ms := range seen.Closed {
			least = min(least, ms)
		}
		return least
	}
	alone := fastest(server{Command: program, Args: []string{}})
	for _, flags := range [][]string{nil, {"--init"}, {"--mask"}} {
		// 20 ms on a machine that does nothing else.
		if took := fastest(through(flags, program)); took > alone+300 {
			t.Errorf("%v: got %.0f ms, without ass-exec %.0f ms", flags, took, alone)
		}
	}
}
