//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is all that a run measured.
type report struct {
	Host    string             `json:"host"`
	Rounds  int                `json:"rounds"`
	Sizes   map[string]float64 `json:"installed_mib"`
	Starts  []start            `json:"starts"`
	Inits   []waiting          `json:"inits,omitempty"`
	Masks   []masking          `json:"masks,omitempty"`
	Limited []limited          `json:"limited,omitempty"`
	Fetches []fetch            `json:"fetches"`
}

// write leaves bench.json and bench.svg in dir, and the tables in bench.md.
func (r report) write(dir string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "bench.json"), append(b, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "bench.svg"), []byte(r.plot()), 0o644); err != nil {
		return err
	}
	name := filepath.Join(dir, "bench.md")
	page, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if page, err = replaceTables(page, r.tables()); err != nil {
		return err
	}
	return os.WriteFile(name, page, 0o644)
}

const (
	begin = "<!-- bench: made by make bench -->\n"
	end   = "<!-- /bench -->\n"
)

func replaceTables(page []byte, tables string) ([]byte, error) {
	before, rest, ok := bytes.Cut(page, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		return nil, errors.New("bench.md has no place for the tables")
	}
	return slices.Concat(before, []byte(begin+tables+end), after), nil
}

var columns = []string{assExec, sdk, guide, doppler}

// tables is the report in Markdown: the times, then what else 20 secrets cost,
// then what a start costs.
func (r report) tables() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Until the command runs, and how many times as long as with ass-exec; medians of %d runs, on %s:\n\n", r.Rounds, r.Host)
	fmt.Fprintf(&b, "| secrets | round trip | %s |\n| ---: | ---: |%s\n", strings.Join(columns, " | "), strings.Repeat(" ---: |", len(columns)))
	for _, f := range r.Fetches {
		if f.Launcher != assExec {
			continue
		}
		fmt.Fprintf(&b, "| %d | %d ms |", f.Secrets, f.RTTMS)
		for _, name := range columns {
			b.WriteString(" " + r.cell(name, f) + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("\nWhat else 20 secrets cost on loopback:\n\n| | CPU | memory | requests | connections | installed |\n| --- | ---: | ---: | ---: | ---: | ---: |\n")
	for _, name := range columns {
		if f := r.find(name, 20, 0); f != nil {
			fmt.Fprintf(&b, "| %s | %.0f ms | %.1f MiB | %s | %g | %.1f MiB |\n", name, f.CPUMS, f.RSSMiB, requests(*f), f.Connections, r.Sizes[name])
		}
	}
	b.WriteString("\nRound trips until the command runs, TCP's and TLS's included, by the difference of the fastest runs at 80 and 20 ms: ")
	var trips []string
	for _, n := range counts {
		trips = append(trips, fmt.Sprintf("%.1f for %d", r.roundTrips(assExec, n), n))
	}
	b.WriteString(strings.Join(trips, ", ") + " secrets.\n\nWith nothing to fetch: ")
	var starts []string
	for _, s := range r.Starts {
		starts = append(starts, fmt.Sprintf("%s %.1f ms", s.Launcher, s.WallMS))
	}
	b.WriteString(strings.Join(starts, ", ") + ".\n" + r.initTable() + r.limitedTable() + r.maskTable())
	return b.String()
}

// requests of doppler go to another API, where they are not counted.
func requests(f fetch) string {
	if f.Launcher == doppler {
		return "–"
	}
	return fmt.Sprintf("%g", f.Requests)
}

func (r report) cell(name string, base fetch) string {
	f := r.find(name, base.Secrets, base.RTTMS)
	switch {
	case f == nil:
		return "–"
	case name == assExec:
		return fmt.Sprintf("%.0f ms", f.WallMS)
	}
	text := fmt.Sprintf("%.0f ms (%.1f ×)", f.WallMS, f.WallMS/base.WallMS)
	if f.Runs < r.Rounds {
		text += fmt.Sprintf(", %d runs", f.Runs)
	}
	return strings.Replace(text, ", 1 runs", ", one run", 1)
}

func (r report) find(name string, secrets, rtt int) *fetch {
	for i, f := range r.Fetches {
		if f.Launcher == name && f.Secrets == secrets && f.RTTMS == rtt {
			return &r.Fetches[i]
		}
	}
	return nil
}

// roundTrips on the critical path: all that does not depend on the distance
// cancels out. They are those of the fastest runs, because it is up to the
// server, and takes it a round trip more or not, whether it sends replies
// together or one by one.
func (r report) roundTrips(name string, secrets int) float64 {
	far, near := r.find(name, secrets, 80), r.find(name, secrets, 20)
	if far == nil || near == nil {
		return 0
	}
	return (far.FastestMS - near.FastestMS) / 60
}

func host() string {
	model := "an unknown processor"
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%d cores of %s, %s, %s", runtime.NumCPU(), model, runtime.Version(), time.Now().Format("January 2006"))
}

// sizes is what has to be in the image for each launcher, in MiB.
func (t tools) sizes() map[string]float64 {
	size := func(paths ...string) float64 {
		var sum int64
		for _, path := range paths {
			if real, err := filepath.EvalSymlinks(path); err == nil {
				path = real
			}
			_ = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
				if err == nil && d.Type().IsRegular() {
					if info, err := d.Info(); err == nil {
						sum += info.Size()
					}
				}
				return nil
			})
		}
		return mib(sum)
	}
	sizes := map[string]float64{assExec: size(t.assExec)}
	if t.node != "" {
		sizes[sdk] = size(append(t.packages("@agentsecretstore/sdk"), t.node)...)
		sizes[guide] = size(append(t.packages("@agentsecretstore/cli"), t.node)...)
	}
	if t.doppler != "" {
		sizes[doppler] = size(t.doppler)
	}
	return sizes
}

// packages is the folders of an npm package and all that it depends on.
func (t tools) packages(name string) []string {
	folders := make(map[string]bool)
	var add func(name string)
	add = func(name string) {
		folder := filepath.Join(t.clients, "node_modules", name)
		if folders[folder] {
			return
		}
		var manifest struct{ Dependencies map[string]string }
		b, err := os.ReadFile(filepath.Join(folder, "package.json"))
		if err != nil || json.Unmarshal(b, &manifest) != nil {
			return
		}
		folders[folder] = true
		for dependency := range manifest.Dependencies {
			add(dependency)
		}
	}
	add(name)
	var list []string
	for folder := range folders {
		list = append(list, folder)
	}
	return list
}
