//go:build container

package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// app is an image of the smallest kind: ass-exec and one static program, busybox
// in the place of an app. It has no shell by name, no certificates, no /tmp and
// no /etc/passwd.
const app = "ass-exec-container-test"

const appDockerfile = `FROM scratch
COPY --from=busybox:1.37 /bin/busybox /bin/busybox
COPY --from=busybox:1.37 /bin/busybox /bin/true
COPY ass-exec /ass-exec
ENTRYPOINT ["/ass-exec"]
`

var buildApp = sync.OnceValues(func() ([]byte, error) {
	cmd := exec.Command("docker", "build", "--quiet", "--tag", app, "--file", "-", bin)
	cmd.Stdin = strings.NewReader(appDockerfile)
	return cmd.CombinedOutput()
})

func needDocker(t *testing.T) {
	t.Helper()
	needTool(t, exec.Command("docker", "info").Run() == nil, "docker; see .ci/install-docker")
	if out, err := buildApp(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// docker runs a docker command that must succeed, and returns its stdout.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	status, stdout, stderr := tryDocker(t, args...)
	if status != 0 {
		t.Fatalf("docker %q: %s", args, stderr)
	}
	return strings.TrimSpace(stdout)
}

func tryDocker(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// start runs a container in the background; it is gone when the test ends.
func startContainer(t *testing.T, args ...string) (id string) {
	t.Helper()
	id = docker(t, append([]string{"run", "--detach"}, args...)...)
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", "--volumes", id).Run() })
	return id
}

func inspect(t *testing.T, id, format string) string {
	t.Helper()
	return docker(t, "inspect", "--format", format, id)
}

// logs is all of stdout and then all of stderr.
func logs(t *testing.T, id string) string {
	t.Helper()
	_, stdout, stderr := tryDocker(t, "logs", id)
	return stdout + stderr
}

// containerVault serves a vault over TLS on this host's loopback. flags let a
// container reach it.
func containerVault(t *testing.T) (v *devvault.Server, flags []string) {
	t.Helper()
	needDocker(t)
	v, env := vaultServer(t, devvault.Config{AgentKey: canaryKey})
	v.Put("a/B", canaryValue)
	flags = []string{"--network", "host", "--env", "ASS_CA_FILE=/ca.pem"}
	for _, kv := range env {
		switch name, value, _ := strings.Cut(kv, "="); name {
		case "ASS_CA_FILE":
			flags = append(flags, "--volume", value+":/ca.pem:ro")
		case "ASS_API_URL", "ASS_AGENT_KEY":
			flags = append(flags, "--env", kv)
		}
	}
	return v, flags
}

// args joins lists of arguments to one.
func args(lists ...[]string) (out []string) {
	for _, list := range lists {
		out = append(out, list...)
	}
	return out
}

var withSecret = []string{"--env", "X=ass://a/B"}

// tell says what the command finds: its pid, its secret and the names of its
// environment.
var tell = []string{"busybox", "sh", "-c", `
	echo "pid $$"
	busybox test "$X" = ` + canaryValue + ` && echo the secret is there
	busybox tr '\0' '\n' </proc/1/environ | busybox cut -d= -f1 | busybox sort | busybox xargs`}

func TestCommandBecomesPID1(t *testing.T) {
	_, flags := containerVault(t)
	got := docker(t, args([]string{"run", "--rm"}, flags, withSecret, []string{app}, tell)...)
	want := "pid 1\nthe secret is there\nASS_API_URL ASS_CA_FILE HOME HOSTNAME PATH X"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStartsInAnyContainer(t *testing.T) {
	_, flags := containerVault(t)
	const rest = "ASS_API_URL ASS_CA_FILE"
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte(canaryKey+"\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		flags []string
		names string // of the command's environment
	}{
		{"arbitrary uid", []string{"--user", "12345:54321"}, rest + " HOME HOSTNAME PATH X"},
		{"read-only root", []string{"--read-only"}, rest + " HOME HOSTNAME PATH X"},
		{"no capabilities", []string{"--cap-drop", "ALL"}, rest + " HOME HOSTNAME PATH X"},
		{"no new privileges", []string{"--security-opt", "no-new-privileges"}, rest + " HOME HOSTNAME PATH X"},
		{"all of these", []string{
			"--user", "12345:54321", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		}, rest + " HOME HOSTNAME PATH X"},
		{"16 MiB and 8 tasks", []string{"--memory", "16m", "--pids-limit", "8"}, rest + " HOME HOSTNAME PATH X"},
		{"key from a file", []string{
			"--user", "12345", "--env", "ASS_AGENT_KEY=", "--env", "ASS_AGENT_KEY_FILE=/key", "--volume", keyFile + ":/key:ro",
		}, rest + " HOME HOSTNAME PATH X"},
		{"no HOME, no PATH", []string{"--entrypoint", "/bin/busybox"}, rest + " HOSTNAME X"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			command := tell
			if tt.name == "no HOME, no PATH" { // Docker sets both
				command = args([]string{"env", "-u", "HOME", "-u", "PATH", "/ass-exec"}, tell)
			}
			got := docker(t, args([]string{"run", "--rm"}, flags, withSecret, tt.flags, []string{app}, command)...)
			if want := "pid 1\nthe secret is there\n" + tt.names; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestSecretFileIsReadableInContainer(t *testing.T) {
	_, flags := containerVault(t)
	got := docker(t, args([]string{"run", "--rm", "--user", "12345", "--read-only", "--cap-drop", "ALL"}, flags,
		[]string{"--env", "X=ass://a/B?as=file", app, "busybox", "sh", "-c", "echo ${X%/*}; busybox cat $X"})...)
	if want := "/proc/1/fd\n" + canaryValue; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestExitStatusPassesThroughDocker(t *testing.T) {
	for _, tt := range failures {
		t.Run(strconv.Itoa(int(tt.code)), func(t *testing.T) {
			v, flags := containerVault(t)
			v.PutTier("a/SENSITIVE", canaryValue, "sensitive")
			if tt.fault != "" {
				f, err := devvault.ParseFault(tt.fault)
				if err != nil {
					t.Fatal(err)
				}
				v.Inject(f)
			}
			for _, kv := range tt.env {
				flags = append(flags, "--env", kv)
			}
			status, stdout, stderr := tryDocker(t, args([]string{"run", "--rm"}, flags, withSecret, []string{app}, tt.args)...)
			if status != int(tt.code) || stdout != "" || !strings.HasPrefix(stderr, "ass-exec: ") {
				t.Errorf("got status %d, stdout %q, stderr %q; want %d and a message", status, stdout, stderr, tt.code)
			}
		})
	}
	_, flags := containerVault(t)
	for script, want := range map[string]int{"exit 0": 0, "exit 42": 42, "exit 255": 255} {
		status, _, stderr := tryDocker(t, args([]string{"run", "--rm"}, flags, withSecret, []string{app, "busybox", "sh", "-c", script})...)
		if status != want || stderr != "" {
			t.Errorf("%s: got status %d and %q", script, status, stderr)
		}
	}
}

// stopContainer asks a container to stop, as docker stop does, and returns how
// it ended. It must end at once: docker would kill it only after a minute.
func stopContainer(t *testing.T, id string) (status string) {
	t.Helper()
	began := time.Now()
	docker(t, "stop", "--time", "60", id)
	if took := time.Since(began); took > time.Second {
		t.Errorf("docker stop took %v", took)
	}
	return inspect(t, id, "{{.State.ExitCode}}")
}

func TestStopDuringFetch(t *testing.T) {
	for _, fault := range []string{"endpoint=tokens,kind=hang", "endpoint=secrets,kind=hang", "kind=status,status=503"} {
		t.Run(fault, func(t *testing.T) {
			v, flags := containerVault(t)
			f, err := devvault.ParseFault(fault)
			if err != nil {
				t.Fatal(err)
			}
			v.Inject(f)
			id := startContainer(t, args(flags, withSecret, []string{app, "true"})...)
			until(t, "the vault is asked", func() bool { return len(v.Requests()) > 0 })
			if got := stopContainer(t, id); got != "143" {
				t.Errorf("got status %s, want 143\n%s", got, logs(t, id))
			}
		})
	}
}

func TestStopReachesCommand(t *testing.T) {
	_, flags := containerVault(t)
	id := startContainer(t, args(flags, withSecret, []string{
		app, "busybox", "sh", "-c",
		`trap 'echo stopping; exit 7' TERM; echo ready; while :; do busybox sleep 0.1; done`,
	})...)
	until(t, "the command is ready", func() bool { return logs(t, id) == "ready\n" })
	if got := stopContainer(t, id); got != "7" || logs(t, id) != "ready\nstopping\n" {
		t.Errorf("got status %s and %q", got, logs(t, id))
	}
}

func TestNoNetworkIsToldClearly(t *testing.T) {
	needDocker(t)
	status, _, stderr := tryDocker(t, "run", "--rm", "--network", "none", "--env", "ASS_AGENT_KEY="+canaryKey,
		"--env", "X=ass://a/B", "--env", "ASS_TIMEOUT=1s", app, "true")
	if status != 69 || !regexp.MustCompile(`(?m)^ass-exec: error: .*api\.agentsecretstore\.com`).MatchString(stderr) ||
		!strings.Contains(stderr, "ass-exec: hint: ") {
		t.Errorf("got status %d and %s", status, stderr)
	}
	t.Log(stderr)
}

// An image FROM scratch has no roots of its own. The embedded ones, which the
// tests of vault look into, do not know the vault's authority.
func TestImageWithoutRootsTrustsNobodyElse(t *testing.T) {
	_, flags := containerVault(t)
	status, _, stderr := tryDocker(t, args([]string{"run", "--rm"}, flags, withSecret, []string{"--env", "ASS_CA_FILE=", app, "true"})...)
	if status != 78 || !regexp.MustCompile(`^ass-exec: error: certificate of .* is not trusted: signed by an unknown authority\n`).MatchString(stderr) {
		t.Errorf("got status %d and %s", status, stderr)
	}
}

// A container may start before its name server does. Go reads resolv.conf
// again only every five seconds, so this is the slow case.
func TestStartsOnceNamesResolve(t *testing.T) {
	needDocker(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	seed := write("seed.json", `{"secrets":{"a/B":"`+canaryValue+`"}}`)
	network := docker(t, "network", "create", app+"-dns")
	t.Cleanup(func() { _ = exec.Command("docker", "network", "rm", network).Run() })
	startContainer(t, "--network", network, "--network-alias", "vault", "--volume", seed+":/seed.json:ro",
		"--volume", filepath.Join(bin, "ass-devvault")+":/ass-devvault:ro", "--entrypoint", "/ass-devvault", app, "--listen", "0.0.0.0:8787", "--allow-remote", "--agent-key", canaryKey, "--seed", "/seed.json")

	resolvConf := write("resolv.conf", "nameserver 127.0.0.99\n")
	id := startContainer(t, args([]string{
		"--network", network, "--volume", resolvConf + ":/etc/resolv.conf:ro", "--env", "ASS_AGENT_KEY=" + canaryKey,
		"--env", "ASS_API_URL=http://vault:8787", "--env", "ASS_ALLOW_HTTP=1",
	}, withSecret, []string{app, "busybox", "sh", "-c", "echo started"})...)
	until(t, "a name cannot be resolved", func() bool { return strings.Contains(logs(t, id), "warning: cannot reach vault:8787") })
	write("resolv.conf", "nameserver 127.0.0.11\n") // Docker's
	until(t, "the command has run", func() bool { return inspect(t, id, "{{.State.Status}}") == "exited" })
	if got := logs(t, id); inspect(t, id, "{{.State.ExitCode}}") != "0" || !strings.HasPrefix(got, "started\n") {
		t.Errorf("got %s", got)
	}
}

const wait = "trap exit TERM; echo started; while :; do busybox sleep 0.1; done"

func TestRestartPolicyOutlivesOutage(t *testing.T) {
	v, flags := containerVault(t)
	v.Inject(devvault.Fault{Kind: "status", Status: 503})
	id := startContainer(t, args(flags, withSecret, []string{
		"--restart", "unless-stopped", "--env", "ASS_TIMEOUT=100ms", app, "busybox", "sh", "-c", wait,
	})...)
	until(t, "docker has restarted it", func() bool { return inspect(t, id, "{{.RestartCount}}") != "0" })
	v.Heal()
	until(t, "the command has started", func() bool { return strings.HasPrefix(logs(t, id), "started\n") })
}

// While a human is asked, the container waits instead of restarting: each
// restart would ask the human again.
func TestApprovalIsAskedForOnce(t *testing.T) {
	v, flags := containerVault(t)
	v.PutTier("a/SENSITIVE", canaryValue, "sensitive")
	id := startContainer(t, args(flags, []string{
		"--restart", "unless-stopped", "--env", "X=ass://a/SENSITIVE", app, "busybox", "sh", "-c", wait,
	})...)
	until(t, "an approval is pending", func() bool { return len(v.Approvals()) > 0 })
	if err := v.Decide(v.Approvals()[0].ID, "approved"); err != nil {
		t.Fatal(err)
	}
	until(t, "the command has started", func() bool { return strings.HasPrefix(logs(t, id), "started\n") })
	if n, restarts := len(v.Approvals()), inspect(t, id, "{{.RestartCount}}"); n != 1 || restarts != "0" {
		t.Errorf("got %d approvals and %s restarts", n, restarts)
	}
}

// The other way round, to show what the waiting is for.
func TestRestartsWithoutWaitingAskAgain(t *testing.T) {
	v, flags := containerVault(t)
	v.PutTier("a/SENSITIVE", canaryValue, "sensitive")
	id := startContainer(t, args(flags, []string{
		"--restart", "on-failure:2", "--env", "X=ass://a/SENSITIVE", "--env", "ASS_APPROVAL_TIMEOUT=0", app, "true",
	})...)
	until(t, "docker gives up", func() bool { return inspect(t, id, "{{.State.Status}} {{.RestartCount}}") == "exited 2" })
	if got, n := inspect(t, id, "{{.State.ExitCode}}"), len(v.Approvals()); got != "75" || n != 3 {
		t.Errorf("got status %s and %d approvals, want 75 and 3", got, n)
	}
}

// What a pod does with an init container: the image needs no shell, and the
// app's image nothing of ours.
func TestInstalledIntoSharedVolume(t *testing.T) {
	_, flags := containerVault(t)
	shared := t.TempDir()
	if err := os.Chmod(shared, 0o777); err != nil { // as an emptyDir is
		t.Fatal(err)
	}
	restricted := []string{"run", "--rm", "--user", "65532:65532", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"}
	for range 2 { // a pod's init containers may run again
		docker(t, args(restricted, []string{"--network", "none", "--volume", shared + ":/shared", app, "--install", "/shared/ass-exec"})...)
	}
	got := docker(t, args(restricted, flags, withSecret, []string{"--volume", shared + ":/shared:ro", "busybox:1.37", "/shared/ass-exec"}, tell)...)
	if !strings.HasPrefix(got, "pid 1\nthe secret is there\n") {
		t.Errorf("got %q", got)
	}
}
