//go:build kubernetes

package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// readmeLines are the commands of the README, which are run word for word.
func readmeLines(t *testing.T, first string) []string {
	t.Helper()
	readme, err := os.ReadFile(examples + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sh\n(" + regexp.QuoteMeta(first) + ".*?)\n```").FindSubmatch(readme)
	if block == nil {
		t.Fatalf("README.md has no block of commands that begins with %s", first)
	}
	return strings.Split(string(block[1]), "\n")
}

func TestDeploymentRunsAsREADMESays(t *testing.T) {
	for _, manifest := range []string{"deployment.yaml", "deployment-install.yaml"} {
		t.Run(manifest, func(t *testing.T) {
			l := newLab(t, devvault.Config{})
			if err := os.WriteFile(l.dir+"/deployment.yaml", []byte(l.overlay(example(t, manifest))), 0o600); err != nil {
				t.Fatal(err)
			}
			lines := readmeLines(t, "kubectl create secret generic ass-agent-key")
			for i, want := range []string{"secret/ass-agent-key created\n", "deployment.apps/example created\n", "db:5432 " + fmt.Sprint(len(l.secrets["production/postgres/PASSWORD"])) + "\n"} {
				if i == 2 {
					l.rolledOut()
				}
				// Nothing on stderr: no warning, of the Pod Security Standard either.
				if got := l.sh(lines[i]); got != (result{0, want, ""}) {
					t.Errorf("%s: got %v, want %q", lines[i], got, want)
				}
			}
			l.checkPods()
		})
	}
}

// checkPods looks at what runs in the example's pods.
func (l *lab) checkPods() {
	l.t.Helper()
	for _, pod := range strings.Fields(l.kubectl("get", "pods", "-l", "app=example", "-o", "name")) {
		if got, want := l.kubectl("logs", pod, "-c", "example"), l.started(); got != want {
			l.t.Errorf("%s: got %s\nwant %s", pod, got, want)
		}
	}
	status := l.kubectl("exec", "deploy/example", "-c", "example", "--", "grep", "-E", "^(Uid|Gid|CapPrm|CapEff|CapBnd|NoNewPrivs|Seccomp):", "/proc/1/status")
	want := `Uid:	65532	65532	65532	65532
Gid:	65532	65532	65532	65532
CapPrm:	0000000000000000
CapEff:	0000000000000000
CapBnd:	0000000000000000
NoNewPrivs:	1
Seccomp:	2`
	if status != want {
		l.t.Errorf("got %s\nwant %s", status, want)
	}
	if got := l.sh("kubectl exec deploy/example -c example -- touch /app/x"); !strings.Contains(got.stderr, "Read-only file system") {
		l.t.Errorf("writing to the root file system: got %v", got)
	}
	if got := l.kubectl("exec", "deploy/example", "-c", "example", "--", "sh", "-c", `echo "$GEMINI_API_KEY"`); got != "ass://production/gemini/GEMINI_API_KEY" {
		l.t.Errorf("an exec'd shell: got %s, want the reference", got)
	}
}

func TestSIGTERMReachesTheCommand(t *testing.T) {
	l := newLab(t, devvault.Config{})
	l.createKey()
	l.apply(l.overlay(example(t, "deployment.yaml", "replicas: 2", "replicas: 1")))
	l.rolledOut()
	pod := l.kubectl("get", "pods", "-l", "app=example", "-o", "name")
	logs := exec.Command("kubectl", "--kubeconfig", l.dir+"/kubeconfig", "logs", "--follow", pod)
	var got strings.Builder
	logs.Stdout = &got
	if err := logs.Start(); err != nil {
		t.Fatal(err)
	}
	l.kubectl("delete", pod)
	if err := logs.Wait(); err != nil {
		t.Fatal(err)
	}
	if want := l.started() + "\nSIGTERM\n"; got.String() != want {
		t.Errorf("got %q, want %q", got.String(), want)
	}
}

func TestRollbackUndoesABadReference(t *testing.T) {
	l := newLab(t, devvault.Config{})
	l.createKey()
	l.apply(l.overlay(example(t, "deployment.yaml")))
	l.rolledOut()
	l.kubectl("set", "env", "deployment/example", "GEMINI_API_KEY=ass://production/gemini/GEMINI_API_KYE")
	l.await("^66", "get", "pods", "-l", "app=example", "-o", "jsonpath="+ended+".exitCode}")

	describe := l.kubectl("describe", "pods", "-l", "app=example")
	got := regexp.MustCompile(`(?s)Reason: +Error\n +Message: +(.*?)\n +Exit Code: +66\n`).FindStringSubmatch(describe)
	want := `ass-exec: error: environment: GEMINI_API_KEY: production/gemini/GEMINI_API_KYE does not exist
ass-exec: hint: check the spelling, with ass secrets list production/gemini, or make it ?optional
`
	if got == nil || got[1] != want {
		t.Errorf("got %s\nwant as the reason %s", describe, want)
	}
	l.await("^2$", "get", "deployment", "example", "-o", "jsonpath={.status.readyReplicas}")

	if got, want := l.sh("kubectl rollout undo deployment/example").stdout, "deployment.apps/example rolled back\n"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	l.rolledOut()
	l.kubectl("delete", strings.Fields(l.kubectl("get", "pods", "-l", "app=example", "-o", "name"))[0])
	l.rolledOut()
	l.checkPods()
}

// ended begins a JSON path to how the pods' containers ended, the last time or for
// good.
const ended = `{.items[*].status.containerStatuses[0]['state','lastState'].terminated`

func TestVaultThatIsAwayIsWaitedFor(t *testing.T) {
	l := newLab(t, devvault.Config{})
	l.createKey()
	l.shut()
	l.apply(l.overlay(example(t, "deployment.yaml")))
	l.await("^ass-exec: warning: cannot reach "+l.address, "logs", "deploy/example")
	l.open()
	l.rolledOut()
	l.await("^0 0$", "get", "pods", "-l", "app=example", "-o", "jsonpath={.items[*].status.containerStatuses[0].restartCount}")
}

func TestWrongKeyIsDenied(t *testing.T) {
	l := newLab(t, devvault.Config{})
	l.kubectl("create", "secret", "generic", "ass-agent-key", "--from-literal=agent-key="+canary("wrong"))
	l.apply(l.overlay(example(t, "deployment.yaml", "replicas: 2", "replicas: 1")))
	l.await("^77", "get", "pods", "-l", "app=example", "-o", "jsonpath="+ended+".exitCode}")
	l.await("^ass-exec: error: the vault refuse[sd] the agent key", "get", "pods", "-l", "app=example", "-o", "jsonpath="+ended+".message}")
}

func TestMissingKeyStartsNothing(t *testing.T) {
	l := newLab(t, devvault.Config{})
	l.apply(l.overlay(example(t, "deployment.yaml", "replicas: 2", "replicas: 1")))
	l.await(`^MountVolume.SetUp failed for volume "agent-key" : secret "ass-agent-key" not found$`,
		"get", "events", "--field-selector", "reason=FailedMount", "-o", "jsonpath={.items[0].message}")
	l.await("^ContainerCreating$", "get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[0].state.waiting.reason}")
	l.createKey()
	l.rolledOut()
}

func TestApprovalIsAskedForOnce(t *testing.T) {
	l := newLab(t, devvault.Config{})
	l.PutTier("production/tls/PRIVATE_KEY", l.secrets["production/tls/PRIVATE_KEY"], "sensitive")
	l.createKey()
	l.apply(l.overlay(example(t, "deployment.yaml", "replicas: 2", "replicas: 1")))
	l.await("^false$", "get", "pods", "-l", "app=example", "-o", "jsonpath={.items[*].status.containerStatuses[0].ready}")
	eventually(t, "an approval", func() bool { return len(l.Approvals()) > 0 })
	if err := l.Decide(l.Approvals()[0].ID, "approved"); err != nil {
		t.Fatal(err)
	}
	l.rolledOut()
	if got := len(l.Approvals()); got != 1 {
		t.Errorf("got %d approvals, want 1", got)
	}
}

func TestWatchRestartsWithinTheContainer(t *testing.T) {
	l := newLab(t, devvault.Config{})
	l.createKey()
	l.apply(l.overlay(example(t, "deployment.yaml", "replicas: 2", "replicas: 1",
		"            - { name: GEMINI", "            - { name: ASS_WATCH, value: 1s }\n            - { name: GEMINI")))
	l.rolledOut()
	before := l.started()
	l.secrets["production/gemini/GEMINI_API_KEY"] = canary("a longer one")
	l.Put("production/gemini/GEMINI_API_KEY", l.secrets["production/gemini/GEMINI_API_KEY"])
	want := before + "\nSIGTERM\n" + l.started()
	eventually(t, "a second start in the logs", func() bool {
		logs := l.kubectl("logs", "deploy/example")
		logs = regexp.MustCompile(`(?m)^ass-exec: .*\n`).ReplaceAllString(logs, "") // about the change
		return regexp.MustCompile(`"pid":\d+`).ReplaceAllString(logs, `"pid":1`) == want
	})
	l.await("^0$", "get", "pods", "-l", "app=example", "-o", "jsonpath={.items[*].status.containerStatuses[0].restartCount}")
}
