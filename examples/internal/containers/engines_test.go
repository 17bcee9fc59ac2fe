//go:build container

package containers

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Lambda's own emulator, which runs a bootstrap as Lambda does.
const emulator = "github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie@v0.0.0-20261030222936-bef5c4ba774d"

// newLambda starts the image of examples/lambda; invoke calls its function.
func newLambda(t *testing.T, v *vault, options ...string) (id string, invoke func() result) {
	t.Helper()
	bin := t.TempDir()
	install := exec.Command("go", "install", emulator)
	install.Env = append(os.Environ(), "GOBIN="+bin, "CGO_ENABLED=0")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("go install %s: %v\n%s", emulator, err, out)
	}
	const image = "ass-exec-test-lambda"
	docker(t, "build", "-q", "-t", image, "../../lambda")
	var config struct{ Entrypoint, Cmd []string }
	if err := json.Unmarshal(output(t, "image", "inspect", "-f", "{{json .Config}}", image), &config); err != nil {
		t.Fatal(err)
	}
	// A function has its key in a variable.
	options = append(options, "-e", "ASS_AGENT_KEY_FILE=", "-e", "ASS_AGENT_KEY="+v.AgentKey(),
		"-v", bin+":/emulator:ro", "--entrypoint", "/emulator/aws-lambda-rie")
	id = v.start(t, image, options, append(config.Entrypoint, config.Cmd...)...)
	return id, func() result {
		return run(t, "docker", "exec", id, "wget", "-q", "-O", "-", "--post-data", `{"name":"x"}`,
			"http://127.0.0.1:8080/2015-03-31/functions/function/invocations")
	}
}

func TestLambdaStartsItsRuntimeWithSecrets(t *testing.T) {
	v := newVault(t)
	id, invoke := newLambda(t, v)
	var got result
	eventually(t, "the function answers", func() bool { got = invoke(); return got.status == 0 })
	if want := fmt.Sprintf(`{"name":"x","DATABASE_URL":%d}`, len(v.secrets[databaseURL])); got.stdout != want {
		t.Errorf("got %s, want %s", got.stdout, want)
	}
	if again := invoke(); again != got {
		t.Errorf("a second time: got %+v, want %+v", again, got)
	}
	n := 0
	for _, r := range v.Requests() {
		if r.Path == "/v1/tokens" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("got %d tokens for two invocations, want 1", n)
	}
	if environ := docker(t, "exec", id, "sh", "-c", "cat /proc/$(pidof node)/environ"); strings.Contains(environ, v.AgentKey()) {
		t.Error("the runtime has the key")
	}
}

func TestLambdaTellsWhyItDoesNotStart(t *testing.T) {
	id, invoke := newLambda(t, newVault(t), "-e", "X=ass://production/no/SUCH")
	eventually(t, "the log tells why", func() bool {
		if got := invoke(); got.status == 0 {
			t.Fatalf("got %+v, want a failure", got)
		}
		shown := string(output(t, "logs", id))
		return strings.Contains(shown, "exit status 66") &&
			strings.Contains(shown, "ass-exec: error: environment: X: production/no/SUCH does not exist")
	})
}

// All that can be said of engines that do not run here.
func TestOtherEnginesReferToSecretsThatExist(t *testing.T) {
	v := newVault(t)
	seed, err := os.Open("../../local/vault.json")
	if err != nil {
		t.Fatal(err)
	}
	defer seed.Close()
	if err := v.Seed(seed); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"ecs.json", "cloud-run.yaml", "fly.toml", "nomad.hcl"} {
		content, err := os.ReadFile("../../engines/" + file)
		if err != nil {
			t.Fatal(err)
		}
		references := regexp.MustCompile(`ass://[^"]+`).FindAllString(string(content), -1)
		if references == nil {
			t.Errorf("%s has no reference", file)
		}
		for _, reference := range references {
			if got := v.run(t, node, []string{"-e", "REFERENCE=" + reference}, "--check"); got.status != 0 {
				t.Errorf("%s: got %+v", file, got)
			}
		}
	}
}

func TestECSTaskBecomesHealthy(t *testing.T) {
	b, err := os.ReadFile("../../engines/ecs.json")
	if err != nil {
		t.Fatal(err)
	}
	var task struct {
		ContainerDefinitions []struct {
			Environment []struct{ Name, Value string }
			Secrets     []struct{ Name string }
			HealthCheck struct{ Command []string }
		}
	}
	if err := json.Unmarshal(b, &task); err != nil {
		t.Fatal(err)
	}
	v := newVault(t)
	v.Put("production/postgres/credentials", `{"password": "of-postgres"}`)
	c := task.ContainerDefinitions[0]
	options := []string{"--read-only", "-e", "ASS_AGENT_KEY_FILE=", "-e", c.Secrets[0].Name + "=" + v.AgentKey()}
	for _, e := range c.Environment {
		options = append(options, "-e", e.Name+"="+e.Value)
	}
	id := v.start(t, node, options)
	eventually(t, "the task is healthy", func() bool {
		return run(t, "docker", append([]string{"exec", id}, c.HealthCheck.Command[1:]...)...).status == 0
	})
	if environ := docker(t, "exec", id, "cat", "/proc/1/environ"); !strings.Contains(environ, "PGPASSWORD=of-postgres") || strings.Contains(environ, v.AgentKey()) {
		t.Error("the task lacks its secret, or has the key")
	}
}

func TestPodmanReadmeRunsTheImage(t *testing.T) {
	if _, err := exec.LookPath("podman"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("SKIPPED, NOT TESTED:", err)
	}
	v := newVault(t)
	dir := t.TempDir()
	for name, content := range map[string]string{
		"storage.conf": fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = \"%[1]s/graph\"\nrunroot = \"%[1]s/run\"\n", dir),
		// The limits, because raising one wants a capability that is often missing.
		"containers.conf": fmt.Sprintf(`[containers]
env = ["ASS_API_URL=%s", "ASS_CA_FILE=/ca.pem"]
volumes = ["%s:/ca.pem:ro"]
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`, strings.Replace(v.url, "vault", gateway, 1), v.ca),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Setenv(map[string]string{"storage.conf": "CONTAINERS_STORAGE_CONF", "containers.conf": "CONTAINERS_CONF"}[name], filepath.Join(dir, name))
	}
	sh := func(script, stdin string) string {
		t.Helper()
		cmd := exec.Command("sh", "-ec", script)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	t.Cleanup(func() {
		sh("podman rm -fa; podman rmi -fa; podman secret rm -a; umount "+dir+"/graph/overlay || true", "")
	})
	sh("docker save "+node+" | podman load -q; podman tag localhost/"+node+" localhost/example", "")
	lines := readmeLines(t, "../../podman/README.md")
	sh(lines[0], v.AgentKey())
	sh(lines[1], "")
	eventually(t, "the server is process 1", func() bool { return sh("podman exec example cat /proc/1/comm", "") == "node" })
	if got, want := sh(lines[2], ""), fmt.Sprint(len(v.secrets[databaseURL])); got != want {
		t.Errorf("%s: got %s, want %s", lines[2], got, want)
	}
	environ := sh("podman exec example cat /proc/1/environ", "")
	if !strings.Contains(environ, v.secrets[databaseURL]) || strings.Contains(environ, v.AgentKey()) {
		t.Error("process 1 lacks its secret, or has the key")
	}
	if got := found(v.canaries(), []byte(sh("podman inspect example; podman logs example; podman secret inspect agent-key", ""))); got != nil {
		t.Errorf("Podman shows %v", got)
	}
}
