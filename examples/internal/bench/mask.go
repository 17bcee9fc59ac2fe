//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// masking is how fast the output of a command passes a launcher that replaces
// the secrets in it.
type masking struct {
	Launcher string  `json:"launcher"`
	MBPerS   float64 `json:"mb_per_s"` // from the start of the launcher to its end
	CPUMS    float64 `json:"cpu_ms"`
	RSSMiB   float64 `json:"rss_mib"`
}

const (
	logMiB        = 256
	maskedSecrets = 50
	catPipe       = "cat in a pipe"
	assExecMask   = "ass-exec --mask"
	varlock       = "varlock run"
)

// masker prints a file through a launcher.
type masker struct {
	name string
	job  func(file string) job
}

func measureMasks(t tools, p *place, rounds int) ([]masking, error) {
	piece := logPiece()
	sample, err := t.writeLog("sample", piece, 1)
	if err != nil {
		return nil, err
	}
	long, err := t.writeLog("log", piece, logMiB)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(long) }()
	maskers, err := t.maskers(p)
	if err != nil {
		return nil, err
	}
	for _, m := range maskers[1:] {
		if err := masks(m.job(sample), piece); err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	costs := make([][]cost, len(maskers))
	for range rounds {
		for i, m := range maskers {
			c, err := p.runner.run(m.job(long))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
			costs[i] = append(costs[i], c)
		}
	}
	var measured []masking
	for i, m := range maskers {
		c := median(costs[i])
		f := masking{m.name, round2(float64(logMiB<<20) / 1e6 / c.Wall.Seconds()), ms(c.CPU), mib(c.RSS)}
		fmt.Printf("%d MiB of a log: %-16s %7.0f MB/s  %8.1f ms CPU  %6.1f MiB\n", logMiB, f.Launcher, f.MBPerS, f.CPUMS, f.RSSMiB)
		measured = append(measured, f)
	}
	return measured, nil
}

// maskers are those that are here; the first masks nothing.
func (t tools) maskers(p *place) ([]masker, error) {
	start, err := t.assExecJob(p, maskedSecrets)
	if err != nil {
		return nil, err
	}
	all := []masker{
		{catPipe, func(file string) job {
			return job{Argv: []string{"/bin/sh", "-c", `cat "$0" | cat`, file}, Env: start.Env}
		}},
		{assExecMask, func(file string) job {
			options := start.Argv[:len(start.Argv)-2]
			return job{Argv: append(options[:len(options):len(options)], "--mask", "--", "/bin/cat", file), Env: start.Env}
		}},
	}
	modules, err := filepath.Abs(".tools/bench/node_modules")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(modules, "varlock")); err != nil {
		return all, nil
	}
	schema, err := t.writeSchema()
	return append(all, masker{varlock, func(file string) job {
		return job{
			Argv: []string{filepath.Join(modules, ".bin/node"), filepath.Join(modules, ".bin/varlock"), "run", "--path", schema, "--", "/bin/cat", file},
			Env:  []string{"PATH=/usr/bin:/bin", "HOME=" + t.dir, "VARLOCK_TELEMETRY_DISABLED=1"},
		}
	}}), err
}

// writeSchema makes a file of varlock's with the values in it.
func (t tools) writeSchema() (string, error) {
	text := "# @defaultSensitive=true\n# ---\n"
	for i := range maskedSecrets {
		text += fmt.Sprintf("S%d=%s\n", i, value(i))
	}
	name := filepath.Join(t.dir, ".env.schema")
	return name, os.WriteFile(name, []byte(text), 0o600)
}

// masks checks that a job lets no secret through, and every line.
func masks(j job, piece []byte) error {
	cmd := exec.Command(j.Argv[0], j.Argv[1:]...)
	cmd.Env = j.Env
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	for i := range maskedSecrets {
		if bytes.Contains(out, []byte(value(i))) {
			return fmt.Errorf("secret %d is not masked", i)
		}
	}
	if got, want := bytes.Count(out, []byte("\n")), bytes.Count(piece, []byte("\n")); got != want {
		return fmt.Errorf("%d lines of %d", got, want)
	}
	return nil
}

// logPiece is a MiB of a log, with a secret in each hundredth line.
func logPiece() []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < 1<<20; i++ {
		token := "-"
		if i%100 == 99 {
			token = value(i / 100 % maskedSecrets)
		}
		fmt.Fprintf(&b, "2026-11-28T07:%02d:%02dZ INFO request=%08x path=/api/orders/%d status=200 took=%dms token=%s\n",
			i/60%60, i%60, i*2654435761&0xffffffff, i%9973, i%97, token)
	}
	return b.Bytes()[:1<<20]
}

// writeLog makes a file of so many pieces.
func (t tools) writeLog(name string, piece []byte, pieces int) (string, error) {
	name = filepath.Join(t.dir, name)
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	for range pieces {
		if _, err := f.Write(piece); err != nil {
			return "", errors.Join(err, f.Close())
		}
	}
	return name, f.Close()
}

// maskTable is empty if nothing was measured.
func (r report) maskTable() string {
	if len(r.Masks) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nA log of %d MiB, a secret in each hundredth line, through a launcher with %d secrets, its start included:\n\n", logMiB, maskedSecrets)
	b.WriteString("| | MB/s | CPU | memory |\n| --- | ---: | ---: | ---: |\n")
	for _, m := range r.Masks {
		memory := fmt.Sprintf("%.1f MiB", m.RSSMiB)
		if m.Launcher == catPipe {
			memory = "–" // less than that of the process that starts it, which counts
		}
		fmt.Fprintf(&b, "| %s | %.0f | %.1f s | %s |\n", m.Launcher, m.MBPerS, m.CPUMS/1000, memory)
	}
	return b.String()
}
