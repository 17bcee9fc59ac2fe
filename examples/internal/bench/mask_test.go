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
