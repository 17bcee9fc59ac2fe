package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// tmux is a terminal with a shell that has the settings env.
type tmux struct {
	t      *testing.T
	socket string
}

func newTmux(t *testing.T, env []string) *tmux {
	t.Helper()
	for _, tool := range []string{"tmux", "bash", "vim", "less"} {
		_, err := exec.LookPath(tool)
		needTool(t, err == nil, tool)
	}
	w := &tmux{t, t.TempDir() + "/tmux"}
	start := exec.Command("tmux", "-S", w.socket, "-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "24", "exec env 'PS1=outer> ' bash --norc")
	start.Env = append(env, "TERM=xterm", "HOME="+t.TempDir(), "LC_ALL=C.UTF-8", "PATH="+bin+":"+strings.TrimPrefix(env[0], "PATH="))
	if out, err := start.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", w.socket, "kill-server").Run() })
	return w
}

func (w *tmux) do(args ...string) string {
	out, _ := exec.Command("tmux", append([]string{"-S", w.socket}, args...)...).CombinedOutput()
	return string(out)
}

// press types keys once the screen ends with the line before.
func (w *tmux) press(before string, keys ...string) {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		screen := w.do("capture-pane", "-p")
		if strings.HasSuffix("\n"+strings.TrimRight(screen, "\n "), "\n"+strings.TrimRight(before, " ")) {
			break
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("got\n%s\nwant at the end\n%s", screen, before)
		}
	}
	w.do(append([]string{"send-keys"}, keys...)...)
}

// A shell behind an init, and what is started in it, has the terminal as if
// nobody were between.
func TestShellBehindInitHasItsTerminal(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{})
	v.PutTier("a/B", "value", "standard")
	env = append(env, "X=ass://a/B", "ASS_RESOLVE=X", "ASS_MAPPING=/dev/null")
	for _, mode := range []string{"", "--init ", "--mask "} {
		w := newTmux(t, env)
		w.press("outer> ", "ass-exec "+mode+"-- env PS1='inner> ' bash --norc", "Enter")
		w.press("inner> ", "clear; test -t 0 && test -t 2 && echo terminal $X", "Enter")
		const job = "sh -c 'echo ready; exec cat'"
		w.press("terminal value\ninner> ", "clear; "+job, "Enter")
		w.press("ready", "once", "Enter")
		w.press("once\nonce", "C-z")
		w.press("inner> ", "clear; jobs %1 | tr -s ' '; fg", "Enter")
		w.press("[1]+ Stopped "+job+"\n"+job, "more", "Enter")
		w.press("more\nmore", "C-c")
		w.press("inner> ", "s=$?; clear; echo after $s", "Enter")
		w.do("resize-window", "-x", "70", "-y", "20")
		w.press("after 130\ninner> ", "clear; stty size", "Enter")
		w.press("20 70\ninner> ", "clear; seq 1 200 | less", "Enter")
		w.press("19\n:", "G")
		w.press("200\n(END)", "q")
		w.press("inner> ", "clear; vim -u NONE --cmd 'set shortmess=F noruler noshowcmd' $HOME/note", "Enter")
		w.press("~\n~", "ihello", "Escape", ":wq", "Enter")
		w.press("inner> ", "clear; cat $HOME/note; exit 7", "Enter")
		w.press("hello\nexit\nouter> ", "s=$?; clear; echo status $s", "Enter")
		w.press("status 7\nouter> ", "exit", "Enter")
	}
}
