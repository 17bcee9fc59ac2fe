package shim

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

func TestVariableThatNamesThisProcessIsRefusedIfItStays(t *testing.T) {
	own, other := os.Getpid(), os.Getppid()
	const hint = "start a socket-activated or watched service without --init, --mask and --watch (ASS_INIT, ASS_MASK, ASS_WATCH)"
	for _, flag := range []string{"--init", "--init=group", "--mask", "--watch=1h"} {
		for _, args := range [][]string{{flag, "true"}, {flag, "--check"}} {
			_, err := ParseConfig(args, []string{fmt.Sprint("LISTEN_PID=", own), "LISTEN_PIDFDID=1", fmt.Sprint("WATCHDOG_PID=", own)})
			want := "LISTEN_PID names ass-exec, and the command would be another process\n" +
				"WATCHDOG_PID names ass-exec, and the command would be another process"
			if err == nil || err.Error() != want || exit.Status(err) != 78 || exit.AsErrors(err)[0].Hint != hint {
				t.Errorf("%q: got %v (%d), want %s (78)", args, err, exit.Status(err), want)
			}
			_, err = ParseConfig(args, []string{fmt.Sprint("LISTEN_PID=", other), "LISTEN_PIDFDID=1", fmt.Sprint("WATCHDOG_PID=", other), "WATCHDOG_USEC=1"})
			if err != nil {
				t.Errorf("%q, another process: got %v", args, err)
			}
		}
	}
	if _, err := ParseConfig([]string{"true"}, []string{fmt.Sprint("LISTEN_PID=", own), fmt.Sprint("WATCHDOG_PID=", own)}); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestFileForOtherUsersIsRefusedWhereTheyCannotReachIt(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("ass.env", []byte("KEY=a/KEY?as=file\nOWN=a/OWN?as=file&mode=0600\nCERT=a/CERT?as=file&mode=0440\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{
		"--init":     "",
		"--mask":     "ass.env:3: CERT: mode=0440 has no effect with --mask or --watch: other users cannot reach the file",
		"--watch=1h": "ass.env:3: CERT: mode=0440 has no effect with --mask or --watch: other users cannot reach the file",
	} {
		cfg, err := ParseConfig([]string{flag, "true"}, []string{"ASS_AGENT_KEY=key", "PATH=" + os.Getenv("PATH")})
		if err != nil {
			t.Fatal(err)
		}
		_, problems := newPlan(cfg, newBudget(0, t.Context))
		if got := errors.Join(problems.OrNil()); want == "" && got != nil || want != "" && (got == nil || got.Error() != want || exit.Status(problems) != 78) {
			t.Errorf("%s: got %v, want %s", flag, got, want)
		}
	}
}
