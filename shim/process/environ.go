package process

import "strings"

// LookupEnv returns the first occurrence of a variable, the one getenv finds.
// An entry without a name is not a variable: a setting without a variable must
// not find it.
func LookupEnv(environ []string, name string) (string, bool) {
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok && k == name && name != "" {
			return v, true
		}
	}
	return "", false
}
