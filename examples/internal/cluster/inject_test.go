//go:build kubernetes

package cluster

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// injected is testdata's Deployment with each change of pairs old, new.
func (l *lab) injected(changes ...string) string {
	l.t.Helper()
	b, err := os.ReadFile("testdata/injected.yaml")
	if err != nil {
		l.t.Fatal(err)
	}
	manifest := string(b)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(manifest, changes[i]) {
			l.t.Fatalf("%q is not in testdata/injected.yaml", changes[i])
		}
		manifest = strings.ReplaceAll(manifest, changes[i], changes[i+1])
	}
	return strings.ReplaceAll(manifest, "VAULT", l.address)
}

// dryRun makes a Pod of the Deployment's template and asks for what would become
// of it.
func (l *lab) dryRun(manifest string) result {
	l.t.Helper()
	_, template, _ := strings.Cut(manifest, "  template:\n    metadata:\n")
	template = "    apiVersion: v1\n    kind: Pod\n    metadata:\n      name: example\n" + template
	return l.run(regexp.MustCompile(`(?m)^    `).ReplaceAllString(template, ""), "kubectl", "create", "--dry-run=server", "-o", "yaml", "-f", "-")
}

const (
	notAsked  = "      annotations: { ass-exec/inject: \"true\" }\n"
	command   = `command: ["node", "dist/server.js"]`
	warned    = "Warning: Validation failed for ValidatingAdmissionPolicy 'ass-exec-warnings' with binding 'ass-exec-warnings': ass-exec/inject: "
	denied    = "The pods \"example\" is invalid: : ValidatingAdmissionPolicy 'ass-exec' with binding 'ass-exec' denied request: ass-exec/inject: "
	noCommand = ": needs a command, for the image's ENTRYPOINT is not known here\n"
	elsewhere = "has to be an annotation of the pod or a label of its namespace, \"true\" or \"false\"\n"
	image     = "          image: registry.example.com/example:1.0.0\n"
)

// The policies are the cluster's, so the variants are tried one after the other.
func TestInjection(t *testing.T) {
	l := newLab(t, devvault.Config{})
	l.createKey()
	l.kubectl("apply", "-f", examplesDir(t)+"inject/refuse.yaml")
	for _, variant := range []string{"image-volume.yaml", "install.yaml"} {
		l.kubectl("apply", "-f", examplesDir(t)+"inject/"+variant)
		mount := map[string]string{"image-volume.yaml": "  - image:\n      pullPolicy", "install.yaml": "  - emptyDir:\n      sizeLimit"}[variant]
		eventually(t, variant+" in effect", func() bool { return strings.Contains(l.dryRun(l.injected()).stdout, mount) })
		l.checkInjected(variant)
		l.checkRefused(variant)
		l.kubectl("delete", "-f", examplesDir(t)+"inject/"+variant)
	}
	beta := strings.ReplaceAll(string(example(t, "inject/install.yaml")), "registration.k8s.io/v1\n", "registration.k8s.io/v1beta1\n")
	if got := l.run(beta, "kubectl", "create", "--dry-run=server", "-f", "-"); got.status != 0 {
		t.Errorf("as v1beta1: got %v", got)
	}
	eventually(t, "refusal without an injector", func() bool {
		return l.dryRun(l.injected()).stderr == denied+"example, prepare, sidecar"+noCommand
	})
	if got := l.dryRun(l.injected("name: prepare", "name: ass-exec")); got.stderr != denied+"example, ass-exec, sidecar"+noCommand {
		t.Errorf("a container that has only the name of the one that installs: got %v", got)
	}
	l.kubectl("delete", "-f", examplesDir(t)+"inject/refuse.yaml")
}

func examplesDir(t *testing.T) string {
	t.Helper()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return wd + "/" + examples
}

// checkInjected looks at a Deployment whose every container is injected, with a
// debug container in its pod, and at a Job.
func (l *lab) checkInjected(variant string) {
	l.apply(l.injected())
	l.rolledOut()
	l.checkPods()
	length := fmt.Sprint(len("postgres://app:@db:5432/app") + len(l.secrets["production/postgres/PASSWORD"]) + 2*len("@/#"))
	for _, container := range []string{"prepare", "sidecar"} {
		if got := l.kubectl("logs", "deploy/example", "-c", container); got != length {
			l.t.Errorf("%s: %s: got %s, want %s", variant, container, got, length)
		}
	}
	pod := l.kubectl("get", "pods", "-l", "app=example", "-o", "name")
	l.kubectl("debug", "--profile", "restricted", "--image", "registry.example.com/example:1.0.0", "-c", "debugger", "--quiet", pod, "--", "node", "-p", "1+1")
	l.await("^2\n$", "logs", pod, "-c", "debugger")
	l.seal()
	l.kubectl("delete", "deployment", "example")

	job := l.injected("apps/v1", "batch/v1", "kind: Deployment", "kind: Job", "  replicas: 1\n  selector:\n    matchLabels: { app: example }\n", "",
		"      automount", "      restartPolicy: Never\n      automount", command, `command: ["node", "-p", "process.env.PGPASSWORD.length"]`)
	l.apply(job)
	l.kubectl("wait", "--for=condition=Complete", "job/example", "--timeout="+patience.String())
	want := fmt.Sprint(len(l.secrets["production/postgres/credentials"]) - len(`{"password": ""}`))
	if got := l.kubectl("logs", "job/example", "-c", "example"); got != want {
		l.t.Errorf("%s: job: got %s, want %s", variant, got, want)
	}
	l.seal()
	l.kubectl("delete", "job", "example")
}

