package shim

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/vault"
)

func keyCommand(command string) Config {
	return Config{
		KeyCommand: command, Timeout: time.Minute,
		Environ: []string{"PATH=" + os.Getenv("PATH"), "X=x", "ASS_AGENT_KEY=", "ASS_AGENT_KEY_COMMAND=c", "ASS_API_KEY=canary"},
	}
}

func TestKeyCommandPrintsTheKey(t *testing.T) {
	for command, want := range map[string]string{
		`echo k123456789`:                "k123456789",
		`printf '\n k123456789\r\n\n'`:   "k123456789",
		`sh -c 'echo "k$X"'`:             "kx",
		`sh -c 'env | grep -c ^ASS_; :'`: "0",
		`sh -c 'cat; echo read'`:         "read",
	} {
		cfg := keyCommand(command)
		budget := newBudget(cfg.Timeout, context.Background)
		key, err := agentKey(cfg, budget)
		if err != nil || key.Reveal() != want {
			t.Errorf("%s: got %q, %v, want %q", command, key.Reveal(), err, want)
		}
		if budget.spent <= 0 {
			t.Errorf("%s: its time was not taken off the budget", command)
		}
	}
}

func TestKeyCommandThatFailsIsNamedAndNotQuoted(t *testing.T) {
	const byItself = "run it by itself, as the same user with the same environment; its stderr is above"
	const oneLine = "it must print the agent key and nothing else"
	const aKey = "it takes a command that prints the key, like pass show ass/agent-key; a key itself goes into ASS_AGENT_KEY"
	const quoting = "quote as in a shell, which does not read it: $ and | stand for themselves"
	const notFound = "ASS_AGENT_KEY_COMMAND: its first word is not an executable found in PATH"
	for _, test := range []struct{ command, msg, hint string }{
		{`sh -c 'echo canary; exit 3'`, `agent key command "sh": ended with status 3`, byItself},
		{`sh -c 'echo canary; kill -9 $$'`, `agent key command "sh": was ended by signal 9 (killed)`, byItself},
		{`sh -c 'echo canary; kill -STOP $$'`, `agent key command "sh": was stopped by signal 19 (stopped (signal))`, byItself},
		{`true`, `agent key command "true": printed nothing`, oneLine},
		{`echo ' '`, `agent key command "echo": printed nothing`, oneLine},
		{`printf 'canary\ncanary'`, `agent key command "printf": printed more than one line`, oneLine},
		{`printf 'canary\rcanary'`, `agent key command "printf": printed more than one line`, oneLine},
		{`echo canary canary`, `the output of ASS_AGENT_KEY_COMMAND holds a character that no agent key has`, "look for a line break, a space or a quote inside the key"},
		{`yes`, `agent key command "yes": printed more than 65536 bytes`, byItself},
		{`/nowhere/pass show x`, `agent key command "/nowhere/pass": no such file`, "install it, or correct ASS_AGENT_KEY_COMMAND"},
		{`/etc/passwd`, `agent key command "/etc/passwd" cannot run: /etc/passwd is not executable (mode -rw-r--r--)`, "install it, or correct ASS_AGENT_KEY_COMMAND"},
		{`hunter2-canary`, notFound, aKey},
		{`ass_0123456789abcdef01234567 canary`, notFound, aKey},
		{`'' canary`, `agent key command "": an empty command`, "install it, or correct ASS_AGENT_KEY_COMMAND"},
		{`' `, `ASS_AGENT_KEY_COMMAND: a quote ' is not closed`, quoting},
		{`~/pass`, `ASS_AGENT_KEY_COMMAND: ~/ needs HOME, which is not set`, quoting},
		{` `, `ASS_AGENT_KEY_COMMAND: it holds only white space`, quoting},
	} {
		_, err := agentKey(keyCommand(test.command), newBudget(time.Minute, context.Background))
		if err == nil || err.Code != exit.Config || err.Msg != test.msg || err.Hint != test.hint || strings.Contains(err.Msg, "canary") {
			t.Errorf("%s: got %+v", test.command, err)
		}
	}
}

// It may ask a human for a PIN.
func TestKeyCommandRunsOnlyForAKeyThatIsUsed(t *testing.T) {
	for _, tt := range []struct {
		mapping, args, command string
		want                   bool
	}{
		{"A=a/A\n", "", "true", true},
		{"A=debug\n", "", "true", false},
		{"A=a/A\n", "", "no-such-command", false},
		{"A=debug\n", "--check", "true", true},
		{"A=a/A\n", "--check", "no-such-command", true},
		{"A=a/A\n", "--lint", "true", false},
		{"#\n", "", "true", false},
		{"#\n", "--keep-agent-key", "true", true},
		{"#\n", "--keep-agent-key", "no-such-command", false},
	} {
		environ := []string{"PATH=" + os.Getenv("PATH"), `ASS_AGENT_KEY_COMMAND=sh -c 'echo key; : >ran'`}
		cfg := configFor(t, tt.mapping, environ, strings.Fields(tt.args)...)
		cfg.Argv = []string{tt.command}
		p, _ := newPlan(cfg, newBudget(0, context.Background))
		_, err := os.Stat("ran")
		if ran := err == nil; ran != tt.want || (p.key.Reveal() == "key") != tt.want {
			t.Errorf("%+v: it ran: %t, the key is there: %t", tt, ran, !p.key.Empty())
		}
	}
}

