//go:build linux

package main

import "testing"

func TestStatusTellsResidentAndAnonymousMemory(t *testing.T) {
	const status = "Name:\ttini\nVmHWM:\t    1300 kB\nVmRSS:\t    1220 kB\nRssAnon:\t     100 kB\nRssFile:\t    1120 kB\n"
	got, err := parseStatus(status)
	if want := (waiting{RSSKiB: 1220, AnonKiB: 100}); got != want || err != nil {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if got, err := parseStatus("Name:\tkthreadd\n"); err == nil {
		t.Errorf("got %+v of a process without memory, want an error", got)
	}
}
