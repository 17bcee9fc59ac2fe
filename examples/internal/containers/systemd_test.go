//go:build container

package containers

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// machine is a container with systemd as process 1, ass-exec in /usr/local/bin
// and examples/systemd as its working directory.
type machine struct {
	id string
	v  *vault
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	made, err := exec.Command("../../../.ci/systemd-image").Output()
	if err != nil {
		t.Fatalf("systemd-image: %v", err)
	}
	example, errE := filepath.Abs("../../systemd")
	binary, errB := filepath.Abs("../../../bin/ass-exec")
	if errE != nil || errB != nil {
		t.Fatal(errE, errB)
	}
	v := newVault(t)
	id := v.start(t, strings.TrimSpace(string(made)), []string{
		"--cap-add", "SYS_ADMIN", "--cgroupns", "private", "--tmpfs", "/run",
		"--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
		"-v", binary + ":/usr/local/bin/ass-exec:ro", "-v", example + ":/example:ro", "-w", "/example",
	})
	m := &machine{id, v}
	eventually(t, "systemd is up", func() bool { return m.sh(t, "systemctl is-system-running", "").stdout == "running\n" })
	m.set(t, "vault", "Environment=ASS_API_URL="+v.url+" ASS_CA_FILE=/ca.pem")
	return m
}

