package shim

import (
	"strings"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/vault"
)

const maxKeyFile = 64 << 10 // bytes

// agentKey returns the agent key, from the variable, the file or the command.
func agentKey(c Config, budget *budget) (vault.Secret, *exit.Error) {
	source, key := "ASS_AGENT_KEY", c.Key.Reveal()
	if c.KeyFile != "" {
		source = c.keyFileName()
		b, err := budget.readFile(c.KeyFile, maxKeyFile)
		if err != nil {
			return vault.Secret{}, c.keyFileError(err)
		}
		key = string(b)
	}
	if c.KeyCommand != "" {
		source = "the output of " + keyCommandVariable
		var err *exit.Error
		if key, err = keyFromCommand(c, budget); err != nil {
			return vault.Secret{}, err
		}
	}
	key = strings.TrimSpace(key)
	switch {
	case key == "" && c.KeyFile == "":
		return vault.Secret{}, noKeyError()
	case key == "":
		return vault.Secret{}, &exit.Error{
			Code: exit.Config, Msg: source + " is empty",
			Hint: "put the agent key into it",
		}
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return vault.Secret{}, &exit.Error{
			Code: exit.Config, Msg: source + " holds a character that no agent key has",
			Hint: "look for a line break, a space or a quote inside the key",
		}
	}
	// A copy, because a staying process wipes its environment.
	return vault.NewSecret(strings.Clone(key)), nil
}

// keyFileName is what messages call the key file. A name without a slash may be
// the key itself.
func (c *Config) keyFileName() string {
	if !strings.Contains(c.KeyFile, "/") || mapping.LooksLikeValue(c.KeyFile) {
		return "ASS_AGENT_KEY_FILE"
	}
	return "ASS_AGENT_KEY_FILE " + c.KeyFile
}

func (c *Config) keyFileError(err error) *exit.Error {
	name := c.keyFileName()
	e := &exit.Error{
		Code: exit.Config, Msg: name + ": " + exit.Cause(err), Err: err,
		Hint: "mount the file where the variable says, readable by the user the container runs as",
	}
	if !strings.Contains(name, "/") {
		e.Hint = "the variable takes the path of a file, like /run/secrets/agent-key; a key itself goes into ASS_AGENT_KEY"
	}
	return e
}
