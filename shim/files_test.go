package shim

import (
	"fmt"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/mapping"
)

func TestEveryFileStandsWhereItsVariableDoes(t *testing.T) {
	value, err := mapping.ParseValue("a/B?as=file&mode=0444")
	if err != nil {
		t.Fatal(err)
	}
	resolutions := []resolution{
		{Binding: mapping.Binding{Name: "Z", Value: value}, value: "z"},
		{Binding: mapping.Binding{Name: "GONE", Value: value}, absent: true},
		{Binding: mapping.Binding{Name: "KEPT", Value: value}, absent: true},
		{Binding: mapping.Binding{Name: "A", Value: value}, value: "a"},
	}
	p := plan{cfg: Config{Argv: []string{"/bin/sh"}, Environ: []string{"A=1", "GONE=ass://a/B", "KEPT=ass:/x", "KEPT=ass://a/B", "A=2"}}, path: "/bin/sh"}
	cmd, err := build(p, resolutions)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(cmd.Env), "[A= KEPT=ass:/x KEPT=ass://a/B Z=]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(cmd.Files), "[{Z z -r--r--r-- 0 3} {A a -r--r--r-- 0 0}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// As many as a mapping of 1 MiB holds: with a look through the environment for
// each it was a minute.
func BenchmarkBuildOfManyFiles(b *testing.B) {
	value, err := mapping.ParseValue("a/B?as=file")
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1_000, 10_000, 50_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			resolutions := make([]resolution, n)
			for i := range resolutions {
				resolutions[i] = resolution{Binding: mapping.Binding{Name: fmt.Sprintf("V%d", i), Value: value}, value: "x"}
			}
			p := plan{cfg: Config{Argv: []string{"/bin/sh"}}, path: "/bin/sh"}
			for b.Loop() {
				_, _ = build(p, resolutions)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/file")
		})
	}
}
