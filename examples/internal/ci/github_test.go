//go:build ci

package ci

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// act runs the workflow of the repository as GitHub's own runners would.
func (p *pipeline) act() (status int, log string) {
	p.t.Helper()
	secrets := filepath.Join(p.platform, "secrets")
	must(p.t, os.WriteFile(secrets, []byte("ASS_AGENT_KEY="+p.agentKey+"\n"), 0o600))
	// By itself, as act copies the whole folder.
	ours := p.t.TempDir()
	b, err := os.ReadFile(filepath.Join(root, "action.yml"))
	must(p.t, err)
	must(p.t, os.WriteFile(filepath.Join(ours, "action.yml"), b, 0o644))
	return p.run(act, append(p.standIns(ours),
		"push", "-P", "ubuntu-latest=-self-hosted", "--no-cache-server", "--action-offline-mode",
		"--secret-file", secrets, "--env", "ASS_API_URL="+p.apiURL)...)
}

// standIns are act's options for the workflow's actions, at whatever commit.
func (p *pipeline) standIns(ours string) (options []string) {
	p.t.Helper()
	workflow, err := os.ReadFile(filepath.Join(p.tree, ".github/workflows/deploy.yml"))
	must(p.t, err)
	standIns := filepath.Join(root, "examples/internal/ci/testdata/actions")
	dirs := map[string]string{
		"agent-secret-store/ass-exec": ours,
		"actions/setup-node":          filepath.Join(standIns, "setup"),
		"actions/setup-python":        filepath.Join(standIns, "setup"),
		"actions/upload-artifact":     filepath.Join(standIns, "upload-artifact"),
		"actions/download-artifact":   filepath.Join(standIns, "download-artifact"),
	}
	for _, uses := range regexp.MustCompile(`uses: (([^ @]+)@\S+)`).FindAllStringSubmatch(string(workflow), -1) {
		if dir := dirs[uses[2]]; dir != "" {
			options = append(options, "--local-repository="+uses[1]+"="+dir)
		}
	}
	return options
}

// workflow replaces the workflow.
func (p *pipeline) workflow(steps string) {
	p.t.Helper()
	file := filepath.Join(p.tree, ".github/workflows/deploy.yml")
	must(p.t, os.WriteFile(file, []byte("on: push\njobs:\n  deploy:\n    runs-on: ubuntu-latest\n    steps:\n"+steps), 0o644))
	p.commit()
}

func newGitHub(t *testing.T, workflow string) *pipeline {
	return newPipeline(t, map[string]string{
		".github/workflows/deploy.yml": workflow,
		"ass.env":                      "github-actions/ass.env",
	})
}

func TestGitHubJavaScript(t *testing.T) {
	p := newGitHub(t, "github-actions/deploy.yml")
	status, log := p.act()
	if status != 0 {
		t.Errorf("got status %d, want 0", status)
	}
	p.wantOnlyDeploy(log, "GEMINI_API_KEY", "DATABASE_URL", "STRIPE_SECRET_KEY")
	p.wantNoTrace(log)
}

func TestGitHubPythonImportsNamespace(t *testing.T) {
	p := newGitHub(t, "github-actions/deploy-python.yml")
	must(t, os.Remove(filepath.Join(p.tree, "ass.env")))
	p.commit()
	status, log := p.act()
	if status != 0 {
		t.Errorf("got status %d, want 0", status)
	}
	p.wantOnlyDeploy(log, "GEMINI_API_KEY", "DATABASE_URL", "STRIPE_SECRET_KEY", "SLACK_BOT_TOKEN")
	p.wantNoTrace(log)
}

// A job that succeeded is removed by act; one that failed shows what its
// steps left on disk.
func TestGitHubFailedDeployLeavesNothing(t *testing.T) {
	p := newGitHub(t, "github-actions/deploy.yml")
	deploy := filepath.Join(p.tree, "scripts/deploy.sh")
	b, err := os.ReadFile(deploy)
	must(t, err)
	must(t, os.WriteFile(deploy, append(b, "exit 3\n"...), 0o755))
	p.commit()
	status, log := p.act()
	if status != 1 || !strings.Contains(log, "exit status 3") {
		t.Errorf("got status %d, want 1 for a step's status of 3:\n%s", status, log)
	}
	left, err := filepath.Glob(filepath.Join(p.state, "cache/act/*/hostexecutor/scripts/deploy.sh"))
	if err != nil || len(left) == 0 {
		t.Errorf("no work tree was left to be searched (%v)", err)
	}
	p.wantNoTrace(log)
}

