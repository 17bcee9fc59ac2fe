package process

import (
	"errors"
	"fmt"
	"math"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

// setLimit changes a soft limit of this process until the test ends.
func setLimit(t *testing.T, resource int, soft uint64) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(resource, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: soft, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Setrlimit(resource, &before) })
}

func TestArgLimitIsAQuarterOfTheStack(t *testing.T) {
	for _, tt := range []struct {
		stack uint64
		want  int
	}{
		{64 << 10, 128 << 10},
		{512<<10 + 4, 128<<10 + 1},
		{8 << 20, 2 << 20},
		{24<<20 - 4, 6<<20 - 1},
		{64 << 20, 6 << 20},
		{math.MaxInt64, 6 << 20},
	} {
		setLimit(t, unix.RLIMIT_STACK, tt.stack)
		if got := ArgLimit(); got != tt.want {
			t.Errorf("stack of %d: got %d, want %d", tt.stack, got, tt.want)
		}
	}
}

// startable says whether execve takes an environment.
func startable(t *testing.T, path string, argv, env []string) bool {
	t.Helper()
	err := (&exec.Cmd{Path: path, Args: argv, Env: env}).Run()
	if err != nil && !errors.Is(err, syscall.E2BIG) {
		t.Fatal(err)
	}
	return err == nil
}

func TestLargestVariableIsTheKernels(t *testing.T) {
	const origin = "ass.env:3"
	largest := strings.Repeat("x", 128<<10-len("NAME=")-1)
	if err := CheckVariable("NAME", largest, origin); err != nil {
		t.Errorf("got %v of what fits", err)
	}
	path := lookTrue(t)
	if !startable(t, path, []string{"true"}, []string{"NAME=" + largest}) {
		t.Error("the kernel refuses the largest")
	}
	if startable(t, path, []string{"true"}, []string{"NAME=x" + largest}) {
		t.Error("the kernel takes one byte more")
	}
	checkError(t, CheckVariable("NAME", largest+"x", origin), exit.Error{
		Code: exit.Data,
		Msg:  "ass.env:3: NAME: the value is too large for a variable: 131067 bytes, where 131066 fit",
		Hint: "map it with ?as=file, so that the variable names a file in memory: then there is no limit but the API's 1 MiB",
	})
}

func TestNULInAVariableIsNamed(t *testing.T) {
	checkError(t, CheckVariable("NAME", "a\x00b", "ass.env:3"), exit.Error{
		Code: exit.Data,
		Msg:  "ass.env:3: NAME: the value holds a NUL byte, which no variable can",
		Hint: "map it with ?as=file, so that the variable names a file in memory",
	})
}

func TestLargestEnvironmentIsTheKernels(t *testing.T) {
	setLimit(t, unix.RLIMIT_STACK, 1<<20)
	path, argv := lookTrue(t), []string{"true", "an argument"}
	limit := ArgLimit()
	env := []string{"SMALL=1", "LARGE=" + strings.Repeat("x", 100<<10), "FILL="}
	used := len(path) + 1
	for _, s := range append(argv, env...) {
		used += len(s) + 1 + 8
	}
	fill := strings.Repeat("x", limit-used-len("NEXT=")-9)
	env = append(env, "NEXT="+fill[:len(fill)/2])
	env[2] += fill[len(fill)/2:]
	if err := CheckTotal(path, argv, env, limit); err != nil {
		t.Errorf("got %v of what fits", err)
	}
	if !startable(t, path, argv, env) {
		t.Error("the kernel refuses the largest")
	}
	env[0] += "1"
	if startable(t, path, argv, env) {
		t.Error("the kernel takes one byte more")
	}
	checkError(t, CheckTotal(path, argv, env, limit), exit.Error{
		Code: exit.Data,
		Msg: fmt.Sprintf("the environment and arguments are too large for the kernel (4 variables, the largest LARGE with 102406 bytes)"+
			": %d bytes, where the stack limit allows %d", limit+1, limit),
		Hint: "map large secrets with ?as=file, so that their variables name files in memory",
	})
}

// Of two that are equally large the first is named.
func TestLargestVariableIsNamedOnce(t *testing.T) {
	if got, want := tooLargeError([]string{"A=1", "B=22", "C=33"}).Msg, "the largest B with 4 bytes)"; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want it to end in %q", got, want)
	}
}

func lookTrue(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// checkError compares what a user sees.
func checkError(t *testing.T, got *exit.Error, want exit.Error) {
	t.Helper()
	if got == nil {
		t.Errorf("got no error, want %q", want.Msg)
		return
	}
	if got.Code != want.Code || got.Msg != want.Msg || got.Hint != want.Hint {
		t.Errorf("got  %d %s\n     %s\nwant %d %s\n     %s", got.Code, got.Msg, got.Hint, want.Code, want.Msg, want.Hint)
	}
}
