package shim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/shim/process"
)

const keyCommandVariable = "ASS_AGENT_KEY_COMMAND"

// keySources are where an agent key can come from; exactly one is to be set.
var keySources = []struct {
	name string
	set  func(*Config) bool
}{
	{"ASS_AGENT_KEY", func(c *Config) bool { return !c.Key.Empty() }},
	{"ASS_AGENT_KEY_FILE", func(c *Config) bool { return c.KeyFile != "" }},
	{keyCommandVariable, func(c *Config) bool { return c.KeyCommand != "" }},
}

// checkKeySources refuses more than one: nobody could tell which is meant.
func (c *Config) checkKeySources() exit.Errors {
	var set []string
	for _, s := range keySources {
		if s.set(c) {
			set = append(set, s.name)
		}
	}
	if len(set) < 2 {
		return nil
	}
	return exit.Errors{{
		Code: exit.Config, Msg: strings.Join(set, " and ") + " are set, and each gives an agent key",
		Hint: "set only one of them",
	}}
}

func noKeyError() *exit.Error {
	return &exit.Error{
		Code: exit.Config, Msg: "no agent key: none of ASS_AGENT_KEY, ASS_AGENT_KEY_FILE and " + keyCommandVariable + " is set",
		Hint: "in a container, pass the key at run time, as with docker run -e ASS_AGENT_KEY, or mount it and set ASS_AGENT_KEY_FILE; " +
			"on a laptop, export ASS_AGENT_KEY, or have a keychain give it, as with " + keyCommandVariable + `="pass show ass/agent-key"`,
	}
}

// keyFromCommand runs the command that prints the key.
func keyFromCommand(c Config, budget *budget) (string, *exit.Error) {
	home, _ := process.LookupEnv(c.Environ, "HOME")
	words, err := splitWords(c.KeyCommand, home)
	if err == nil && len(words) == 0 {
		err = errors.New("it holds only white space")
	}
	if err != nil {
		return "", keyCommandError(keyCommandVariable+": "+err.Error(), "quote as in a shell, which does not read it: $ and | stand for themselves")
	}
	env := withoutKeys(c.Environ)
	path, lookErr := process.LookPath(words[0], env)
	if lookErr != nil {
		return "", lookKeyCommandError(words, lookErr)
	}
	ctx, stop := budget.bounded()
	defer stop()
	cmd := process.Command{Path: path, Argv: words, Env: env}
	out, err := cmd.Output(ctx, maxKeyFile, c.Stderr)
	key := strings.TrimSpace(string(out))
	name := fmt.Sprintf("agent key command %q", words[0])
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "", keyCommandError(fmt.Sprintf("%s: did not end in time; --timeout is %s", name, c.Timeout), "if it waits for input, unlock the keychain beforehand, or raise --timeout")
	case err != nil:
		return "", keyCommandError(name+": "+err.Error(), "run it by itself, as the same user with the same environment; its stderr is above")
	case key == "":
		return "", keyCommandError(name+": printed nothing", "it must print the agent key and nothing else")
	case strings.ContainsAny(key, "\r\n"):
		return "", keyCommandError(name+": printed more than one line", "it must print the agent key and nothing else")
	}
	return key, nil
}

// lookKeyCommandError does not print a single word: that may be the key.
func lookKeyCommandError(words []string, err *exit.Error) *exit.Error {
	if (len(words) > 1 || strings.Contains(words[0], "/")) && !mapping.LooksLikeValue(words[0]) {
		return keyCommandError("agent key "+err.Msg, "install it, or correct "+keyCommandVariable)
	}
	return keyCommandError(keyCommandVariable+": its first word is not an executable found in PATH",
		"it takes a command that prints the key, like pass show ass/agent-key; a key itself goes into ASS_AGENT_KEY")
}

func keyCommandError(msg, hint string) *exit.Error {
	return &exit.Error{Code: exit.Config, Msg: msg, Hint: hint}
}

// withoutKeys is an environment without any source of a key.
func withoutKeys(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(agentKeyVariables, name)
	})
}

// keyOfCommand passes a kept key on as ASS_AGENT_KEY instead of the command that
// printed it, which might ask a human once more.
func keyOfCommand(p plan) []assignment {
	if !p.cfg.KeepAgentKey || p.cfg.KeyCommand == "" {
		return nil
	}
	return []assignment{{name: keyCommandVariable, remove: true}, {name: "ASS_AGENT_KEY", value: p.key.Reveal()}}
}