// The command that is run has the key, and is not to ask for it again.
func TestKeptKeyTakesThePlaceOfItsCommand(t *testing.T) {
	for _, tt := range []struct {
		keep    bool
		command string
		want    string // assignments
	}{
		{true, "pass show k", "[{ASS_AGENT_KEY_COMMAND  true} {ASS_AGENT_KEY key false}]"},
		{true, "", "[]"},
		{false, "pass show k", "[]"},
	} {
		p := plan{cfg: Config{KeepAgentKey: tt.keep, KeyCommand: tt.command}, key: vault.NewSecret("key")}
		if got := fmt.Sprint(keyOfCommand(p)); got != tt.want {
			t.Errorf("%v, %q: got %s, want %s", tt.keep, tt.command, got, tt.want)
		}
	}
}

func TestKeyCommandEndsWithTheBudget(t *testing.T) {
	dir := t.TempDir()
	cfg := keyCommand(`sh -c 'sleep 1000 & echo $! >` + dir + `/pid; wait'`)
	cfg.Timeout = time.Second
	_, err := agentKey(cfg, newBudget(cfg.Timeout, context.Background))
	if want := `agent key command "sh": did not end in time; --timeout is 1s`; err == nil || err.Code != exit.Config || err.Msg != want {
		t.Errorf("got %+v, want %s", err, want)
	}
	// A zombie of another parent at most: what is in the group is killed, which
	// takes the kernel a moment.
	pid := readPID(t, dir)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		s := string(stat)
		if s == "" || strings.Contains(s, ") Z ") || strings.Contains(s, ") X ") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("its child is there: %s", s)
		}
	}
}

// One that has left the group may hold the pipe for ever.
func TestKeyCommandIsNotWaitedForBeyondTheBudget(t *testing.T) {
	dir := t.TempDir()
	cfg := keyCommand(`sh -c 'setsid sleep 60 & echo $! >` + dir + `/pid; echo canary'`)
	cfg.Timeout = time.Second
	start := time.Now()
	if _, err := agentKey(cfg, newBudget(cfg.Timeout, context.Background)); err == nil || !strings.Contains(err.Msg, "did not end in time") {
		t.Errorf("got %+v", err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %s", took)
	}
	_ = syscall.Kill(readPID(t, dir), syscall.SIGKILL)
}

func readPID(t *testing.T, dir string) (pid int) {
	t.Helper()
	text, err := os.ReadFile(dir + "/pid")
	if err == nil {
		_, err = fmt.Sscan(string(text), &pid)
	}
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestExactlyOneSourceOfTheKey(t *testing.T) {
	for environ, want := range map[string]string{
		"ASS_AGENT_KEY=k ASS_AGENT_KEY_FILE=f":                         "ASS_AGENT_KEY and ASS_AGENT_KEY_FILE are set, and each gives an agent key",
		"ASS_AGENT_KEY=k ASS_AGENT_KEY_COMMAND=c":                      "ASS_AGENT_KEY and ASS_AGENT_KEY_COMMAND are set, and each gives an agent key",
		"ASS_AGENT_KEY_FILE=f ASS_AGENT_KEY_COMMAND=c":                 "ASS_AGENT_KEY_FILE and ASS_AGENT_KEY_COMMAND are set, and each gives an agent key",
		"ASS_AGENT_KEY=k ASS_AGENT_KEY_FILE=f ASS_AGENT_KEY_COMMAND=c": "ASS_AGENT_KEY and ASS_AGENT_KEY_FILE and ASS_AGENT_KEY_COMMAND are set, and each gives an agent key",
		"ASS_AGENT_KEY= ASS_AGENT_KEY_FILE= ASS_AGENT_KEY_COMMAND=c":   "",
	} {
		_, err := ParseConfig([]string{"x"}, strings.Fields(environ))
		if got := exit.AsErrors(err); want == "" && err != nil || want != "" && (len(got) != 1 || got[0].Msg != want || got[0].Code != exit.Config) {
			t.Errorf("%s: got %v, want %s", environ, err, want)
		}
	}
	if _, err := ParseConfig([]string{"--agent-key-command", "c", "x"}, []string{"ASS_AGENT_KEY=k"}); exit.Status(err) != int(exit.Config) {
		t.Errorf("with the flag: got %v", err)
	}
}