func (m *machine) sh(t *testing.T, command, stdin string) result {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.Command("docker", "exec", "-i", m.id, "sh", "-c", command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	_ = cmd.Run()
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func (m *machine) must(t *testing.T, command, stdin string) string {
	t.Helper()
	got := m.sh(t, command, stdin)
	if got.status != 0 {
		t.Fatalf("%s: got %+v\n%s", command, got, m.sh(t, "journalctl -u example --no-pager", "").stdout)
	}
	return strings.TrimSpace(got.stdout)
}

// set overrides settings of the service.
func (m *machine) set(t *testing.T, name string, lines ...string) {
	t.Helper()
	m.must(t, "mkdir -p /etc/systemd/system/example.service.d; cat >/etc/systemd/system/example.service.d/"+name+".conf; systemctl daemon-reload",
		"[Service]\n"+strings.Join(lines, "\n")+"\n")
}

func (m *machine) show(t *testing.T, properties string) string {
	t.Helper()
	return strings.ReplaceAll(m.must(t, "systemctl show example -P "+properties, ""), "\n", " ")
}

// install runs the lines of the README up to the start.
func (m *machine) install(t *testing.T) {
	t.Helper()
	for _, line := range readmeLines(t, "../../systemd/README.md") {
		if strings.HasPrefix(line, "systemctl enable") {
			return
		}
		m.must(t, line, m.v.AgentKey()+"\n")
	}
	t.Fatal("the README starts nothing")
}

func TestSystemdReadmeStartsTheService(t *testing.T) {
	m := newMachine(t)
	for _, line := range readmeLines(t, "../../systemd/README.md") {
		got := m.sh(t, line, m.v.AgentKey()+"\n")
		if told := got.stdout + got.stderr; got.status != 0 || strings.HasPrefix(line, "systemd-analyze") && told != "" {
			t.Fatalf("%s: got %+v", line, got)
		}
	}
	pid := m.show(t, "MainPID")
	if got := m.must(t, "cat /proc/"+pid+"/comm", ""); got != "sleep" {
		t.Errorf("got main process %s, want the program, which is sleep", got)
	}
	environ := "\x00" + m.must(t, "cat /proc/"+pid+"/environ", "")
	if !strings.Contains(environ, "\x00DATABASE_URL="+m.v.secrets[databaseURL]+"\x00") {
		t.Error("the program lacks its secret")
	}
	if strings.Contains(environ, "ASS_AGENT_KEY") || strings.Contains(environ, m.v.AgentKey()) {
		t.Error("the program has the key in its environment")
	}
	length := fmt.Sprintf("DATABASE_URL has %d bytes", len(m.v.secrets[databaseURL]))
	eventually(t, "the journal has the program's line", func() bool {
		return strings.Contains(m.must(t, "journalctl -u example --no-pager", ""), length)
	})
	if got := found(m.v.canaries(), []byte(m.must(t, "journalctl --no-pager; systemctl show example", ""))); got != nil {
		t.Errorf("systemd shows %v", got)
	}
}

// The table of the README: what systemd makes of a secret that does not exist.
func TestSystemctlStartTellsOfAMissingSecret(t *testing.T) {
	m := newMachine(t)
	m.install(t)
	m.must(t, "echo DATABASE_URL=production/database/DATABASE_ULR >/etc/example/ass.env", "")
	const command = "/usr/local/bin/ass-exec -- /usr/local/bin/example"
	for _, tc := range []struct {
		name     string
		settings []string
		start    int
		want     string // NRestarts, ExecMainStatus, ActiveState
	}{
		{"as it is", nil, 1, "0 66 failed"},
		{"simple", []string{"Type=simple", "ExecStart=", "ExecStart=" + command}, 0, "0 66 failed"},
		{"exec", []string{"Type=exec", "ExecStart=", "ExecStart=" + command}, 0, "0 66 failed"},
		{"check", []string{"Type=exec", "ExecStartPre=/usr/local/bin/ass-exec --check", "ExecStart=", "ExecStart=" + command, "RestartSec=10ms"}, 1, "5 0 failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m.set(t, "override", tc.settings...)
			if got := m.sh(t, "systemctl start example", ""); got.status != tc.start {
				t.Errorf("systemctl start: got %+v, want status %d", got, tc.start)
			}
			eventually(t, "systemd gives up", func() bool { return m.show(t, "NRestarts -P ExecMainStatus -P ActiveState") == tc.want })
			if got, want := m.sh(t, "systemctl status --no-pager -l example", "").stdout, "ass-exec: error: /etc/example/ass.env:1: DATABASE_URL: production/database/DATABASE_ULR does not exist"; tc.settings == nil && !strings.Contains(got, want) {
				t.Errorf("systemctl status: got %s, want the reason", got)
			}
			m.must(t, "systemctl reset-failed example", "")
		})
	}
	if got := m.sh(t, "sed s/LoadCredential/LoadCredentials/ example.service >/tmp/example.service; systemd-analyze verify /tmp/example.service", ""); got.stderr == "" {
		t.Error("systemd-analyze finds no misspelt setting")
	}
}

func TestSystemdServiceHasStartedOnceItHasItsSecrets(t *testing.T) {
	m := newMachine(t)
	m.install(t)
	m.must(t, "echo BANK_KEY="+bankKey+" >>/etc/example/ass.env; systemctl start --no-block example", "")
	eventually(t, "a request for an approval", func() bool { return len(m.v.Approvals()) == 1 })
	if got := m.show(t, "ActiveState"); got != "activating" {
		t.Errorf("before the approval: got %s, want activating", got)
	}
	if err := m.v.Decide(m.v.Approvals()[0].ID, "approved"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is active", func() bool { return m.show(t, "ActiveState") == "active" })
	if got := len(m.v.Approvals()); got != 1 {
		t.Errorf("got %d requests for an approval, want 1", got)
	}
}

func TestSystemdStartsACommandWithAParent(t *testing.T) {
	m := newMachine(t)
	m.install(t)
	m.set(t, "override", "Environment=ASS_INIT=1")
	m.must(t, "systemctl start example", "")
	if got := m.must(t, "cat /proc/"+m.show(t, "MainPID")+"/comm", ""); got != "ass-exec" {
		t.Errorf("got main process %s, want ass-exec", got)
	}
	stopped(t, m)
}

func TestSystemdStopsTheFetch(t *testing.T) {
	m := newMachine(t)
	m.install(t)
	m.v.Inject(devvault.Fault{Kind: "hang"})
	m.must(t, "systemctl start --no-block example", "")
	m.v.await(t, "POST /v1/tokens")
	stopped(t, m)
}

// stopped stops the service, which must not count as a failure.
func stopped(t *testing.T, m *machine) {
	t.Helper()
	m.must(t, "systemctl stop example", "")
	if got, want := m.show(t, "Result -P ActiveState"), "success inactive"; got != want {
		t.Errorf("after a stop: got %s, want %s", got, want)
	}
}

func TestSystemdTriesAgainAfterAnOutage(t *testing.T) {
	m := newMachine(t)
	m.install(t)
	m.set(t, "override", "Environment=ASS_TIMEOUT=100ms", "RestartSec=100ms", "StartLimitBurst=100")
	m.v.Inject(devvault.Fault{Kind: "status", Status: 503})
	if got := m.sh(t, "systemctl start example", ""); got.status != 1 {
		t.Errorf("without a vault: got %+v, want status 1", got)
	}
	eventually(t, "systemd has tried it twice", func() bool { return m.show(t, "NRestarts") >= "2" })
	m.v.Heal()
	eventually(t, "it is active", func() bool { return m.show(t, "ActiveState") == "active" })
}
