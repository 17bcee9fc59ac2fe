//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// limited is what a start with 20 secrets on loopback takes under the limits of
// a small container.
type limited struct {
	Launcher string  `json:"launcher"`
	Runs     int     `json:"runs"`
	Started  int     `json:"started"`           // of them with every secret
	WallMS   float64 `json:"wall_ms,omitempty"` // of these
}

const (
	limitedSecrets = 20
	limitedFor     = "30" // seconds, after which a start counts as failed
	// hopeless is after how many failures a launcher is run no more.
	hopeless = 2
	// cpuPeriod is how often a cgroup gets its share of the CPU. A start waits
	// for a whole one, to pay nothing for the one before it.
	cpuPeriod = 100 * time.Millisecond
)

func measureLimited(t tools, p *place, rounds int) ([]limited, error) {
	folders, err := limitedCgroup("/sys/fs/cgroup")
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, folder := range folders {
			_ = os.Remove(folder)
		}
	}()
	check, err := t.writeCheck()
	if err != nil {
		return nil, err
	}
	var measured []limited
	for _, l := range t.launchers() {
		m := limited{Launcher: l.name}
		var costs []cost
		for m.Runs < l.runs(limitedSecrets, rounds) && (m.Runs < hopeless || m.Started > 0) {
			j, err := l.job(p, limitedSecrets)
			if err != nil {
				return nil, err
			}
			time.Sleep(2 * cpuPeriod)
			m.Runs++
			c, err := p.runner.run(within(folders, checked(j, check)))
			switch {
			case err == nil:
				m.Started++
				costs = append(costs, c)
			case c.Err == "": // it is not the job that failed
				return nil, err
			}
		}
		if m.Started > 0 {
			m.WallMS = ms(median(costs).Wall)
		}
		fmt.Printf("0.1 CPU and 16 MiB: %-14s %9.1f ms, %d of %d started\n", m.Launcher, m.WallMS, m.Started, m.Runs)
		measured = append(measured, m)
	}
	return measured, nil
}

// limitedCgroup makes a cgroup of 0.1 CPU and 16 MiB under root, where cgroups
// are mounted, of version 1 or 2. In version 1 it is a folder for each limit.
func limitedCgroup(root string) ([]string, error) {
	cpu, memory := filepath.Join(root, "cpu/ass-exec-bench"), filepath.Join(root, "memory/ass-exec-bench")
	folders := []string{cpu, memory}
	files := [][2]string{
		{filepath.Join(cpu, "cpu.cfs_period_us"), fmt.Sprint(cpuPeriod.Microseconds())},
		{filepath.Join(cpu, "cpu.cfs_quota_us"), fmt.Sprint(cpuPeriod.Microseconds() / 10)},
		{filepath.Join(memory, "memory.limit_in_bytes"), fmt.Sprint(16 << 20)},
	}
	if _, err := os.Stat(filepath.Dir(cpu)); err != nil {
		both := filepath.Join(root, "ass-exec-bench")
		folders = []string{both}
		files = [][2]string{
			{filepath.Join(root, "cgroup.subtree_control"), "+cpu +memory"},
			{filepath.Join(both, "cpu.max"), fmt.Sprintf("%d %d", cpuPeriod.Microseconds()/10, cpuPeriod.Microseconds())},
			{filepath.Join(both, "memory.max"), fmt.Sprint(16 << 20)},
		}
	}
	for _, folder := range folders {
		if err := os.MkdirAll(folder, 0o750); err != nil {
			return nil, err
		}
	}
	for _, f := range files {
		if err := os.WriteFile(f[0], []byte(f[1]), 0o644); err != nil {
			return nil, err
		}
	}
	return folders, nil
}

// within makes a job join a cgroup first.
func within(folders []string, j job) job {
	var join strings.Builder
	for _, folder := range folders {
		fmt.Fprintf(&join, "echo $$ >%s/cgroup.procs; ", folder)
	}
	argv := []string{"/usr/bin/timeout", limitedFor, "/bin/sh", "-ec", join.String() + `exec "$@"`, "sh"}
	return job{Argv: append(argv, j.Argv...), Env: j.Env}
}

// checked has the command of a job fail if it lacks a secret: entrypoint.sh
// runs it whatever befell the CLI. The SDK's job has none, and checks itself.
func checked(j job, check string) job {
	if last := len(j.Argv) - 1; j.Argv[last] == "/usr/bin/true" {
		j.Argv[last] = check
	}
	return j
}

func (t tools) writeCheck() (string, error) {
	text := "#!/bin/sh -e\n"
	for i := range limitedSecrets {
		text += fmt.Sprintf("[ \"$S%d\" = %s ]\n", i, value(i))
	}
	name := filepath.Join(t.dir, "check")
	return name, os.WriteFile(name, []byte(text), 0o700)
}

// limitedTable is empty if nothing was measured.
func (r report) limitedTable() string {
	if len(r.Limited) == 0 {
		return ""
	}
	text := fmt.Sprintf("\nA start with %d secrets on loopback, limited to 0.1 CPU, 16 MiB and %s s:\n\n| | starts with every secret | time |\n| --- | ---: | ---: |\n",
		limitedSecrets, limitedFor)
	for _, l := range r.Limited {
		took := "–"
		if l.Started > 0 {
			took = fmt.Sprintf("%.0f ms", l.WallMS)
		}
		text += fmt.Sprintf("| %s | %d of %d | %s |\n", l.Launcher, l.Started, l.Runs, took)
	}
	return text
}
