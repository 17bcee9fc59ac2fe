package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// vaultOfApprovals serves a secret for X that takes a human.
func vaultOfApprovals(t *testing.T) (v *devvault.Server, env []string) {
	t.Helper()
	v, env = vaultServer(t, devvault.Config{})
	v.PutTier("a/B", "value", "sensitive")
	return v, append(env, "X=ass://a/B", "ASS_RESOLVE=X")
}

func TestApprovalCountsDownOnATerminal(t *testing.T) {
	v, env := vaultOfApprovals(t)
	cmd, screen, _ := onTerminal(t, env, `ass-exec --mapping /dev/null -- sh -c 'echo got $X'`)
	first := see(t, screen, "left for a human to approve: run ass approvals approve apr_")
	if want := eraseLine + "ass-exec: 10m0s "; !strings.HasPrefix(first, want) {
		t.Errorf("got %q, want %q first", first, want)
	}
	second := see(t, screen, "left for a human to approve:")
	if !regexp.MustCompile(`\r\x1b\[Kass-exec: 9m5[0-9]s left for a human to approve:$`).MatchString(second) || strings.Contains(second, "\n") {
		t.Errorf("got %q", second)
	}
	if err := v.Decide(v.Approvals()[0].ID, "approved"); err != nil {
		t.Fatal(err)
	}
	if rest := see(t, screen, "got value\r\n"); !strings.HasSuffix(rest, eraseLine+"got value\r\n") || strings.Contains(rest, "warning") {
		t.Errorf("got %q", rest)
	}
	_ = cmd.Wait()
}

func TestCtrlCSaysThatTheRequestStaysOpen(t *testing.T) {
	v, env := vaultOfApprovals(t)
	cmd, screen, keyboard := onTerminal(t, env, `trap : INT; ass-exec --mapping /dev/null -- true; echo status $?`)
	see(t, screen, "left for a human to approve:")
	_, _ = keyboard.WriteString("\x03")
	rest := see(t, screen, "status 130\r\n")
	want := eraseLine + "ass-exec: error: stopped by signal 2 (interrupt) before the command was started; the approval request stays open: " + v.Approvals()[0].ID + "\r\n"
	if !strings.Contains(rest, want) {
		t.Errorf("got %q, want %q", rest, want)
	}
	_ = cmd.Wait()
}

func TestCountdownFitsItsTerminal(t *testing.T) {
	var screen strings.Builder
	c := &countdown{to: &screen, width: func() int { return 20 }, text: "left for a human", until: time.Now().Add(time.Hour)}
	c.draw()
	if got, want := screen.String(), eraseLine+"ass-exec: 1h0m0s le"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
