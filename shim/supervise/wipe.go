package supervise

import (
	"os"
	"slices"
	"strings"
	"unsafe"
)

// WipeEnviron removes the named variables from this process for good: from
// os.Environ, from the memory behind it, and from what /proc/PID/environ shows
// to every process of the same user, for as long as the init lives. Unsetenv
// alone leaves the last two as they are.
//
// The values change under every string that shares their memory: clone what
// os.Getenv returned, if it is still needed.
func WipeEnviron(names ...string) error {
	found := false
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if slices.Contains(names, name) {
			// The runtime made this copy on its heap at the start.
			clear(unsafe.Slice(unsafe.StringData(value), len(value)))
			found = true
		}
	}
	for _, name := range names {
		os.Unsetenv(name)
	}
	if !found {
		return nil
	}
	return wipeKernelEnviron(names)
}
