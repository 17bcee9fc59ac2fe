//go:build linux

package main

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestCgroupHasTheLimitsInBothVersions(t *testing.T) {
	for name, c := range map[string]struct {
		mounted []string
		want    map[string]string
		folders []string
	}{
		"version 1": {[]string{"cpu", "memory"}, map[string]string{
			"cpu/ass-exec-bench/cpu.cfs_period_us":        "100000",
			"cpu/ass-exec-bench/cpu.cfs_quota_us":         "10000",
			"memory/ass-exec-bench/memory.limit_in_bytes": "16777216",
		}, []string{"cpu/ass-exec-bench", "memory/ass-exec-bench"}},
		"version 2": {nil, map[string]string{
			"cgroup.subtree_control":    "+cpu +memory",
			"ass-exec-bench/cpu.max":    "10000 100000",
			"ass-exec-bench/memory.max": "16777216",
		}, []string{"ass-exec-bench"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, folder := range c.mounted {
				if err := os.Mkdir(filepath.Join(root, folder), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			folders, err := limitedCgroup(root)
			if err != nil {
				t.Fatal(err)
			}
			for i, folder := range folders {
				folders[i], _ = filepath.Rel(root, folder)
			}
			if got := written(t, root); !maps.Equal(got, c.want) || !slices.Equal(folders, c.folders) {
				t.Errorf("got %q and %q, want %q and %q", folders, got, c.folders, c.want)
			}
		})
	}
}

// written is the files under a folder.
func written(t *testing.T, root string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestTableOfLimitsSaysWhoDidNotStart(t *testing.T) {
	r := report{Limited: []limited{
		{Launcher: assExec, Runs: 10, Started: 10, WallMS: 99.6},
		{Launcher: sdk, Runs: 5},
	}}
	const want = `
A start with 20 secrets on loopback, limited to 0.1 CPU, 16 MiB and 30 s:

| | starts with every secret | time |
| --- | ---: | ---: |
| ass-exec | 10 of 10 | 100 ms |
| Node SDK | 0 of 5 | – |
`
	if got := r.limitedTable(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
