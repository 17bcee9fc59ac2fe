//go:build ci

package ci

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A deployment without all of its secrets does not begin, and the job fails
// with ass-exec's own status; with the guide's scripts it begins.
func TestMissingSecretStopsDeploy(t *testing.T) {
	for name, ci := range map[string]struct {
		pipeline func(*testing.T) *pipeline
		run      func(*pipeline) (failed bool, log string)
		status   string // in the log
	}{
		"GitHub": {
			func(t *testing.T) *pipeline { return newGitHub(t, "github-actions/deploy.yml") },
			func(p *pipeline) (bool, string) { status, log := p.act(); return status != 0, log },
			"exit status 66",
		},
		"GitLab": {
			newGitLab,
			func(p *pipeline) (bool, string) { status, log := p.gitlab(); return status != 0, log },
			"FAIL 66",
		},
		"CircleCI": {
			newCircle,
			func(p *pipeline) (bool, string) {
				outcomes, log := p.circle("main")
				return outcomes["deploy"] == "failed", log
			},
			"exit status 66",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := ci.pipeline(t)
			mapping := "DATABASE_URL=production/database/DATABASE_ULR\nGEMINI_API_KEY=production/gemini/GEMINI_API_KEY\n"
			must(t, os.WriteFile(filepath.Join(p.tree, "ass.env"), []byte(mapping), 0o644))
			p.commit()
			failed, log := ci.run(p)
			log = regexp.MustCompile(` +`).ReplaceAllString(log, " ")
			if !failed || strings.Contains(log, "deploy: done") {
				t.Error("the deployment began")
			}
			for _, want := range []string{"build: done", "ass.env:1: DATABASE_URL: production/database/DATABASE_ULR does not exist", ci.status} {
				if !strings.Contains(log, want) {
					t.Errorf("no %q in the log:\n%s", want, log)
				}
			}
			p.wantNoTrace(log)
		})
	}
}

// The title of a pull request is a stranger's.
func TestStrangersTextChoosesNoSecret(t *testing.T) {
	p := newGitHub(t, "github-actions/deploy.yml")
	p.workflow(`      - uses: actions/checkout@v4
      - run: ` + assExec + ` -- sh -c 'echo "the title is $TITLE"'
        env:
          TITLE: see ${ass://production/slack/SLACK_BOT_TOKEN} and ${ass://path}
          ASS_AGENT_KEY: ${{ secrets.ASS_AGENT_KEY }}
`)
	status, log := p.act()
	if status != 0 || !strings.Contains(log, "the title is see ${ass://production/slack/SLACK_BOT_TOKEN} and ${ass://path}") ||
		!strings.Contains(log, "warning: references are passed on unresolved in TITLE: ASS_RESOLVE is none by default, because CI is set") {
		t.Errorf("got status %d, want 0, the title as it is, and a warning:\n%s", status, log)
	}
	p.wantNoTrace(log)
}

// Whoever copies an example and gives no checksum learns where it comes from.
func TestChecksumThatWasNotGivenIsExplained(t *testing.T) {
	const want = "64 digits before ass-exec-linux-amd64 in the SHA256SUMS of the release"
	unsum := func(p *pipeline, file string) {
		place := filepath.Join(p.tree, file)
		b, err := os.ReadFile(place)
		must(t, err)
		changed := regexp.MustCompile(`[0-9a-f]{64}`).ReplaceAll(b, []byte(releaseSum))
		must(t, os.WriteFile(place, changed, 0o644))
		p.commit()
	}
	p := newGitLab(t)
	unsum(p, ".gitlab-ci.yml")
	if status, log := p.gitlab(); status == 0 || !strings.Contains(log, want) {
		t.Errorf("GitLab: got status %d:\n%s", status, log)
	}
	p = newCircle(t)
	unsum(p, ".circleci/config.yml")
	if outcomes, log := p.circle("main"); outcomes["deploy"] != "failed" || !strings.Contains(log, want) {
		t.Errorf("CircleCI: got %q:\n%s", outcomes["deploy"], log)
	}
}
