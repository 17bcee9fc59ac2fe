package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

func TestPanicIsToldByItsLinesAlone(t *testing.T) {
	var out strings.Builder
	report := newReporter(&out, false, true)
	status := func() (status int) {
		defer func() {
			if recover() != nil {
				status = report.bug(debug.Stack())
			}
		}()
		panic(canaryValue)
	}()
	first, _, _ := strings.Cut(out.String(), "\n")
	if status != 70 || strings.Contains(out.String(), canaryValue) || !regexp.MustCompile(`^ass-exec: error: internal error( < [a-z_0-9]+\.go:[0-9]+)+$`).MatchString(first) {
		t.Errorf("got status %d, %s", status, &out)
	}
}

func TestForeignErrorCountsAsABugAndIsNotQuoted(t *testing.T) {
	var out strings.Builder
	if status := newReporter(&out, false, false).failure(errors.New(canaryValue)); status != 70 || strings.Contains(out.String(), canaryValue) {
		t.Errorf("got status %d, %s", status, &out)
	}
}

func TestNothingPrintedCanMoveACursorOrForgeALine(t *testing.T) {
	var out strings.Builder
	newReporter(&out, false, false).failure(&exit.Error{Code: 65, Msg: "a\x1b[2J\nass-exec: info: b\u202e\u200b", Hint: "c\r\x9b"})
	newReporter(&out, false, false).failure(&exit.Error{Code: 65, Msg: "d\x9b2J"}) // CSI, to a terminal of 8 bits
	want := "ass-exec: error: a\\x1b[2J\\nass-exec: info: b\\u202e\\u200b\nass-exec: hint: c\\r\ufffd\nass-exec: error: d\ufffd2J\n"
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}

// GitHub's and Azure's runners look for ##[…] and ##vso[…] in all of a line.
func TestNothingPrintedIsACommandToARunner(t *testing.T) {
	const mapping = "A='@##[set-output name=x]y'\nB='a/###vso[task.setvariable variable=x]y/K'\n"
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "m"), []byte(mapping), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ flags, want string }{
		{"--lint", "template file: open #\\u0023[set-output name=x]y: no such file or directory\nass-exec: hint: "},
		{"--lint --log-format=json", "template file: open #\\u0023[set-output name=x]y: no such file or directory\",\"exit_code\":78"},
		{"--check", "a/#\\u0023#vso[task.setvariable variable=x]y/K  -        -     m:2     -\n"},
		{"--check --log-format=json", "\"path\": \"a/#\\u0023#vso[task.setvariable variable=x]y/K\",\n"},
	} {
		cmd := exec.Command(filepath.Join(bin, "ass-exec"), append(strings.Fields(tt.flags), "--mapping=m")...)
		cmd.Dir, cmd.Env = dir, []string{"GITHUB_ACTIONS=true"}
		out, _ := cmd.CombinedOutput()
		if status := cmd.ProcessState.ExitCode(); status != 78 || strings.Contains(string(out), "##") || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: got status %d\n%swant %s", tt.flags, status, out, tt.want)
		}
	}
}
