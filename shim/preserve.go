package shim

import (
	"errors"
	"slices"
	"strings"

	"github.com/agent-secret-store/ass-exec/shim/mapping"
)

// setPreserve takes a boolean, or names separated by commas.
func setPreserve(c *Config, v string) error {
	if b, err := parseBool(v); err == nil {
		c.PreserveEnv, c.Preserve = b, nil
		return nil
	}
	names := strings.Split(v, ",")
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		if !mapping.ValidName(names[i]) {
			return errors.New("must be true, false, or names of variables separated by commas")
		}
	}
	c.PreserveEnv, c.Preserve = true, append(c.Preserve, names...)
	return nil
}

// preserved returns the variables that --preserve-env keeps, which are those
// with a value of their own: an empty one does not count, nor does a reference,
// unless it is passed on as it is. Of copies the first counts.
func preserved(c Config) map[string]bool {
	if !c.PreserveEnv {
		return nil
	}
	kept := make(map[string]bool)
	for name, v := range firstValues(c.Environ) {
		if len(c.Preserve) > 0 && !slices.Contains(c.Preserve, name) {
			continue
		}
		kept[name] = v != "" && !c.inheritsReference(name, v)
	}
	return kept
}
