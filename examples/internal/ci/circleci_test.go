//go:build ci

package ci

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// circle runs the workflow of the repository on a branch with our runner.
func (p *pipeline) circle(branch string) (outcomes map[string]string, log string) {
	p.t.Helper()
	status, config := p.run(jsYAML, ".circleci/config.yml")
	if status != 0 {
		p.t.Fatal(config)
	}
	var out bytes.Buffer
	c := circle{
		dir: p.state, tree: p.tree, branch: branch, log: &out,
		environ:  append(p.environ(), "ASS_API_URL="+p.apiURL),
		contexts: map[string][]string{"production": {"ASS_AGENT_KEY=" + p.agentKey}},
		orbs:     map[string]string{"node/install-packages": "npm ci"},
	}
	err := c.load([]byte(config))
	if err == nil {
		outcomes, err = c.run("main")
	}
	if err != nil {
		p.t.Fatalf("%v\n%s", err, out.String())
	}
	return outcomes, out.String()
}

func newCircle(t *testing.T) *pipeline {
	return newPipeline(t, map[string]string{
		".circleci/config.yml": "circleci/config.yml",
		"ass.env":              "circleci/ass.env",
	})
}

func TestCircleCI(t *testing.T) {
	p := newCircle(t)
	outcomes, log := p.circle("main")
	if got := outcomes["deploy"]; got != "success" {
		t.Errorf("got %q, want success", got)
	}
	p.wantOnlyDeploy(log, "GEMINI_API_KEY", "DATABASE_URL", "STRIPE_SECRET_KEY")
	p.wantNoTrace(log)
}

func TestCircleCIDeploysOnlyMain(t *testing.T) {
	p := newCircle(t)
	outcomes, log := p.circle("feature")
	if got := outcomes["build"] + ", " + outcomes["deploy"]; got != "success, not run" || len(p.tokens) > 0 {
		t.Errorf("got %s, %d tokens:\n%s", got, len(p.tokens), log)
	}
}

// A step of CircleCI is as many commands as its author likes.
func TestCircleCIGivesSecretsToEveryCommand(t *testing.T) {
	p := newCircle(t)
	config := filepath.Join(p.tree, ".circleci/config.yml")
	b, err := os.ReadFile(config)
	must(t, err)
	two := strings.Replace(string(b), "command: ./scripts/deploy.sh", "command: true && ./scripts/deploy.sh", 1)
	must(t, os.WriteFile(config, []byte(two), 0o644))
	p.commit()
	_, log := p.circle("main")
	p.wantOnlyDeploy(log, "GEMINI_API_KEY", "DATABASE_URL", "STRIPE_SECRET_KEY")
	p.wantNoTrace(log)
}
