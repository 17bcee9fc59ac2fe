package main

import (
	"os/exec"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// The commands that examples/local shows for keychains print the key.
func TestKeychainsGiveTheKey(t *testing.T) {
	for _, test := range []struct {
		name    string
		tools   []string
		prepare string // a shell's, with the key in $1; it ends with "$run"
		command string
	}{
		{"pass", []string{"pass", "gpg"}, gpgKey + `pass init me@example.com; echo "$1" | pass insert -e ass/agent-key; $run`, "pass show ass/agent-key"},
		{"gpg", []string{"gpg"}, gpgKey + `echo "$1" | gpg -e -r me@example.com -o "$HOME/agent-key.gpg"; $run`, "gpg -qd ~/agent-key.gpg"},
		{
			"secret-tool",
			[]string{"secret-tool", "gnome-keyring-daemon", "dbus-run-session"},
			`dbus-run-session -- sh -ec 'printf password | gnome-keyring-daemon --unlock --components=secrets
				printf %s "$1" | secret-tool store --label=Test service ass-agent-key; $run' - "$1"`,
			"secret-tool lookup service ass-agent-key",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, tool := range test.tools {
				_, err := exec.LookPath(tool)
				needTool(t, err == nil, tool)
			}
			v, env := vaultServer(t, devvault.Config{AgentKey: "canary-agent-key"})
			v.PutTier("a/B", "value", "standard")
			home := t.TempDir()
			t.Cleanup(func() {
				stop := exec.Command("gpgconf", "--kill", "gpg-agent")
				stop.Env = []string{env[0], "HOME=" + home}
				_ = stop.Run()
			})
			cmd := exec.Command("sh", "-ec", test.prepare, "-", "canary-agent-key")
			cmd.Env = []string{
				env[0], env[1], env[3], "HOME=" + home, "X=ass://a/B", "ASS_RESOLVE=X", "ASS_MAPPING=/dev/null",
				"run=" + bin + "/ass-exec -- printenv X", "ASS_AGENT_KEY_COMMAND=" + test.command,
			}
			out, err := cmd.CombinedOutput()
			if err != nil || len(out) < 6 || string(out[len(out)-6:]) != "value\n" {
				t.Errorf("got %v and\n%s", err, out)
			}
		})
	}
}

// gpgKey makes a key without a passphrase, which nobody could type.
const gpgKey = `mkdir -m 700 "$HOME/.gnupg"; gpg --batch --pinentry-mode loopback --passphrase '' --quick-generate-key me@example.com; `
