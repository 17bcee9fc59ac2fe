package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const module = `package x

import "testing"

func TestPasses(t *testing.T) { t.Log("quiet") }
func TestSkips(t *testing.T)  { t.Run("one", func(t *testing.T) { t.Skip("needs a tool") }) }
`

// runIn runs the tests of a module with one package, of which source is a file.
func runIn(t *testing.T, source string) (status int, skipped string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module x\n", "x_test.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	file := filepath.Join(t.TempDir(), "skipped")
	status, err := run(file, []string{"./..."})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return status, string(b)
}

func TestSkipIsTold(t *testing.T) {
	t.Setenv("CI", "")
	if status, skipped := runIn(t, module); status != 0 || skipped != "needs a tool\n" {
		t.Errorf("got status %d and %q, want 0 and the reason", status, skipped)
	}
}

func TestSkipFailsInCI(t *testing.T) {
	t.Setenv("CI", "true")
	if status, _ := runIn(t, module); status != 1 {
		t.Errorf("got status %d, want 1", status)
	}
}

func TestBrokenPackageFails(t *testing.T) {
	for name, source := range map[string]string{
		"test fails":   module + `func TestFails(t *testing.T) { t.Fail() }`,
		"test panics":  module + `func TestPanics(t *testing.T) { panic("x") }`,
		"not compiled": module + `func TestNoGo(t *testing.T) { return 1 }`,
	} {
		if status, _ := runIn(t, source); status != 1 {
			t.Errorf("%s: got status %d, want 1", name, status)
		}
	}
}

func TestOutputIsThatOfGoTest(t *testing.T) {
	var got strings.Builder
	skipped, err := follow(strings.NewReader(`{"Action":"run","Package":"x","Test":"TestA"}
{"Action":"output","Package":"x","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"x","Test":"TestA","Output":"    x_test.go:9: got 1\n"}
{"Action":"output","Package":"x","Test":"TestA","Output":"--- FAIL: TestA (0.00s)\n"}
{"Action":"fail","Package":"x","Test":"TestA"}
{"Action":"output","Package":"x","Test":"TestB","Output":"    x_test.go:12: noise\n"}
{"Action":"pass","Package":"x","Test":"TestB"}
{"Action":"output","Package":"x","Test":"TestC","Output":"panic: in C\n"}
{"Action":"output","Package":"x","Output":"FAIL\tx\t0.01s\n"}
{"Action":"fail","Package":"x"}
{"Action":"output","Package":"y","Output":"PASS\n"}
{"Action":"output","Package":"y","Output":"ok  \ty\t0.01s\n"}
{"Action":"pass","Package":"y"}
`), &got)
	want := "    x_test.go:9: got 1\n--- FAIL: TestA (0.00s)\nFAIL\tx\t0.01s\npanic: in C\nok  \ty\t0.01s\n"
	if err != nil || len(skipped) != 0 || got.String() != want {
		t.Errorf("got %q, skipped %q, %v; want %q", got.String(), skipped, err, want)
	}
}