// checkRefused looks at what gets no pod, or a warning.
func (l *lab) checkRefused(variant string) {
	for _, c := range []struct{ what, manifest, stderr string }{
		{"no command", l.injected(command, "args: []"), warned + "example" + noCommand + denied + "example" + noCommand},
		{"wrapped by hand", l.injected(command, `command: ["/opt/ass-exec/ass-exec", "--init", "node"]`), denied + "example: the command begins with ass-exec already; remove it, or the annotation\n"},
		{"a volume of that name", l.injected("        - name: ca\n", "        - name: ass-exec\n          emptyDir: {}\n        - name: ca\n"), denied + "example, prepare, sidecar" + noCommand},
		{"another value", l.injected(`"true"`, `"True"`), warned + elsewhere + denied + elsewhere},
		{"a label", l.injected(notAsked, "", "      labels: { ", `      labels: { ass-exec/inject: "true", `), warned + elsewhere + denied + elsewhere},
	} {
		if got := l.dryRun(c.manifest); got != (result{1, "", c.stderr}) {
			l.t.Errorf("%s: %s: got %v, want %s", variant, c.what, got, c.stderr)
		}
	}
	if got := l.dryRun(l.injected(notAsked, "")); got.status != 0 || strings.Contains(got.stdout, "/opt/ass-exec") {
		l.t.Errorf("%s: nobody asked: got %v", variant, got)
	}
	l.kubectl("label", "namespace", l.name, "ass-exec/inject=true")
	if got := l.dryRun(l.injected(notAsked, "")); strings.Count(got.stdout, "- /opt/ass-exec/ass-exec\n    - --\n") != 3 {
		l.t.Errorf("%s: the namespace asks: got %v", variant, got)
	}
	if got := l.dryRun(l.injected(`"true"`, `"false"`)); got.status != 0 || strings.Contains(got.stdout, "/opt/ass-exec") {
		l.t.Errorf("%s: the pod does not want it: got %v", variant, got)
	}
	l.kubectl("label", "namespace", l.name, "ass-exec/inject-")
	l.kubectl("annotate", "namespace", l.name, "ass-exec/inject=true")
	eventually(l.t, variant+": an annotation of the namespace is refused", func() bool {
		return l.dryRun(l.injected(notAsked, "")) == result{1, "", warned + elsewhere + denied + elsewhere}
	})
	l.kubectl("annotate", "namespace", l.name, "ass-exec/inject-")
	eventually(l.t, variant+": the namespace has no annotation", func() bool { return l.dryRun(l.injected(notAsked, "")).status == 0 })

	if got := l.dryRun(l.injected(image, image+"          resources: { limits: { cpu: 100m, memory: 64Mi } }\n")); !strings.Contains(got.stdout, "qosClass: Guaranteed") {
		l.t.Errorf("%s: limits for each container: got %v, want Guaranteed", variant, got)
	}
	l.checkWarned(variant)
}

// checkWarned looks at Deployments that are taken with a warning.
func (l *lab) checkWarned(variant string) {
	for _, c := range []struct{ what, manifest, warning string }{
		{"exec probe", l.injected("httpGet: { path: /health, port: 3000 }", "exec: { command: [cat, /x] }"),
			"example: what exec of a probe or a hook runs has no secrets, unless it begins with /opt/ass-exec/ass-exec --\n"},
		{"annotation of the Deployment", l.injected(notAsked, "", "  name: example\nspec:", "  name: example\n  annotations: { ass-exec/inject: \"true\" }\nspec:"), elsewhere},
	} {
		want := result{0, "deployment.apps/example created (server dry run)\n", warned + c.warning}
		if got := l.run(c.manifest, "kubectl", "apply", "--dry-run=server", "-f", "-"); got != want {
			l.t.Errorf("%s: %s: got %v, want %v", variant, c.what, got, want)
		}
	}
}
