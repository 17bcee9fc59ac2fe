package shim

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

// readUnnamed reads the mapping of a folder with an ass.env, and with the
// given text in place of /etc/ass-exec/ass.env, if there is one.
func readUnnamed(t *testing.T, local, system string, environ ...string) (read string, err error) {
	t.Helper()
	t.Chdir(t.TempDir())
	cfg, err := ParseConfig([]string{"true"}, environ)
	if err != nil {
		t.Fatal(err)
	}
	cfg.systemMapping = filepath.Join(t.TempDir(), "system.env")
	for file, text := range map[string]string{localMapping: local, cfg.systemMapping: system} {
		if text == "" {
			continue
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bindings, found, problems := readMapping(cfg, newBudget(0, nil))
	for _, b := range bindings {
		read += b.Name
	}
	if !found {
		read = "none"
	}
	msg := strings.ReplaceAll(fmt.Sprint(problems.OrNil()), cfg.systemMapping, systemMapping)
	if len(problems) == 0 {
		return read, nil
	}
	return "", fmt.Errorf("%d %s", exit.Status(problems), msg)
}

func TestUnnamedMappingReplacesNothing(t *testing.T) {
	const both = "78 ass.env: /etc/ass-exec/ass.env exists too, and neither was named"
	const beside = "78 ass.env: the environment holds references too (URL), and the mapping was not named"
	for _, tt := range []struct {
		local, system string
		environ       []string
		want          string
	}{
		{"L=a/L", "", nil, "L"},
		{"", "S=a/S", nil, "S"},
		{"", "", nil, "none"},
		{"L=a/L", "S=a/S", nil, both},
		{"#", "S=a/S", nil, both},
		{"L=a/L", "S=a/S", []string{"ASS_MAPPING=ass.env"}, "L"},
		{"L=a/L", "S=a/S", []string{"ASS_MAPPING=/dev/null"}, "none"},
		{"L=a/L", "", []string{"URL=ass://a/B"}, beside},
		{"URL=a/B", "", []string{"URL=ass://a/B"}, beside},
		{"L=a/L", "", []string{"URL=x ${ass://a/B}"}, beside},
		{"L=a/L", "", []string{"URL=ass://a/B", "ASS_RESOLVE=none"}, "L"},
		{"L=a/L", "", []string{"URL=ass://a/B", "CI=true"}, "L"},
		{"L=a/L", "", []string{"LC_X=ass://a/B", "ASS_X=ass://a/B", "=ass://a/B"}, "L"},
		{"L=a/L", "", []string{"URL=ass://a/B", "ASS_MAPPING=ass.env"}, "L"},
		{"", "S=a/S", []string{"URL=ass://a/B"}, "S"},
	} {
		got, err := readUnnamed(t, tt.local, tt.system, tt.environ...)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q, %q, %q: got %s, want %s", tt.local, tt.system, tt.environ, got, tt.want)
		}
	}
}

func TestUnnamedMappingSetsNoProtectedName(t *testing.T) {
	const code = "L=a/L\nNODE_OPTIONS=a/O\nnpm_config_script_shell=a/S\n"
	want := "78 ass.env:2: NODE_OPTIONS is a protected name (code that Node.js loads), and the mapping was not named\n" +
		"ass.env:3: npm_config_script_shell is a protected name (settings of npm, which run programs), and the mapping was not named"
	if _, err := readUnnamed(t, code, ""); fmt.Sprint(err) != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if got, err := readUnnamed(t, "", code); got != "LNODE_OPTIONSnpm_config_script_shell" {
		t.Errorf("the system's: got %s, %v", got, err)
	}
	if got, err := readUnnamed(t, code, "", "ASS_MAPPING=./ass.env"); got != "LNODE_OPTIONSnpm_config_script_shell" {
		t.Errorf("named: got %s, %v", got, err)
	}
}

// A working directory of /etc/ass-exec, or a link to the file there.
func TestSystemMappingInTheWorkingDirectoryIsTheSystems(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile(localMapping, []byte("NODE_OPTIONS=a/O\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := Config{systemMapping: filepath.Join(dir, localMapping)}
	if bindings, _, problems := readMapping(cfg, newBudget(0, nil)); len(bindings) != 1 || len(problems) > 0 {
		t.Errorf("got %v, %v", bindings, problems)
	}
}

// The volume that it leads to may not be mounted.
func TestMappingThatIsALinkToNothingIsAnError(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	system := filepath.Join(dir, "system.env")
	for _, link := range []string{localMapping, system} {
		if err := os.Symlink("nowhere", link); err != nil {
			t.Fatal(err)
		}
		cfg := Config{systemMapping: system}
		_, _, problems := readMapping(cfg, newBudget(0, nil))
		want := "mapping: open " + link + ": no such file or directory"
		if fmt.Sprint(problems.OrNil()) != want || exit.Status(problems) != 78 {
			t.Errorf("got %v, want %s", problems, want)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
}

// What is wrong locally is told at once, and what could be made out is there.
func TestPlanHoldsWhatIsKnownWithoutTheNetwork(t *testing.T) {
	key := []string{"ASS_AGENT_KEY=" + testKey, "PATH=/bin"}
	const noKey = "78 no agent key"
	for _, tt := range []struct {
		mapping  string
		environ  []string
		args     string
		bindings string
		canFetch bool
		path     string
		problems string
	}{
		{"A=a/A\nB=a/B\n", append([]string{"A=ass://x/A", "C=ass://a/C"}, key...), "", "A=a/A B=a/B C=a/C", true, "/bin/sh", "0"},
		{"A=a/A\n", []string{"PATH=/bin"}, "", "A=a/A", false, "/bin/sh", noKey},
		{"A=a/A\nA=a/B\n", []string{"PATH=/no"}, "", "A=a/A", false, "", "78 m:2: A is already mapped on line 1, no agent key, command \"sh\": not found in PATH=/no"},
		{"A=debug\n", []string{"PATH=/bin"}, "", "", false, "/bin/sh", "78 m:1: A: \"debug\" is not a secret path; a path has a namespace and a key, like production/app/DEBUG, no agent key"},
		{"", key, "--namespace=ns", "", true, "/bin/sh", "0"},
		{"", []string{"PATH=/bin"}, "--mapping=/dev/null", "", false, "/bin/sh", "78 nothing to fetch: no mapping file (ass.env, /etc/ass-exec/ass.env), no ass:// in the environment, no namespace"},
		{"#\n", []string{"PATH=/bin"}, "", "", false, "/bin/sh", "0"},
		{"PATH=a/PATH\n", key, "", "PATH=a/PATH", true, "", "0"},
		{"A=a/A\n", []string{"PATH=/bin", "A=mine"}, "--preserve-env", "", false, "/bin/sh", "0"},
		{"A=a/A\n", key, "--ca-file=/none", "A=a/A", false, "/bin/sh", "78 --ca-file: open /none: no such file or directory"},
	} {
		cfg := configFor(t, tt.mapping, tt.environ, strings.Fields(tt.args)...)
		p, problems := newPlan(cfg, newBudget(0, t.Context))
		var bindings []string
		for _, b := range p.bindings {
			bindings = append(bindings, b.Name+"="+strings.TrimPrefix(b.Value.String(), "ass://"))
		}
		var told []string
		for _, e := range problems {
			if strings.HasPrefix(e.Msg, "no agent key: ") {
				e.Msg = "no agent key"
			}
			told = append(told, e.Msg)
		}
		got := strings.TrimSpace(fmt.Sprintf("%d %s", exit.Status(problems.OrNil()), strings.Join(told, ", ")))
		if strings.Join(bindings, " ") != tt.bindings || p.canFetch != tt.canFetch || p.path != tt.path || got != tt.problems {
			t.Errorf("%q %q:\ngot  %s, %v, %q, %s\nwant %s, %v, %q, %s", tt.mapping, tt.args, bindings, p.canFetch, p.path, got, tt.bindings, tt.canFetch, tt.path, tt.problems)
		}
		if p.canFetch != (p.key.Reveal() == testKey) && !strings.Contains(tt.args, "ca-file") {
			t.Errorf("%q: the key is not the one that was given", tt.mapping)
		}
	}
}
