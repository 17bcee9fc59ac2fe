//go:build keepsignals

package shim

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The Go runtime takes over almost every signal at start, and execve turns a
// signal that has a handler to its default effect: a signal that the parent
// had ignored (systemd ignores SIGPIPE) or blocked would reach the command in
// another state. The runtime remembers what it found in these two variables.
// Reaching them takes a linker flag, so plain go install builds without this
// file.

//go:linkname fwdSig runtime.fwdSig
var fwdSig [65]uintptr

//go:linkname initSigmask runtime.initSigmask
var initSigmask uint64

const sigIgn = 1

// restoreSignals gives the calling thread the signal state that the process
// was started with. It is for the moment before execve, and nothing else.
func restoreSignals() {
	runtime.LockOSThread()
	// As the kernel has it: handler, flags, restorer, mask.
	ignore := [4]uint64{sigIgn}
	for sig := 1; sig < len(fwdSig); sig++ {
		if fwdSig[sig] == sigIgn {
			// Without effect the state is what it would be without this file.
			_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&ignore)), 0, 8, 0, 0)
		}
	}
	const setMask = 2
	mask := initSigmask
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, setMask, uintptr(unsafe.Pointer(&mask)), 0, 8, 0, 0)
}

// InheritedSignals are those that the process was started with as ignored or
// blocked.
func InheritedSignals() (ignored, blocked []syscall.Signal) {
	for sig := 1; sig < len(fwdSig); sig++ {
		if fwdSig[sig] == sigIgn {
			ignored = append(ignored, syscall.Signal(sig))
		}
		if initSigmask&(1<<(sig-1)) != 0 {
			blocked = append(blocked, syscall.Signal(sig))
		}
	}
	return ignored, blocked
}
