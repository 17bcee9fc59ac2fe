//go:build container

package containers

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// printDatabaseURL is a command that shows that it has a secret.
var printDatabaseURL = []string{"sh", "-c", `printf %s "$DATABASE_URL"`}

func TestCommandBecomesProcessOne(t *testing.T) {
	v := newVault(t)
	id := v.start(t, node, nil)
	comm := func() string { return run(t, "docker", "exec", id, "cat", "/proc/1/comm").stdout }
	eventually(t, "node is process 1", func() bool { return comm() == "node\n" })

	if got := strings.Fields(docker(t, "top", id, "-o", "pid,comm")); len(got) != 4 || got[3] != "node" {
		t.Errorf("got processes %q, want node alone", got)
	}
	environ := docker(t, "exec", id, "cat", "/proc/1/environ")
	for path, value := range v.secrets {
		if asked := path != tlsKey && path != bankKey; strings.Contains(environ, value) != asked {
			t.Errorf("%s in the environment of process 1: got %v, want %v", path, !asked, asked)
		}
	}
	for _, name := range []string{"ASS_AGENT_KEY", v.AgentKey()} {
		if strings.Contains(environ, name) {
			t.Errorf("the environment of process 1 holds %s", name)
		}
	}
}

func TestExecGetsSecretsOnlyThroughUs(t *testing.T) {
	v := newVault(t)
	id := v.start(t, node, nil)
	if got := docker(t, append([]string{"exec", id}, printDatabaseURL...)...); got != "" {
		t.Errorf("without ass-exec: got %q, want nothing", got)
	}
	if got, want := docker(t, append([]string{"exec", id, "/ass-exec", "--"}, printDatabaseURL...)...), v.secrets[databaseURL]; got != want {
		t.Errorf("with ass-exec: got %q, want %q", got, want)
	}
}

func TestStopEndsTheFetch(t *testing.T) {
	for name, tc := range map[string]struct {
		fault devvault.Fault
		while string
	}{
		"waiting for the token":   {devvault.Fault{Kind: "hang"}, "POST /v1/tokens"},
		"waiting for a secret":    {devvault.Fault{Kind: "hang", Endpoint: "secrets"}, "GET /v1/secrets/" + databaseURL},
		"waiting to try it again": {devvault.Fault{Kind: "status", Status: 503, RetryAfter: "30"}, "POST /v1/tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t)
			v.Inject(tc.fault)
			id := v.start(t, node, nil)
			v.await(t, tc.while)
			stops(t, id, "143")
		})
	}
}

func TestStopEndsTheCommand(t *testing.T) {
	v := newVault(t)
	id := v.start(t, node, nil)
	eventually(t, "the server is up", func() bool {
		return run(t, "docker", "exec", id, "wget", "-q", "-O", "-", "http://127.0.0.1:3000/health").status == 0
	})
	stops(t, id, "0")
}

// With --init it is ass-exec that is process 1: it forwards the stop, reaps
// what the command leaves behind, and holds no key.
func TestInitIsProcessOneOfItsCommand(t *testing.T) {
	v := newVault(t)
	id := v.start(t, node, []string{"-e", "ASS_INIT=1"})
	eventually(t, "the server is up", func() bool {
		return run(t, "docker", "exec", id, "wget", "-q", "-O", "-", "http://127.0.0.1:3000/health").status == 0
	})
	if got := docker(t, "exec", id, "cat", "/proc/1/comm"); got != "ass-exec" {
		t.Errorf("got process 1 %q, want ass-exec", got)
	}
	docker(t, "exec", id, "sh", "-c", "(sleep 0.01 &) ; (sleep 0.01 &)")
	eventually(t, "no process is a zombie", func() bool {
		return !strings.Contains(docker(t, "top", id, "-o", "pid,stat"), "Z")
	})
	stops(t, id, "0")
	if got := v.run(t, node, []string{"-e", "ASS_INIT=group"}, "sh", "-c", "exit 41"); got.status != 41 {
		t.Errorf("got %+v, want status 41", got)
	}
}

