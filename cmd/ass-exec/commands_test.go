package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// excused are the READMEs with commands that this test does not run, and why.
var excused = map[string]string{
	"README.md":                     "shows what fails, mappings, and commands that want node or stay",
	"examples/compose/README.md":    "wants Docker: examples/internal/containers",
	"examples/docker/README.md":     "wants Docker: examples/internal/containers",
	"examples/lambda/README.md":     "wants Docker: examples/internal/containers",
	"examples/podman/README.md":     "wants Podman: examples/internal/containers",
	"examples/swarm/README.md":      "wants Docker: examples/internal/containers",
	"examples/systemd/README.md":    "wants systemd: examples/internal/containers",
	"examples/kubernetes/README.md": "wants a Kubernetes: examples/internal/cluster",
	"examples/engines/README.md":    "wants accounts elsewhere",
	"examples/mcp/README.md":        "wants programs that run MCP servers",
	"examples/local/README.md":      "wants keychains (cmd/ass-exec/keychain tests), node and an account",
}

// A block of commands to be run stands under a line of its own, <!-- run -->.
var commands = regexp.MustCompile("(?ms)^(<!-- run -->\n)?```sh\n(.*?)^```$")

// The commands of a README run in its folder, in order, on a clean copy.
func TestReadmesRun(t *testing.T) {
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "examples"), os.DirFS("../../examples")); err != nil {
		t.Fatal(err)
	}
	readmes := []string{"../../README.md"}
	err := filepath.WalkDir("../../examples", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "README.md" {
			readmes = append(readmes, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range readmes {
		name := strings.TrimPrefix(path, "../../")
		t.Run(name, func(t *testing.T) {
			runReadme(t, name, filepath.Join(root, filepath.Dir(name)))
		})
	}
}

func runReadme(t *testing.T, name, dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	script, left := "set -e\n", 0
	for _, block := range commands.FindAllStringSubmatch(string(text), -1) {
		if block[1] == "" {
			left++
			continue
		}
		script += block[2]
	}
	if left > 0 && excused[name] == "" {
		t.Errorf("%d blocks are not run, and nothing says why: write <!-- run --> above them, or an excuse here", left)
	}
	t.Logf("not run: %d blocks (%s)", left, excused[name])
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "CI=", "ASS_RESOLVE=all")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, script, out)
	}
}
