package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// BenchmarkStart runs ass-exec and `env true` in turn, and reports how many
// times longer ass-exec takes, by their medians. Time is that of both.
func BenchmarkStart(b *testing.B) {
	for _, n := range []int{0, 1, 20, 100} {
		b.Run(fmt.Sprintf("%d-secrets", n), func(b *testing.B) {
			v, env := vaultServer(b, devvault.Config{})
			if n == 0 {
				env = append(env, "ASS_PRESERVE_ENV=1", "X=set", "ASS_MAPPING="+mappingFile(b, "X=a/B\n"))
			}
			for i := range n {
				v.Put(fmt.Sprintf("bench/S%d", i), "value")
				env = append(env, fmt.Sprintf("S%d=ass://bench/S%d", i, i))
			}
			run := func(name string, args ...string) time.Duration {
				cmd := exec.Command(name, args...)
				cmd.Env = env
				start := time.Now()
				if err := cmd.Run(); err != nil {
					b.Fatal(err)
				}
				return time.Since(start)
			}
			var ours, bare []time.Duration
			for b.Loop() {
				bare = append(bare, run("/usr/bin/env", "true"))
				ours = append(ours, run(filepath.Join(bin, "ass-exec"), "true"))
			}
			slices.Sort(ours)
			slices.Sort(bare)
			b.ReportMetric(float64(ours[len(ours)/2])/float64(bare[len(bare)/2]), "×env")
		})
	}
}
