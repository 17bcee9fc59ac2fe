//go:build container

package containers

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// swarm is this machine as a Swarm of one, with a folder like examples/swarm.
type swarm struct {
	v   *vault
	dir string
}

func newSwarm(t *testing.T) *swarm {
	t.Helper()
	if state := docker(t, "info", "-f", "{{.Swarm.LocalNodeState}}"); state != "inactive" {
		if os.Getenv("CI") != "" {
			t.Fatalf("this Docker's Swarm is %s, and the test would end it", state)
		}
		t.Skip("SKIPPED, NOT TESTED: this Docker's Swarm is", state)
	}
	docker(t, "swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1")
	t.Cleanup(func() {
		docker(t, "stack", "rm", "example")
		eventually(t, "the tasks are gone", func() bool { return docker(t, "ps", "-aq", "-f", serviceLabel) == "" })
		docker(t, "swarm", "leave", "--force")
	})
	s := &swarm{newVault(t), t.TempDir()}
	override := fmt.Sprintf(`version: "3.9"
services:
  api:
    image: %s
    environment: {ASS_API_URL: "%s", ASS_CA_FILE: /ca.pem, ASS_TIMEOUT: 3s}
    extra_hosts: ["vault:%s"]
    configs: [{source: ca, target: /ca.pem}]
configs:
  ca: {file: %s}
`, node, s.v.url, gateway, s.v.ca)
	err := os.CopyFS(s.dir, os.DirFS("../../swarm"))
	if err := errors.Join(err, os.WriteFile(filepath.Join(s.dir, "override.yml"), []byte(override), 0o644)); err != nil {
		t.Fatal(err)
	}
	s.edit(t, "stack.yml", "interval: 5s", "interval: 500ms")
	s.edit(t, "stack.yml", "monitor: 90s", "monitor: 4s")
	s.edit(t, "stack.yml", "delay: 10s", "delay: 500ms")
	s.edit(t, "stack.yml", "rollback_config:", "rollback_config:\n        monitor: 1s")
	return s
}

// edit replaces what a pattern finds, which must be there.
func (s *swarm) edit(t *testing.T, file, pattern, by string) {
	t.Helper()
	file = filepath.Join(s.dir, file)
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := regexp.MustCompile(pattern).ReplaceAll(old, []byte(by))
	if bytes.Equal(old, changed) {
		t.Fatalf("%s has no %s", file, pattern)
	}
	if err := os.WriteFile(file, changed, 0o644); err != nil {
		t.Fatal(err)
	}
}

const serviceLabel = "label=com.docker.swarm.service.name=example_api"

// deploy runs the lines of the README that begin with one of these words, with
// the test's vault in a second file.
func (s *swarm) deploy(t *testing.T, lines ...string) {
	t.Helper()
	script := "set -e\n"
	for _, line := range readmeLines(t, "../../swarm/README.md") {
		if slices.ContainsFunc(lines, func(word string) bool { return strings.HasPrefix(line, word) }) {
			script += strings.ReplaceAll(line, "-c stack.yml", "--resolve-image never -c stack.yml -c override.yml") + "\n"
		}
	}
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir, cmd.Stdin = s.dir, strings.NewReader(s.v.AgentKey()+"\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s%v\n%s", script, err, out)
	}
}

// tasks are the containers that run, in the order of their names.
func (s *swarm) tasks(t *testing.T, filters ...string) []string {
	t.Helper()
	args := []string{"ps", "-q", "--no-trunc", "-f", serviceLabel}
	for _, filter := range filters {
		args = append(args, "-f", filter)
	}
	ids := strings.Fields(docker(t, args...))
	slices.Sort(ids)
	return ids
}

// updated waits until an update has ended, and returns how.
func (s *swarm) updated(t *testing.T) (state string) {
	t.Helper()
	within(t, 2*time.Minute, "the update ends", func() bool {
		state = docker(t, "service", "inspect", "-f", "{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}", "example_api")
		return strings.HasSuffix(state, "completed") || strings.HasSuffix(state, "paused")
	})
	return state
}

