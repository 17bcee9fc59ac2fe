//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// launcher starts a command, here true, with n secrets.
type launcher struct {
	name string
	job  func(p *place, n int) (job, error)
	runs func(n, rounds int) int // how often it is run of so many rounds
}

const (
	envTrue = "env true"
	assExec = "ass-exec"
	sdk     = "Node SDK"
	guide   = "entrypoint.sh"
	doppler = "doppler run"
)

// launchers are those that are here.
func (t tools) launchers() []launcher {
	always := func(_, rounds int) int { return rounds }
	all := []launcher{{assExec, t.assExecJob, always}}
	if t.node != "" {
		all = append(all, launcher{sdk, t.sdkJob, func(n, rounds int) int {
			if n > 100 { // ten seconds
				return min(rounds, 5)
			}
			return rounds
		}}, launcher{guide, t.guideJob, func(n, rounds int) int {
			switch { // half a second for each secret
			case n <= 20:
				return min(rounds, 5)
			case n <= 100:
				return min(rounds, 1)
			}
			return 0
		}})
	}
	if t.doppler != "" {
		all = append(all, launcher{doppler, t.dopplerJob, always})
	}
	return all
}

// tools is where the launchers are found.
type tools struct {
	assExec string // the binary
	clients string // the folder with the official clients in its node_modules
	node    string
	doppler string // the binary; empty: not measured
	dir     string // for files of the benchmark's own
}

func (t tools) assExecJob(p *place, n int) (job, error) {
	mapping, err := t.write(fmt.Sprintf("mapping%d", n), 0o600, n, "S%[1]d=bench/s/S%[1]d\n", "", "")
	return job{
		Argv: []string{t.assExec, "--mapping", mapping, "--", "/usr/bin/true"},
		Env:  []string{"PATH=/usr/bin:/bin", "ASS_AGENT_KEY=" + agentKey, "ASS_API_URL=" + p.url, "ASS_CA_FILE=" + p.caFile},
	}, err
}

// guideJob is the entrypoint.sh of the vendor's guide. Its --silent is left
// out, for the published CLI does not know it.
func (t tools) guideJob(p *place, n int) (job, error) {
	script, err := t.write(fmt.Sprintf("entrypoint%d.sh", n), 0o700, n,
		"export S%[1]d=$(ass secrets get bench/s/S%[1]d)\n",
		"#!/bin/sh\nset -e\n",
		`echo "✓ Secrets loaded ($(ass secrets list bench/s | wc -l) total)"`+"\nexec \"$@\"\n")
	return job{Argv: []string{script, "/usr/bin/true"}, Env: t.nodeEnv(p)}, err
}

// sdkJob is an app that reads its secrets with the official SDK, all of them
// at once, before anything else.
func (t tools) sdkJob(p *place, n int) (job, error) {
	script := filepath.Join(t.clients, "bench.cjs")
	err := os.WriteFile(script, []byte(`const { AgentVault } = require('@agentsecretstore/sdk')
const vault = new AgentVault({ agentKey: process.env.ASS_AGENT_KEY, baseUrl: process.env.ASS_API_URL })
const paths = Array.from({ length: Number(process.argv[2]) }, (_, i) => 'bench/s/S' + i)
Promise.all(paths.map((path) => vault.getSecret(path))).then((values) => {
  if (!values.every((value, i) => value.startsWith('value-' + i))) process.exit(1)
})
`), 0o600)
	return job{Argv: []string{t.node, script, fmt.Sprint(n)}, Env: t.nodeEnv(p)}, err
}

func (t tools) nodeEnv(p *place) []string {
	return []string{
		"PATH=" + filepath.Join(t.clients, "node_modules/.bin") + ":" + filepath.Dir(t.node) + ":/usr/bin:/bin",
		"HOME=" + t.dir, "NO_COLOR=1", "CI=1", "NODE_EXTRA_CA_CERTS=" + p.caFile,
		"ASS_API_URL=" + p.url, "ASS_AGENT_KEY=" + agentKey,
	}
}

// write makes a file of n lines between a first and a last part.
func (t tools) write(name string, mode os.FileMode, n int, line, first, last string) (string, error) {
	var b strings.Builder
	b.WriteString(first)
	for i := range n {
		fmt.Fprintf(&b, line, i)
	}
	b.WriteString(last)
	name = filepath.Join(t.dir, name)
	return name, os.WriteFile(name, []byte(b.String()), mode)
}

// starters start a command with nothing to fetch.
func (t tools) starters() (map[string]job, error) {
	env := []string{"PATH=/usr/bin:/bin"}
	mapping, err := t.write("mapping0", 0o600, 1, "S%d=bench/s/S0\n", "", "")
	if err != nil {
		return nil, err
	}
	jobs := map[string]job{
		envTrue: {Argv: []string{"/usr/bin/env", "/usr/bin/true"}, Env: env},
		assExec: {
			Argv: []string{t.assExec, "--mapping", mapping, "--preserve-env", "--", "/usr/bin/true"},
			Env:  append(env, "S0=set already", "ASS_AGENT_KEY="+agentKey),
		},
	}
	for _, name := range []string{"tini", "dumb-init"} {
		if path, err := exec.LookPath(name); err == nil {
			// Not being PID 1, tini warns unless it is told to be a subreaper.
			jobs[name] = job{Argv: []string{path, "--", "/usr/bin/true"}, Env: append(env, "TINI_SUBREAPER=1")}
		}
	}
	return jobs, nil
}
