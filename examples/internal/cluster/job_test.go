//go:build kubernetes

package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

const fromCronJob = "kubectl create job example-migrate-1 --from=cronjob/example-migrate"

func TestCronJobRunsToItsEnd(t *testing.T) {
	l := newLab(t, devvault.Config{})
	l.createKey()
	l.apply(l.overlay(example(t, "cronjob.yaml", "#   "+fromCronJob, "#")))
	// 76: something else than the vault answers. The next try finds the vault.
	l.Inject(devvault.Fault{Kind: "html", Count: 1})
	l.sh(fromCronJob)
	l.kubectl("wait", "--for=condition=Complete", "job/example-migrate-1", "--timeout="+patience.String())
	if got := l.kubectl("get", "job", "example-migrate-1", "-o", "jsonpath={.status.failed} {.status.succeeded}"); got != "1 1" {
		t.Errorf("got %s pods that failed and succeeded, want 1 1", got)
	}
	pod := l.kubectl("get", "pods", "--field-selector", "status.phase=Succeeded", "-o", "name")
	if got, want := l.kubectl("logs", pod), fmt.Sprint("db:5432 ", len(l.secrets["production/postgres/PASSWORD"])); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestJobDoesNotRetryAMisspeltReference(t *testing.T) {
	l := newLab(t, devvault.Config{})
	l.createKey()
	l.apply(l.overlay(example(t, "cronjob.yaml", "postgres/PASSWORD", "postgres/PASWORD")))
	l.sh(fromCronJob)
	l.kubectl("wait", "--for=condition=Failed", "job/example-migrate-1", "--timeout="+patience.String())
	got := l.kubectl("get", "job", "example-migrate-1", "-o", `jsonpath={.status.failed} {.status.conditions[?(@.type=="Failed")].reason}`)
	if want := "1 PodFailurePolicy"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	message := l.kubectl("get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[0].state.terminated.message}")
	if want := "DATABASE_URL: production/postgres/PASWORD does not exist\n"; !strings.Contains(message, want) {
		t.Errorf("got %s, want in it %s", message, want)
	}
}

// $(VAR) gives the reference away, and $$ is $, as the README says.
func TestKubernetesExpandsBeforeTheCommandStarts(t *testing.T) {
	l := newLab(t, devvault.Config{})
	l.createKey()
	l.apply(l.overlay(example(t, "cronjob.yaml",
		`'exec node dist/migrate.js "$DATABASE_URL"']`, `'echo "$0" "$LITERAL"', "$(DATABASE_URL)"]`,
		"- name: DATABASE_URL", "- name: LITERAL\n                  value: $$$${ass://a/B}\n                - name: DATABASE_URL")))
	l.sh(fromCronJob)
	l.kubectl("wait", "--for=condition=Complete", "job/example-migrate-1", "--timeout="+patience.String())
	got := l.kubectl("logs", "job/example-migrate-1")
	if want := "postgres://app:${ass://production/postgres/PASSWORD?encode=url}@db:5432/app ${ass://a/B}"; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}
