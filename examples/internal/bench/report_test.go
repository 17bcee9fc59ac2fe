//go:build linux

package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestPageShowsWhatWasMeasured(t *testing.T) {
	b, err := os.ReadFile("bench.json")
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("bench.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := replaceTables(page, r.tables())
	if err != nil || string(want) != string(page) {
		t.Errorf("bench.md does not hold the tables of bench.json (%v): run make bench", err)
	}
	plot, err := os.ReadFile("bench.svg")
	if err != nil || string(plot) != r.plot() {
		t.Errorf("bench.svg is not the plot of bench.json (%v): run make bench", err)
	}
}

func TestTablesSayHowOftenASlowLauncherRan(t *testing.T) {
	r := report{Rounds: 20, Host: "a machine", Fetches: []fetch{
		{Launcher: assExec, Secrets: 4, RTTMS: 20, Runs: 20, WallMS: 100},
		{Launcher: sdk, Secrets: 4, RTTMS: 20, Runs: 20, WallMS: 250},
		{Launcher: guide, Secrets: 4, RTTMS: 20, Runs: 1, WallMS: 3000},
	}}
	const want = "| 4 | 20 ms | 100 ms | 250 ms (2.5 ×) | 3000 ms (30.0 ×), one run | – |\n"
	if got := r.tables(); !strings.Contains(got, want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