func TestGitHubActionRefusesOtherBinary(t *testing.T) {
	p := newGitHub(t, "github-actions/deploy.yml")
	otherSum := strings.Repeat("0", 64)
	for want, with := range map[string]string{
		"has not the SHA-256 " + otherSum: "url: " + p.apiURL + "/v1/health\n          sha256: '" + otherSum + "'",
		"sha256 has to be the 64 digits before ass-exec-linux-amd64 in the SHA256SUMS of the release": "url: " + releaseURL + "\n          sha256: " + releaseSum,
		"give url and sha256, or binary": "api-url: " + p.apiURL,
	} {
		p.workflow("      - uses: agent-secret-store/ass-exec@v1\n        with:\n          " + with + `
          run: echo the command ran
      - if: always()
        run: command -v ass-exec || echo none on PATH
`)
		told := false
		// One run in thirty, act loses what a step prints right before it ends.
		for attempt := 0; attempt < 4 && !told; attempt++ {
			status, log := p.act()
			told = strings.Contains(log, want)
			if status != 1 || strings.Contains(log, "the command ran") || !strings.Contains(log, "none on PATH") {
				t.Errorf("got status %d, want 1 and no ass-exec:\n%s", status, log)
			}
		}
		if !told {
			t.Errorf("the log never says %q", want)
		}
	}
}

// The inputs of the action, and a command that prints what it was given.
func TestGitHubMask(t *testing.T) {
	p := newGitHub(t, "github-actions/deploy.yml")
	must(t, os.Rename(filepath.Join(p.tree, "ass.env"), filepath.Join(p.tree, "other.env")))
	p.workflow(`      - uses: actions/checkout@v4
      - uses: agent-secret-store/ass-exec@v1
        with:
          binary: ` + assExec + `
          api-url: ` + p.apiURL + `
          mapping: other.env
          run: |
            echo "it is $GEMINI_API_KEY"
            echo "$DATABASE_URL"
            test -z "${ASS_AGENT_KEY-}"
        env:
          ASS_API_URL: http://127.0.0.1:1
          ASS_AGENT_KEY: ${{ secrets.ASS_AGENT_KEY }}
          ASS_MASK: true
`)
	status, log := p.act()
	if status != 0 || strings.Count(log, "***") < 2 {
		t.Errorf("got status %d, want 0 and masked values:\n%s", status, log)
	}
	p.wantNoTrace(log)
}

// A stranger's pull request has no key, and its errors are marked all the same.
func TestGitHubLintMarksLines(t *testing.T) {
	p := newGitHub(t, "github-actions/deploy.yml")
	must(t, os.WriteFile(filepath.Join(p.tree, "ass.env"), []byte("A=a/B\n\nB=50%\n"), 0o644))
	p.workflow(`      - uses: actions/checkout@v4
      - run: |
          ` + assExec + ` --lint || echo "status $?"
          echo "the step goes on"
`)
	const want = "::error file=ass.env,line=3::B: the value is not a secret path; a %25 in a path must be followed by two hex digits; write a literal one as %2525"
	if status, log := p.act(); status != 0 || !strings.Contains(log, want) || !strings.Contains(log, "status 78") {
		t.Errorf("got status %d, want 0 and %q:\n%s", status, want, log)
	}
}

// The search finds what a step left behind.
func TestSearchFindsTraces(t *testing.T) {
	var got []string
	var log string
	for attempt := 0; attempt < 4 && len(got) < 2; attempt++ { // as above, act loses a line
		p := newGitHub(t, "github-actions/deploy.yml")
		p.workflow(`      - uses: actions/checkout@v4
      - run: ` + assExec + ` -- sh -c 'echo "$GEMINI_API_KEY" | tee .env.production'; exit 1
        env:
          ASS_AGENT_KEY: ${{ secrets.ASS_AGENT_KEY }}
`)
		_, log = p.act()
		got = p.traces(log)
	}
	if len(got) != 2 || got[0] != "the log" || filepath.Base(got[1]) != ".env.production" {
		t.Errorf("got traces in %q, want the log and .env.production:\n%s", got, log)
	}
}

func TestActionIsValid(t *testing.T) {
	p := newGitHub(t, "github-actions/deploy.yml")
	if status, log := p.run(actionValidator, filepath.Join(root, "action.yml")); status != 0 {
		t.Error(log)
	}
}

// With shellcheck, and with the inputs that action.yml knows.
func TestWorkflowsAreValid(t *testing.T) {
	for _, example := range []string{"github-actions/deploy.yml", "github-actions/deploy-python.yml"} {
		p := newGitHub(t, example)
		b, err := os.ReadFile(filepath.Join(root, "action.yml"))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(p.tree, "action.yml"), b, 0o644))
		workflow := filepath.Join(p.tree, ".github/workflows/deploy.yml")
		b, err = os.ReadFile(workflow)
		must(t, err)
		local := strings.Replace(string(b), "agent-secret-store/ass-exec@v1", "./", 1)
		must(t, os.WriteFile(workflow, []byte(local), 0o644))
		if status, log := p.run(actionlint); status != 0 {
			t.Errorf("%s: %s", example, log)
		}
	}
}
