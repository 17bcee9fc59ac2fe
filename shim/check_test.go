package shim

import (
	"encoding/json"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// report is what --check finds, as JSON in lines, and what is wrong.
func report(t *testing.T, v *testVault, mapping string, environ []string, args ...string) (lines []string, r Report, err error) {
	t.Helper()
	cfg := configFor(t, mapping, slices.Concat(environ, v.environ), append(args, "--check")...)
	r, err = Check(t.Context, cfg, "test", slog.New(slog.DiscardHandler))
	for _, variable := range r.Variables {
		line, jsonErr := json.Marshal(variable)
		if jsonErr != nil {
			t.Fatal(jsonErr)
		}
		lines = append(lines, string(line))
	}
	return lines, r, err
}

func TestReportHasALineForEveryVariable(t *testing.T) {
	v := newVault(t, devvault.Config{})
	v.Put("a/X", "s3cret")
	v.Put("a/X", "s3cret-2")
	v.Put("a/J", `{"k":"s3cret"}`)
	v.Put("ns/Y", "s3cret")
	lines, r, err := report(t, v, "X=a/X\nT='${ass://a/X} ${ass://a/J?field=k}'\nO=a/NO?optional\nD=a/NO?default=s3cret\nG=a/GONE\nF=a/J?field=none\n", []string{"E=ass://a/J"}, "--namespace=ns")
	want := []string{
		`{"name":"X","path":"a/X","versions":[2],"tier":"standard","origin":"m:1"}`,
		`{"name":"T","path":"a/X, a/J","versions":[2,1],"tier":"standard","origin":"m:2"}`,
		`{"name":"O","path":"a/NO","origin":"m:3","problem":"not found (optional)"}`,
		`{"name":"D","path":"a/NO","origin":"m:4","problem":"not found (default used)"}`,
		`{"name":"G","path":"a/GONE","origin":"m:5","problem":"a/GONE does not exist"}`,
		`{"name":"F","path":"a/J","versions":[1],"tier":"standard","origin":"m:6","problem":"a/J: the secret has no field \"none\"; it has 1 field"}`,
		`{"name":"E","path":"a/J","versions":[1],"tier":"standard","origin":"environment"}`,
		`{"name":"Y","path":"ns/Y","versions":[1],"tier":"standard","origin":"namespace ns"}`,
	}
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	problems := []string{"m:5: G: a/GONE does not exist", `m:6: F: a/J: the secret has no field "none"; it has 1 field`}
	if !slices.Equal(r.Problems, problems) || r.ExitCode != 65 || exit.Status(err) != 65 || r.Command != "/bin/sh" {
		t.Errorf("got %+v, %v", r, err)
	}
}

// What stands in the way before the vault is asked is told in the line, too.
func TestReportHasLocalProblemsInTheirLines(t *testing.T) {
	v := newVault(t, devvault.Config{})
	v.Put("a/X", "1")
	cfg := configFor(t, "A=a/X?as=file&fd=192\nB=a/X?as=file&fd=192\nC=@gone\nD=@f\nE=a/NO?as=file&fd=192\n", v.environ, "--check")
	if err := os.WriteFile("f", []byte("${ass://a/X}\n${ass://a}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(192) })
	r, _ := Check(t.Context, cfg, "test", slog.New(slog.DiscardHandler))
	var got []string
	for _, variable := range r.Variables {
		got = append(got, variable.Name+" "+variable.Problem)
	}
	want := []string{
		"A ",
		"B fd=192 is already used by A (m:1)",
		"C template file: open gone: no such file or directory",
		"D f:2: D: a ${ass://…} in it holds no secret path; a path has a namespace and a key, like production/app/DEBUG",
		"E fd=192 is already used by A (m:1); a/NO does not exist",
	}
	if !slices.Equal(got, want) || r.ExitCode != 78 || len(r.Problems) != 5 {
		t.Errorf("got  %q, %+v\nwant %q", got, r, want)
	}
	unnamed := []mapping.Binding{{Name: "PATH", Origin: "ass.env:1"}, {Name: "PATHEXT", Origin: "ass.env:1"}}
	report := newReport("", []resolution{{Binding: unnamed[0]}, {Binding: unnamed[1]}}, checkUnnamed(unnamed), nil)
	for _, variable := range report.Variables {
		if want := "ass.env:1: " + variable.Name + " is a protected name (where programs are found), and the mapping was not named"; variable.Problem != want {
			t.Errorf("got  %s\nwant %s", variable.Problem, want)
		}
	}
}

// A run would end with the first of them; a check finds as much as it can.
func TestCheckGoesOnAfterAFailure(t *testing.T) {
	v := newVault(t, devvault.Config{})
	v.Put("a/X", "1")
	for _, tt := range []struct {
		environ []string
		fault   string // at the tokens
		code    int
		command string
		want    string // problems
	}{
		{nil, "", 0, "/bin/sh", ""},
		{[]string{"PATH=/nowhere"}, "", 127, "", `command "sh": not found in PATH=/nowhere`},
		{[]string{"PATH=/nowhere", "G=ass://a/GONE"}, "", 127, "", `command "sh": not found in PATH=/nowhere` + "\nenvironment: G: a/GONE does not exist"},
		{[]string{"B=ass://"}, "", 78, "/bin/sh", "environment: B: the value is not a secret path; a path cannot have an empty segment: no slash at its start or end, and no two in a row"},
		{nil, "html", 76, "/bin/sh", "no token: the reply is not JSON (200)"},
		{[]string{"HUGE=" + strings.Repeat("x", 7<<20)}, "", 65, "/bin/sh", "the environment and arguments are too large"},
	} {
		v.Heal()
		if tt.fault != "" {
			v.Inject(devvault.Fault{Endpoint: "tokens", Kind: tt.fault})
		}
		lines, r, err := report(t, v, "X=a/X\n", tt.environ)
		got := strings.Join(r.Problems, "\n")
		if !strings.HasPrefix(got, tt.want) || (tt.want == "") != (got == "") || r.ExitCode != tt.code || r.Command != tt.command || (err == nil) != (tt.want == "") {
			t.Errorf("%.40q: got %d, %q, %s\nwant %d, %q, %s", tt.environ, r.ExitCode, r.Command, got, tt.code, tt.command, tt.want)
		}
		if len(lines) == 0 || !strings.HasPrefix(lines[0], `{"name":"X"`) {
			t.Errorf("%.40q: got %q", tt.environ, lines)
		}
	}
}

func TestCheckNeedsNoCommand(t *testing.T) {
	v := newVault(t, devvault.Config{})
	v.Put("a/X", "1")
	cfg := configFor(t, "X=a/X\n", v.environ, "--check")
	cfg.Argv = nil
	r, err := Check(t.Context, cfg, "test", slog.New(slog.DiscardHandler))
	if err != nil || r.Command != "" || r.ExitCode != 0 || len(r.Variables) != 1 || len(r.Problems) > 0 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestCheckWithoutAKeyAsksNothing(t *testing.T) {
	v := newVault(t, devvault.Config{})
	v.environ = v.environ[:3]
	lines, r, _ := report(t, v, "X=a/X\n", nil)
	if r.ExitCode != 78 || len(r.Problems) != 1 || len(v.Requests()) > 0 || strings.Join(lines, "") != `{"name":"X","path":"a/X","origin":"m:1"}` {
		t.Errorf("got %+v, %q", r, v.asked(0))
	}
}

// A token for no scope is none that a run would ask for.
func TestCheckWithNothingToFetchAsksNothing(t *testing.T) {
	v := newVault(t, devvault.Config{})
	_, r, _ := report(t, v, "A=debug\n", nil)
	want := []string{`m:1: A: "debug" is not a secret path; a path has a namespace and a key, like production/app/DEBUG`}
	if !slices.Equal(r.Problems, want) || len(v.Requests()) > 0 {
		t.Errorf("got %q and %d requests", r.Problems, len(v.Requests()))
	}
	_, r, _ = report(t, v, "A=@gone\n", nil)
	if want := []string{"m:1: A: template file: open gone: no such file or directory"}; !slices.Equal(r.Problems, want) || len(v.Requests()) > 0 {
		t.Errorf("got %q and %d requests", r.Problems, len(v.Requests()))
	}
	// null would be an error to who goes through a list.
	if got, err := json.Marshal(newReport("", nil, nil, nil)); err != nil || string(got) != `{"variables":[],"problems":[],"exit_code":0}` {
		t.Errorf("got %s, %v", got, err)
	}
}
