package shim

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
)

// planFor is what is planned for a command, and what is warned of.
func planFor(t *testing.T, environ []string, args ...string) (resolved, warnings string, err error) {
	t.Helper()
	t.Chdir(t.TempDir())
	cfg, err := ParseConfig(append(args, "true"), append(environ, "PATH=/bin:/usr/bin", "ASS_AGENT_KEY=ass_key"))
	if err != nil {
		return "", "", err
	}
	p, problems := newPlan(cfg, newBudget(0, t.Context))
	var log bytes.Buffer
	p.warn(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key != slog.MessageKey {
			return slog.Attr{}
		}
		return a
	}})))
	var names []string
	for _, b := range p.bindings {
		names = append(names, b.Name)
	}
	return strings.Join(names, " "), log.String(), problems.OrNil()
}

var markers = []string{
	"CI=true", "CI=1", "CI=woodpecker", "GITHUB_ACTIONS=true", "GITLAB_CI=true", "CIRCLECI=true", "BUILDKITE=true", "JENKINS_URL=http://j",
	"TF_BUILD=True", "TEAMCITY_VERSION=1", "CODEBUILD_BUILD_ARN=arn", "bamboo_planKey=K", "GO_PIPELINE_LABEL=1", "HARNESS_BUILD_ID=1",
	"GERRIT_PROJECT=p", "PROW_JOB_ID=1", "GATEWAY_INTERFACE=CGI/1.1", "SSH_ORIGINAL_COMMAND=ls",
}

func TestWhereStrangersWriteVariablesNoneIsResolved(t *testing.T) {
	for _, marker := range markers {
		name, _, _ := strings.Cut(marker, "=")
		environ := []string{"PR_TITLE=see ${ass://production/x/X}", "BROKEN=docs: explain ${ass://path}", marker}
		resolved, warnings, err := planFor(t, environ, "--namespace=app")
		want := `msg="references are passed on unresolved in PR_TITLE, BROKEN: ASS_RESOLVE is none by default, because ` + name + " is set\"\n"
		if resolved != "" || warnings != want || err != nil {
			t.Errorf("%s: got %q, %s, %v\nwant no variable, %s", marker, resolved, warnings, err, want)
		}
	}
	for _, other := range []string{"CI=", "CI=0", "CI=false", "CI=No", "CI=off", "GITHUB_ACTIONS=", "CONTINUOUS_INTEGRATION=true"} {
		resolved, warnings, err := planFor(t, []string{"URL=see ${ass://production/x/X}", other})
		if resolved != "URL" || warnings != "" || err != nil {
			t.Errorf("%s: got %q, %s, %v; want URL", other, resolved, warnings, err)
		}
	}
}

// Its terminals are logs; those of a web server or an SSH client are none.
func TestCISystemIsToldFromOtherStrangers(t *testing.T) {
	for _, marker := range append(markers, "CI=0", "X=1") {
		name, _, _ := strings.Cut(marker, "=")
		c := Config{Environ: []string{marker}}
		want := name != "GATEWAY_INTERFACE" && name != "SSH_ORIGINAL_COMMAND" && name != "X" && marker != "CI=0"
		if got := c.InCI(); got != want {
			t.Errorf("%s: got %t", marker, got)
		}
	}
}

