package shim

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/vault"
)

// Somebody may have put the key itself where its file belongs.
func TestKeyInThePlaceOfItsFileIsNotQuoted(t *testing.T) {
	t.Chdir(t.TempDir())
	const hint = "the variable takes the path of a file, like /run/secrets/agent-key; a key itself goes into ASS_AGENT_KEY"
	for _, key := range []string{"hunter2-secret", "ass_0123456789abcdef01234567", "production/ass_0123456789abcdef01234567", strings.Repeat("k", 5000)} {
		cfg := Config{KeyFile: key}
		_, err := agentKey(cfg, newBudget(0, nil))
		if err == nil || err.Code != exit.Config || err.Hint != hint || !strings.HasPrefix(err.Msg, "ASS_AGENT_KEY_FILE: ") || strings.Contains(err.Msg, key) {
			t.Errorf("%.40s: got %+v", key, err)
		}
	}
}

func TestKeyIsOfPrintableASCII(t *testing.T) {
	for _, key := range []string{"!", "~", "!~"} {
		if got, err := agentKey(Config{Key: vault.NewSecret(" " + key + "\n")}, newBudget(0, nil)); err != nil || got.Reveal() != key {
			t.Errorf("%q: got %q, %v", key, got.Reveal(), err)
		}
	}
	for _, key := range []string{"a b", "a\x1fb", "a\x7fb", "a\u00a0b", "a\xffb"} {
		if got, err := agentKey(Config{Key: vault.NewSecret(key)}, newBudget(0, nil)); err == nil || err.Msg != "ASS_AGENT_KEY holds a character that no agent key has" {
			t.Errorf("%q: got %q, %v", key, got.Reveal(), err)
		}
	}
}

func TestKeyFileIsNamedInItsErrors(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"empty": " \n", "space": "a b", "large": strings.Repeat("k", maxKeyFile+1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"none": ": no such file or directory", ".": ": is a directory",
		"empty": " is empty", "space": " holds a character that no agent key has", "large": ": larger than 65536 bytes",
	} {
		cfg := Config{KeyFile: dir + "/" + name}
		if _, err := agentKey(cfg, newBudget(0, nil)); err == nil || err.Msg != "ASS_AGENT_KEY_FILE "+dir+"/"+name+want {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
