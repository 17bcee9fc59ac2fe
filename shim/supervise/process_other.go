//go:build !linux

package supervise

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	lastSignal  = syscall.Signal(31)
	systemdHalt = lastSignal + 1 // no such signal
)

// reserved reports whether the Go runtime keeps sig to itself.
func reserved(sig syscall.Signal) bool {
	return sig == syscall.SIGPROF
}

// Elsewhere a child survives a killed parent, nobody but PID 1 adopts
// orphans, and the signal mask stays what the Go runtime makes of it.

func dieWithParent(*syscall.SysProcAttr) {}

func adoptOrphans() error { return nil }

func block([]syscall.Signal) (undo func()) { return func() {} }

// orphaned reports whether nobody in our session could continue us if we
// stopped.
func orphaned() bool {
	parent, err := unix.Getsid(os.Getppid())
	own, _ := unix.Getsid(0)
	return err != nil || parent != own
}