func TestResolveSaysWhichVariablesHoldReferences(t *testing.T) {
	const byDefault = "ASS_RESOLVE is none by default, because CI is set"
	for _, tt := range []struct {
		resolve, ci             string
		resolved, warned, whole string // whole: what is said of the one that is not resolved
	}{
		{"", "", "A B", "", ""},
		{"all", "1", "A B", "", ""},
		{"A,B", "1", "A B", "", ""},
		{" A , B ", "", "A B", "", ""},
		{"A", "1", "A", "B: ASS_RESOLVE is A", ""},
		{"B", "", "B", "", "A holds a reference that is not resolved: ASS_RESOLVE is B"},
		{"", "1", "", "B: " + byDefault, "A holds a reference that is not resolved: " + byDefault},
		{"none", "", "", "A, B: ASS_RESOLVE is none", ""},
		{"none", "1", "", "A, B: ASS_RESOLVE is none", ""},
	} {
		resolved, warnings, err := planFor(t, []string{"A=ass://a/A", "B=b ${ass://a/B}", "CI=" + tt.ci, "ASS_RESOLVE=" + tt.resolve}, "--namespace=app")
		want := ""
		if tt.warned != "" {
			want = `msg="references are passed on unresolved in ` + tt.warned + "\"\n"
		}
		told := "<nil>"
		if tt.whole != "" {
			told = "environment: " + tt.whole
		}
		if resolved != tt.resolved || warnings != want || fmt.Sprint(err) != told || err != nil && exit.Status(err) != 78 {
			t.Errorf("%q, CI=%q: got %q, %s, %v\nwant %q, %s, %s", tt.resolve, tt.ci, resolved, warnings, err, tt.resolved, want, told)
		}
	}
}

func TestVariablesThatStrangersFillAreNeverResolved(t *testing.T) {
	resolved, warnings, err := planFor(t, []string{
		"LANG=ass://a/A", "LC_PAPER=ass://a/A", "TERM=ass://a/A", "SUDO_COMMAND=x ${ass://a/A}", "npm_package_description=${ass://", "ASS_OTHER=ass://a/A",
		"=ass://a/A", "NPM_TOKEN=ass://a/A", "LC=ass://a/A", "LANGUAGE=ass://a/A",
	})
	want := `msg="references are passed on unresolved in LANG, LC_PAPER, TERM, SUDO_COMMAND, npm_package_description: ` +
		"ASS_RESOLVE is all, which leaves out LANG, LC_*, TERM, SUDO_COMMAND and npm_*\"\n"
	if resolved != "NPM_TOKEN LC LANGUAGE" || warnings != want || err != nil {
		t.Errorf("got %q, %s, %v\nwant %s", resolved, warnings, err, want)
	}
	resolved, _, err = planFor(t, []string{"LC_PAPER=ass://a/A", "CI=1"}, "--namespace=app")
	if resolved != "" || err != nil {
		t.Errorf("in CI: got %q, %v; want no error for a name that is never resolved", resolved, err)
	}
}

func TestMalformedResolveIsAnError(t *testing.T) {
	for resolve, want := range map[string]string{
		"all,none":     "ASS_RESOLVE: all cannot be part of a list",
		"A,none":       "ASS_RESOLVE: none cannot be part of a list",
		"A,,B":         "ASS_RESOLVE: must be all, none, or names of variables separated by commas",
		"LC_ALL":       "ASS_RESOLVE: LC_ALL is never resolved",
		"ASS_API_URL":  "ASS_RESOLVE: ASS_API_URL is never resolved",
		"A,MISSPELT":   "--resolve: MISSPELT is not set in the environment",
		"EMPTY,A,GONE": "--resolve: EMPTY is not set in the environment\n--resolve: GONE is not set in the environment",
	} {
		_, _, err := planFor(t, []string{"A=ass://a/A", "EMPTY=", "ASS_RESOLVE=" + resolve})
		if fmt.Sprint(err) != want || exit.Status(err) != 78 {
			t.Errorf("%s: got %v, want %s", resolve, err, want)
		}
	}
}

// So --preserve-env keeps it.
func TestReferenceThatIsPassedOnIsAValue(t *testing.T) {
	for resolve, want := range map[string]bool{"all": false, "none": true} {
		cfg, err := ParseConfig([]string{"--preserve-env", "--resolve", resolve, "true"}, []string{"A=ass://a/A"})
		if got := preserved(cfg)["A"]; got != want || err != nil {
			t.Errorf("%s: got %v, %v; want %v", resolve, got, err, want)
		}
	}
}

