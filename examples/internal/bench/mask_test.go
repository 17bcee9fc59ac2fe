//go:build linux

package main

import "testing"

func TestMasksFindsASecretAndALostLine(t *testing.T) {
	piece := logPiece()
	for name, c := range map[string]struct{ script, want string }{
		"masked": {`sed 's/value-[0-9]*-[a-z]*/***/'`, "<nil>"},
		"as is":  {"cat", "secret 0 is not masked"},
		"lost":   {`sed '1d; s/value-[0-9]*-[a-z]*/***/'`, "11150 lines of 11151"},
	} {
		t.Run(name, func(t *testing.T) {
			sample, err := (tools{dir: t.TempDir()}).writeLog("sample", piece, 1)
			if err != nil {
				t.Fatal(err)
			}
			got := "<nil>"
			if err := masks(job{Argv: []string{"/bin/sh", "-c", c.script + ` <"$0"`, sample}}, piece); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestTableOfMasksTellsNoMemoryOfCat(t *testing.T) {
	r := report{Masks: []masking{
		{Launcher: catPipe, MBPerS: 2000.4, CPUMS: 95, RSSMiB: 7.5},
		{Launcher: assExecMask, MBPerS: 549.6, CPUMS: 376, RSSMiB: 9.34},
	}}
	const want = `
A log of 256 MiB, a secret in each hundredth line, through a launcher with 50 secrets, its start included:

| | MB/s | CPU | memory |
| --- | ---: | ---: | ---: |
| cat in a pipe | 2000 | 0.1 s | – |
| ass-exec --mask | 550 | 0.4 s | 9.3 MiB |
`
	if got := r.maskTable(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
