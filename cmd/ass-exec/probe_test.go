package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Everything that execve keeps must reach the command as if ass-exec had not
// been there, but for the agent key.
func TestCommandIsStartedAsIfItHadBeenStartedDirectly(t *testing.T) {
	probe, err := filepath.Abs("testdata/probe.sh")
	if err != nil {
		t.Fatal(err)
	}
	mapping := mappingFile(t, "X=a/B\n")
	for _, setup := range []string{
		"true",
		"ulimit -Sn 512; umask 027",
		"ulimit -Sn 512; ulimit -Hn 513; ulimit -Sc 0",
		"ulimit -Sc $(ulimit -Hc)",
		"exec 3</etc/passwd 7>/dev/null",
		`trap "" HUP INT TSTP TTOU`,
		`trap "" PIPE TERM USR1 USR2 ALRM VTALRM PROF`,
		"exec </dev/null",
		"cd /",
	} {
		t.Run(setup, func(t *testing.T) {
			run := func(prefix string) string {
				script := setup + "; exec " + prefix + ` sh "$0" "a b" "" "*" '$HOME'`
				cmd := exec.Command("sh", "-c", script, probe)
				cmd.Env = []string{
					"B=1", "PATH=" + bin + ":" + os.Getenv("PATH"), "ASS_PRESERVE_ENV=1", "X=set", "ASS_MAPPING=" + mapping,
					"=novalname", "NOEQ", "Z=", "NL=a\nb",
				}
				if prefix != "" {
					cmd.Env = append(cmd.Env, "ASS_AGENT_KEY=key")
				}
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				return string(out)
			}
			want, got := run(""), run("ass-exec")
			wantLines, gotLines := strings.Split(want, "\n"), strings.Split(got, "\n")
			for i := range max(len(wantLines), len(gotLines)) {
				w, g := at(wantLines, i), at(gotLines, i)
				if w != g {
					t.Errorf("line %d:\ngot  %s\nwant %s", i, g, w)
				}
			}
		})
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}
