package main

import (
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

func TestVerboseInitTellsOfStartSignalsAndEnd(t *testing.T) {
	// Nothing is to be fetched, which nobody tells of.
	env := []string{"PATH=" + os.Getenv("PATH"), "ASS_PRESERVE_ENV=1", "X=set", "ASS_MAPPING=" + mappingFile(t, "X=a/B\n")}
	const command = `exec 2>/dev/null; trap "echo hangup" HUP; trap "exit 7" 37; echo ready; while :; do sleep 0.01; done`
	varying := regexp.MustCompile(`"time":"[^"]*"|pid [0-9]+|group [0-9]+`)
	for flags, want := range map[string]string{
		"--init": `ass-exec: info: started the command, *
ass-exec: info: sent SIGHUP to *
ass-exec: info: sent signal 37 to *
ass-exec: info: the command ended with status 7
`,
		"--init=group --log-format=json": `{*,"level":"INFO","msg":"started the command, *"}
{*,"level":"INFO","msg":"sent SIGHUP to process *"}
{*,"level":"INFO","msg":"sent signal 37 to process *"}
{*,"level":"INFO","msg":"the command ended with status 7"}
`,
	} {
		s := startStaying(t, env, append(strings.Fields(flags), "-v", "sh", "-c", command)...)
		s.line("ready")
		_ = s.cmd.Process.Signal(syscall.SIGHUP)
		s.line("hangup")
		_ = s.cmd.Process.Signal(sigRTMin3)
		if got := waitStatus(t, s.cmd); got != 7 {
			t.Errorf("got status %d, want 7", got)
		}
		if got := varying.ReplaceAllString(s.stderr.String(), "*"); got != want {
			t.Errorf("%s: got\n%swant\n%s", flags, got, want)
		}
	}
	_, _, stderr := assExec(t, env, "-v", "--init", "sh", "-c", "kill -9 $$")
	got := varying.ReplaceAllString(stderr, "*")
	if want := "ass-exec: info: started the command, *\nass-exec: info: the command was ended by SIGKILL\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
