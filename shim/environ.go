package shim

import (
	"strings"
)

// agentKeyVariables are not passed on to the command, unless it asks for them.
var agentKeyVariables = []string{"ASS_AGENT_KEY", "ASS_AGENT_KEY_FILE", "ASS_API_KEY"}

// assignment gives a variable a value, or takes it away.
type assignment struct {
	name   string
	value  string
	remove bool
}

// buildEnv returns the parent's environment with the assignments made: in
// place where the variable is there, behind the others in their own order where
// it is not. Everything else stays as it is, in its order.
func buildEnv(parent []string, assignments []assignment) []string {
	byName := make(map[string]assignment, len(assignments))
	for _, a := range assignments {
		byName[a.name] = a
	}
	env := make([]string, 0, len(parent)+len(assignments))
	done := make(map[string]bool, len(assignments))
	for _, kv := range parent {
		name, _, _ := strings.Cut(kv, "=")
		a, ok := byName[name]
		if !ok {
			env = append(env, kv)
			continue
		}
		// Every other copy is dropped: the C library finds the first, a shell
		// the last, and each must find the secret.
		if !a.remove && !done[name] {
			env = append(env, a.name+"="+a.value)
		}
		done[name] = true
	}
	for _, a := range assignments {
		if !a.remove && !done[a.name] {
			env = append(env, a.name+"="+a.value)
			done[a.name] = true
		}
	}
	return env
}
