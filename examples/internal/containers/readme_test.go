//go:build container

package containers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// readmeBlock is the block of the README with this language and first words.
func readmeBlock(t *testing.T, language, words string) string {
	t.Helper()
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```" + language + "\n(" + words + ".*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatalf("the README has no %s that begins with %s", language, words)
	}
	return string(block[1])
}

// The README's Dockerfile, in an image that COPY . . has given the mapping once
// more, and its commands of docker as they stand there, with the vault's address
// and authority in the image that it is built from.
func TestReadmeStartsTheImage(t *testing.T) {
	v := newVault(t)
	dir := t.TempDir()
	ca, err := os.ReadFile(v.ca)
	base := fmt.Sprintf("FROM node:22-alpine\nWORKDIR /app\nCOPY . .\nENV ASS_CA_FILE=/app/ca.pem ASS_API_URL=%s\n", strings.Replace(v.url, "vault", gateway, 1))
	for name, content := range map[string]string{
		"Dockerfile":      base + readmeBlock(t, "dockerfile", "COPY"),
		"ca.pem":          string(ca),
		"ass.env":         "DATABASE_URL=" + databaseURL + "\n",
		"dist/server.js":  `console.log("served with " + process.env.DATABASE_URL)`,
		"dist/migrate.js": `console.log("migrated with " + process.env.DATABASE_URL)`,
	} {
		file := filepath.Join(dir, name)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run(t, "docker", "rmi", "-f", "example") })
	sh := func(script string) string {
		t.Helper()
		cmd := exec.Command("sh", "-ec", script)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "ASS_AGENT_KEY="+v.AgentKey())
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s%v\n%s", script, err, out)
		}
		return string(out)
	}
	if got, want := sh(readmeBlock(t, "sh", "docker build")), "served with "+v.secrets[databaseURL]+"\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got %s, want %s at its end", got, want)
	}
	id := strings.TrimSpace(sh("docker run -d -e ASS_AGENT_KEY --entrypoint sleep example 600"))
	t.Cleanup(func() { run(t, "docker", "rm", "-f", id) })
	got := sh(strings.ReplaceAll(readmeBlock(t, "sh", "docker exec"), "CONTAINER", id))
	if lines := strings.Split(got, "\n"); len(lines) != 4 || !strings.HasPrefix(lines[1], "DATABASE_URL  "+databaseURL+" ") || lines[2] != "migrated with "+v.secrets[databaseURL] {
		t.Errorf("got %s", got)
	}
}