func TestNothingButUnresolvedReferencesIsAnError(t *testing.T) {
	var environ, names []string
	for i := range 12 {
		environ = append(environ, fmt.Sprintf("V%d=see ${ass://a/B}", i))
		names = append(names, fmt.Sprintf("V%d", i))
	}
	_, _, err := planFor(t, append(environ, "GITLAB_CI=true"))
	want := "nothing to fetch: no mapping file (ass.env, /etc/ass-exec/ass.env), no namespace, and the references in " +
		strings.Join(names[:10], ", ") + " and 2 more are not resolved: ASS_RESOLVE is none by default, because GITLAB_CI is set"
	if fmt.Sprint(err) != want || exit.Status(err) != 78 {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestMappingLineSetsAVariableThatIsNotResolved(t *testing.T) {
	cfg, err := ParseConfig([]string{"true"}, []string{"CI=1", "A=ass://a/A", "A=ass://b/B"})
	if err != nil {
		t.Fatal(err)
	}
	p := plan{cfg: cfg, bindings: []mapping.Binding{{Name: "A"}}, names: map[string]bool{"A": true}}
	if bindings, problems := p.inherit(); len(bindings)+len(problems)+len(p.unresolved) > 0 {
		t.Errorf("got %v, %v, %v", bindings, problems, p.unresolved)
	}
}

func TestUnresolvedReferencesAreWarnedOfOnce(t *testing.T) {
	cfg, err := ParseConfig([]string{"--mapping=m", "--preserve-env", "true"}, []string{"CI=1", "M=x", "A=${ass://a/A}", "PATH=/bin:/usr/bin"})
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("m", []byte("M=a/M\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd, _, err := Prepare(t.Context, cfg, "test", slog.New(slog.NewJSONHandler(&log, nil)))
	if err != nil || cmd.Env[2] != "A=${ass://a/A}" {
		t.Errorf("got %v, %v", cmd, err)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"level":"WARN","msg":"references are passed on unresolved in A: ASS_RESOLVE is none by default, because CI is set"`) {
		t.Errorf("got %s", got)
	}
}

// Kubernetes has put it there for $(URL); the command would get the reference.
func TestArgumentWithAVariablesReferenceIsWarnedOf(t *testing.T) {
	const ref, template = "ass://production/db/URL", "x ${ass://a/B}"
	environ := []string{"URL=" + ref, "T=" + template, "EMPTY=", "=" + ref + "2", "LC_X=ass://l/C", "ASS_X=ass://o/URS"}
	for _, tt := range []struct {
		args string // separated by |
		want string // argument and variable
	}{
		{"--db=" + ref, "1 URL"},
		{"-v|" + ref + "/app?sslmode=off", "2 URL"},
		{"-c|run '" + template + "'", "2 T"},
		{"", ""},
		{"run|-e|X=ass://production/db/OTHER", ""},
		{"run|-e|X=" + ref + "_2", ""},
		{"$(URL)|URL|ass://|ass://l/C|ass://o/URS", ""},
	} {
		args := append([]string{"--", "true"}, strings.Split(tt.args, "|")...)
		cfg, err := ParseConfig(args, environ)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		if tt.args == "" {
			cfg.Argv = []string{ref} // which is no argument
		}
		p := plan{cfg: cfg}
		p.warn(slog.New(slog.NewJSONHandler(&log, nil)))
		got := regexp.MustCompile(`"WARN","msg":"argument (\d) holds the reference of (\w+) and not its secret: .*; write sh -c 'exec … \\"\$(\w+)\\"'`).FindStringSubmatch(log.String())
		if told := got != nil; told != (tt.want != "") || told && (got[1]+" "+got[2] != tt.want || got[3] != got[2]) || !told && log.Len() > 0 {
			t.Errorf("%q: got %s, want %q", tt.args, &log, tt.want)
		}
	}
}
