//go:build linux

package main

import "testing"

func TestRatiosAreOfTheFirstOverTheSecond(t *testing.T) {
	got := ratios([]fetch{
		{Secrets: 1, RTTMS: 20, WallMS: 98, CPUMS: 9, RSSMiB: 8},
		{Secrets: 1, RTTMS: 20, WallMS: 100, CPUMS: 10, RSSMiB: 8},
		{Secrets: 20, WallMS: 15, CPUMS: 12, RSSMiB: 9},
		{Secrets: 20, WallMS: 10, CPUMS: 10, RSSMiB: 10},
	})
	const want = `
| secrets | round trip | wall | CPU | memory |
| ---: | ---: | ---: | ---: | ---: |
| 1 | 20 ms | 0.980 | 0.900 | 1.000 |
| 20 | 0 ms | 1.500 | 1.200 | 0.900 |
`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