// stops stops a container, which must end by itself and with a status: Docker kills
// it after ten seconds. Half of them is for a busy machine.
func stops(t *testing.T, id, status string) {
	t.Helper()
	asked := time.Now()
	docker(t, "stop", id)
	state := strings.Fields(docker(t, "inspect", "-f", "{{.State.ExitCode}} {{.State.FinishedAt}}", id))
	finished, err := time.Parse(time.RFC3339Nano, state[1])
	if err != nil {
		t.Fatal(err)
	}
	if state[0] != status {
		t.Errorf("got status %s, want %s", state[0], status)
	}
	if took := finished.Sub(asked); took > 5*time.Second {
		t.Errorf("got an end after %v, want it within 5 s", took)
	}
}

func TestRunsUnderEveryRestriction(t *testing.T) {
	v := newVault(t)
	restrictions := map[string][]string{
		"arbitrary user":    {"--user", "12345:54321"},
		"read-only root":    {"--read-only"},
		"no capabilities":   {"--cap-drop", "ALL"},
		"no new privileges": {"--security-opt", "no-new-privileges"},
		"16 MB of memory":   {"--memory", "16m"},
		"few processes":     {"--pids-limit", "16"},
	}
	var all []string
	for _, options := range restrictions {
		all = append(all, options...)
	}
	restrictions["all together"] = all
	for name, options := range restrictions {
		t.Run(name, func(t *testing.T) {
			want := result{0, v.secrets[databaseURL], ""}
			if got := v.run(t, node, options, printDatabaseURL...); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestRunsWithoutHomeAndPath(t *testing.T) {
	v := newVault(t)
	got := v.run(t, node, []string{"--entrypoint", "env"}, "-i",
		"ASS_CA_FILE=/ca.pem", "ASS_AGENT_KEY_FILE=/agent-key", "ASS_API_URL="+v.url,
		"/ass-exec", "--", "/bin/sh", "-c", `printf %s "$HOME,$DATABASE_URL"`)
	if want := (result{0, "," + v.secrets[databaseURL], ""}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWithoutNetworkSaysSo(t *testing.T) {
	v := newVault(t)
	got := v.run(t, node, []string{"--network", "none", "-e", "ASS_TIMEOUT=1s"}, printDatabaseURL...)
	host := strings.TrimPrefix(v.url, "https://")
	message := regexp.MustCompile(`(?m)^ass-exec: error: cannot reach ` + host + `: .*: network is unreachable, after \d+ attempts$`)
	if got.status != 69 || got.stdout != "" || !message.MatchString(got.stderr) {
		t.Errorf("got %+v, want status 69 and %v", got, message)
	}
}

func TestExitStatusReachesDocker(t *testing.T) {
	for _, tc := range []struct {
		name    string
		want    int
		options []string
		fault   string
		command []string
	}{
		{"the command's own", 42, nil, "", []string{"sh", "-c", "exit 42"}},
		{"usage", 64, nil, "", []string{"--no-such-flag"}},
		{"no such field", 65, []string{"-e", "X=ass://" + stripe + "?field=x"}, "", nil},
		{"not found", 66, []string{"-e", "X=ass://production/no/SUCH"}, "", nil},
		{"unavailable", 69, []string{"-e", "ASS_TIMEOUT=1s"}, "kind=status,status=503", nil},
		{"pending", 75, []string{"-e", "ASS_APPROVAL_TIMEOUT=0", "-e", "X=ass://" + bankKey}, "", nil},
		{"protocol", 76, nil, "kind=html", nil},
		{"denied", 77, []string{"-e", "ASS_AGENT_KEY_FILE=", "-e", "ASS_AGENT_KEY=wrong"}, "", nil},
		{"no key", 78, []string{"-e", "ASS_AGENT_KEY_FILE="}, "", nil},
		{"cannot run", 126, nil, "", []string{"/etc/passwd"}},
		{"no such command", 127, nil, "", []string{"no-such-command"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newVault(t)
			if tc.fault != "" {
				fault, err := devvault.ParseFault(tc.fault)
				if err != nil {
					t.Fatal(err)
				}
				v.Inject(fault)
			}
			command := tc.command
			if command == nil {
				command = []string{"echo", "started"}
			}
			got := v.run(t, node, tc.options, command...)
			if got.status != tc.want || got.stdout != "" {
				t.Errorf("got %+v, want status %d and no command", got, tc.want)
			}
		})
	}
}

func TestMissingNameIsWaitedFor(t *testing.T) {
	v := newVault(t)
	network := docker(t, "network", "create", unique)
	t.Cleanup(func() { docker(t, "network", "rm", network) })
	// Not a name of /etc/hosts but of Docker's DNS, which does not have it yet.
	id := v.start(t, node, []string{"--network", network, "-e", "ASS_API_URL=http://late:8787", "-e", "ASS_ALLOW_HTTP=1", "-e", "ASS_AGENT_KEY_FILE=", "-e", "ASS_AGENT_KEY=late"})
	logs := func() string { return run(t, "docker", "logs", id).stderr }
	eventually(t, "the name is missed", func() bool {
		return strings.Contains(logs(), "ass-exec: warning: ") && strings.Contains(logs(), "late")
	})
	seed, err := filepath.Abs("../../local/vault.json")
	if err != nil {
		t.Fatal(err)
	}
	late := docker(t, "run", "-d", "--rm", "--network", network, "--network-alias", "late", "-v", seed+":/seed.json:ro",
		devVault, "--listen", "0.0.0.0:8787", "--allow-remote", "--seed", "/seed.json", "--agent-key", "late")
	t.Cleanup(func() { run(t, "docker", "rm", "-f", late, id) })
	eventually(t, "the command runs", func() bool { return run(t, "docker", "exec", id, "cat", "/proc/1/comm").stdout == "node\n" })
}

func TestRestartPolicyOutlastsTheVault(t *testing.T) {
	v := newVault(t)
	v.Inject(devvault.Fault{Kind: "status", Status: 503})
	id := v.start(t, node, []string{"--restart", "unless-stopped", "-e", "ASS_TIMEOUT=1s"})
	eventually(t, "a restart", func() bool { return docker(t, "inspect", "-f", "{{.RestartCount}}", id) != "0" })
	v.Heal()
	eventually(t, "the command runs", func() bool { return run(t, "docker", "exec", id, "cat", "/proc/1/comm").stdout == "node\n" })
}

func TestApprovalIsAskedForOnce(t *testing.T) {
	v := newVault(t)
	id := v.start(t, node, []string{"--restart", "unless-stopped", "-e", "BANK_KEY=ass://" + bankKey})
	eventually(t, "a request for an approval", func() bool { return len(v.Approvals()) == 1 })
	if err := v.Decide(v.Approvals()[0].ID, "approved"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the command runs", func() bool { return run(t, "docker", "exec", id, "cat", "/proc/1/comm").stdout == "node\n" })
	if got := len(v.Approvals()); got != 1 {
		t.Errorf("got %d requests for an approval, want 1", got)
	}
	if environ := docker(t, "exec", id, "cat", "/proc/1/environ"); !strings.Contains(environ, v.secrets[bankKey]) {
		t.Errorf("the command lacks the secret")
	}
	if got := docker(t, "inspect", "-f", "{{.RestartCount}}", id); got != "0" {
		t.Errorf("got %s restarts, want none", got)
	}
}

// The other way round, to show what the waiting is for.
func TestRestartInsteadOfWaitingAsksAgain(t *testing.T) {
	v := newVault(t)
	id := v.start(t, node, []string{"--restart", "on-failure:2", "-e", "ASS_APPROVAL_TIMEOUT=0", "-e", "BANK_KEY=ass://" + bankKey})
	eventually(t, "Docker gives up", func() bool {
		return docker(t, "inspect", "-f", "{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}", id) == "exited 2 75"
	})
	if got := len(v.Approvals()); got != 3 {
		t.Errorf("got %d requests for an approval, want 3", got)
	}
}
