//go:build ci

package ci

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// gitlab runs the pipeline of the repository with GitLab's shell executor.
func (p *pipeline) gitlab() (status int, log string) {
	p.t.Helper()
	// The key is limited to an environment, as the example says.
	variables := fmt.Sprintf("---\nglobal:\n  ASS_API_URL: %s\n  ASS_AGENT_KEY:\n    type: variable\n    values:\n      production: %s\n", p.apiURL, p.agentKey)
	must(p.t, os.MkdirAll(filepath.Join(p.platform, ".gitlab-ci-local"), 0o755))
	must(p.t, os.WriteFile(filepath.Join(p.platform, ".gitlab-ci-local/variables.yml"), []byte(variables), 0o600))
	return p.run(gitlabCILocal,
		"--home", p.platform, "--force-shell-executor", "--shell-isolation", "--no-artifacts-to-source")
}

func newGitLab(t *testing.T) *pipeline {
	return newPipeline(t, map[string]string{
		".gitlab-ci.yml": "gitlab-ci/.gitlab-ci.yml",
		"ass.env":        "gitlab-ci/ass.env",
	})
}

func TestGitLab(t *testing.T) {
	p := newGitLab(t)
	status, log := p.gitlab()
	if status != 0 {
		t.Errorf("got status %d, want 0", status)
	}
	p.wantOnlyDeploy(log, "GEMINI_API_KEY", "DATABASE_URL", "STRIPE_SECRET_KEY")
	p.wantNoTrace(log)
}
