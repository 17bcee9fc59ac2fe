package main

import (
	"strings"
	"testing"
)

// tmux says with each line that the colours are the default's.
func TestBoldAndDimLinesAreDrawnSo(t *testing.T) {
	got := draw("\x1b[1mbold <\n\x1b[0;2m\x1b[39m\x1b[49mdim\n\x1b[0m\x1b[39m\x1b[49mplain\n")
	for _, want := range []string{
		`<tspan font-weight="bold">bold &lt;</tspan>`,
		`<tspan fill="#8b919c">dim</tspan>`,
		`<tspan>plain</tspan>`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s in it", got, want)
		}
	}
}
