//go:build soak

package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// smallGroup makes a control group of 16 MiB and so many processes and threads,
// and returns the files that take a process in.
func smallGroup(t *testing.T, tasks string) (files []string) {
	t.Helper()
	const hierarchy = "/sys/fs/cgroup"
	limits := map[string]map[string]string{ // v1: each controller has a hierarchy of its own
		hierarchy + "/memory": {"memory.limit_in_bytes": "16777216"},
		hierarchy + "/pids":   {"pids.max": tasks},
	}
	if _, err := os.Stat(hierarchy + "/cgroup.controllers"); err == nil { // v2
		_ = os.WriteFile(hierarchy+"/cgroup.subtree_control", []byte("+memory +pids"), 0)
		limits = map[string]map[string]string{hierarchy: {"memory.max": "16777216", "memory.swap.max": "0", "pids.max": tasks}}
	}
	for parent, values := range limits {
		group, err := os.MkdirTemp(parent, "ass-exec-soak-")
		needTool(t, err == nil, "root and control groups, to limit memory and processes")
		t.Cleanup(func() {
			if err := os.Remove(group); err != nil {
				t.Error(err)
			}
		})
		for name, value := range values {
			if err := os.WriteFile(filepath.Join(group, name), []byte(value), 0); err != nil && !(name == "memory.swap.max" && errors.Is(err, os.ErrNotExist)) {
				t.Fatal(err)
			}
		}
		files = append(files, filepath.Join(group, "cgroup.procs"))
	}
	return files
}