func TestSwarmRollsABadMappingBack(t *testing.T) {
	s := newSwarm(t)
	s.deploy(t, "docker secret", "export", "docker stack deploy")
	// Until it has tasks, the Swarm itself changes the service, and a change that
	// comes between is "update out of sequence".
	within(t, time.Minute, "the service has tasks", func() bool { return docker(t, "service", "ps", "-q", "example_api") != "" })
	s.deploy(t, "docker service scale", "docker stack ps")
	within(t, time.Minute, "five tasks are healthy", func() bool { return len(s.tasks(t, "health=healthy")) == 5 })
	before := s.tasks(t)
	environ := docker(t, "exec", before[0], "cat", "/proc/1/environ")
	if !strings.Contains(environ, s.v.secrets[databaseURL]) || strings.Contains(environ, s.v.AgentKey()) {
		t.Error("the task lacks its secret, or has the key")
	}

	s.edit(t, "stack.yml", "replicas: 2", "replicas: 5")
	s.edit(t, "ass.env", "/DATABASE_URL", "/DATABASE_ULR")
	s.deploy(t, "export", "docker stack deploy")
	if got := s.updated(t); got != "rollback_completed" {
		t.Errorf("got update %s, want rollback_completed", got)
	}
	within(t, time.Minute, "the tasks are those of before", func() bool { return slices.Equal(s.tasks(t, "health=healthy"), before) })
	shown := string(output(t, "service", "logs", "example_api"))
	if want := "ass-exec: error: /etc/ass-exec/ass.env:3: DATABASE_URL: production/database/DATABASE_ULR does not exist"; !strings.Contains(shown, want) {
		t.Errorf("docker service logs: got %s, want %s", shown, want)
	}

	for _, what := range []string{"service", "secret", "config"} {
		ids := strings.Fields(docker(t, what, "ls", "-q"))
		shown += string(output(t, append([]string{what, "inspect"}, ids...)...))
	}
	shown += string(output(t, append([]string{"inspect"}, before...)...))
	if got := found(s.v.canaries(), []byte(shown)); got != nil {
		t.Errorf("Swarm shows %v", got)
	}
}

func TestSwarmKeepsItsTasksInAnOutage(t *testing.T) {
	s := newSwarm(t)
	s.deploy(t, "docker secret", "export", "docker stack deploy")
	within(t, time.Minute, "two tasks are healthy", func() bool { return len(s.tasks(t, "health=healthy")) == 2 })
	before := s.tasks(t)
	s.v.Inject(devvault.Fault{Kind: "status", Status: 503})
	s.edit(t, "ass.env", "# The", "# Our")
	s.deploy(t, "export", "docker stack deploy")
	if got := s.updated(t); got != "rollback_completed" {
		t.Errorf("got update %s, want rollback_completed", got)
	}
	if got := s.tasks(t, "health=healthy"); !slices.Equal(got, before) {
		t.Errorf("got tasks %v, want %v", got, before)
	}

	// What that is due to: without a health check, and with a monitor that is
	// shorter than ASS_TIMEOUT, the update is said to be completed.
	s.edit(t, "stack.yml", `(?s)healthcheck:.*start_period[^\n]*\n\s*`, "")
	s.edit(t, "stack.yml", "monitor: 4s", "monitor: 1s")
	s.edit(t, "override.yml", "ASS_TIMEOUT: 3s", "ASS_TIMEOUT: 5m")
	s.deploy(t, "export", "docker stack deploy")
	if got := s.updated(t); got != "completed" {
		t.Errorf("without a health check: got update %s, want completed", got)
	}
	eventually(t, "the tasks that served are gone", func() bool {
		return !slices.ContainsFunc(s.tasks(t), func(id string) bool { return slices.Contains(before, id) })
	})
	after := s.tasks(t)
	if len(after) != 2 {
		t.Errorf("without a health check: got %d tasks, want 2", len(after))
	}
	for _, id := range after {
		if got := docker(t, "exec", id, "cat", "/proc/1/comm"); got != "ass-exec" {
			t.Errorf("without a health check: a task runs %s, want it to fetch still", got)
		}
	}
}
