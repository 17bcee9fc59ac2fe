package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// With IGNORING set the test binary becomes its arguments, with every signal
// ignored that can be: shells leave out some.
func init() {
	if os.Getenv("IGNORING") == "" {
		return
	}
	ignore := [4]uint64{1} // SIG_IGN, as the kernel has it
	for sig := uintptr(1); sig <= 64; sig++ {
		_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&ignore)), 0, 8, 0, 0)
	}
	panic(unix.Exec(os.Args[1], os.Args[1:], os.Environ()))
}

func TestEveryIgnoredSignalStaysIgnoredForTheCommand(t *testing.T) {
	cat, err := exec.LookPath("cat") // grep has a handler for SIGSEGV
	needTool(t, err == nil, "cat")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ignored := func(prefix ...string) (mask uint64) {
		cmd := exec.Command(self, append(prefix, cat, "/proc/self/status")...)
		cmd.Env = []string{"IGNORING=1", "ASS_PRESERVE_ENV=1", "X=set", "ASS_MAPPING=" + mappingFile(t, "X=a/B\n")}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", cmd.Args, err)
		}
		_, line, _ := strings.Cut(string(out), "SigIgn:")
		if _, err := fmt.Sscanf(line, "%x", &mask); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		return mask
	}
	const all = ^uint64(1<<(syscall.SIGKILL-1) | 1<<(syscall.SIGSTOP-1))
	direct := ignored()
	if direct != all {
		t.Fatalf("got %x without ass-exec, want %x", direct, all)
	}
	assExec := filepath.Join(bin, "ass-exec")
	for _, flag := range []string{"--init=false", "--init", "--init=group", "--mask"} {
		if got := ignored(assExec, flag); got != direct {
			t.Errorf("%s: got %x, want %x", flag, got, direct)
		}
	}
}
