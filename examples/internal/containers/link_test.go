//go:build container

package containers

import (
	"os"
	"path/filepath"
	"testing"
)

// The link that the README of examples/docker has leads to the secret, for
// process 1 and for its children, which Node starts without its descriptors.
func TestLinkOfTheImageLeadsToTheSecret(t *testing.T) {
	v := newVault(t)
	dir := t.TempDir()
	dockerfile := "FROM " + node + "\nUSER root\nRUN ln -s /proc/1/fd/70 /app/.npmrc\nUSER node\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	image := unique + "-link"
	docker(t, "build", "-q", "-t", image, dir)
	t.Cleanup(func() { run(t, "docker", "rmi", "-f", image) })
	const script = `const fs = require("fs"), {execFileSync} = require("child_process"), f = "/app/.npmrc";
		process.stdout.write(fs.readFileSync(f) + " " + execFileSync("cat", [f]) + " " + execFileSync("npm", ["config", "get", "init-author-name"]))`
	want := "init-author-name=" + v.secrets[stripe]
	for _, option := range []string{"ASS_INIT=", "ASS_WATCH=1h"} {
		got := v.run(t, image, []string{
			"-e", "ASS_RESOLVE=all", "-e", option, "-w", "/app",
			"-e", "ASS_MAPPING=/link.env", "-v", mount(t, dir, "link.env", "NPMRC=@npmrc.tmpl?fd=70\n"),
			"-v", mount(t, dir, "npmrc.tmpl", "init-author-name=${ass://"+stripe+"}"),
		}, "node", "-e", script)
		if got.status != 0 || got.stdout != want+" "+want+" "+v.secrets[stripe]+"\n" || got.stderr != "" {
			t.Errorf("%s: got %+v", option, got)
		}
	}
}

// mount writes a file, and returns the option that has it at the root.
func mount(t *testing.T, dir, name, content string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return file + ":/" + name + ":ro"
}
