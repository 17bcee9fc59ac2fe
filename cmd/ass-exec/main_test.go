package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// bin is the folder of the built binaries under test.
var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ass-exec-test")
	if err != nil {
		panic(err)
	}
	bin = dir
	build("ass-devvault", runtime.GOARCH)
	build("ass-exec", cmp.Or(os.Getenv("EMULATED_GOARCH"), runtime.GOARCH)) // see .ci/emulated
	unignore()
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

func build(name, arch string) {
	build := exec.Command("go", "build", "-trimpath", "-tags", "keepsignals", "-ldflags", "-checklinkname=0", "-o", bin+"/", "./cmd/"+name)
	build.Dir = "../.."
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		os.Exit(1)
	}
}

// unignore keeps what nohup or a shell's & ignores from the programs under
// test: they get the default effect of a signal that is caught here.
func unignore() {
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			seed, err := filepath.Abs("../../examples/local/vault.json")
			if err != nil {
				return err
			}
			env.Setenv("SEED", seed)
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "samelines": sameLines},
	})
}

// exits runs a command that must end with exactly the given status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if err != nil || neg {
		ts.Fatalf("usage: exits STATUS command [args...]")
	}
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%s: got exit status %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// sameLines demands that all lines of a file are the same.
func sameLines(ts *testscript.TestScript, neg bool, args []string) {
	lines := strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), "\n")
	for _, line := range lines {
		if len(lines) < 2 || line != lines[0] {
			ts.Fatalf("got %q, want the same line twice or more", lines)
		}
	}
}

// needTool skips the test where a tool is missing, and fails it in CI, which
// installs every tool.
func needTool(t *testing.T, ok bool, why string) {
	t.Helper()
	switch {
	case ok:
	case os.Getenv("CI") != "":
		t.Fatalf("CI needs %s", why)
	default:
		t.Skip("needs " + why)
	}
}
