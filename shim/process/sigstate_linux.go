//go:build keepsignals

package process

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The Go runtime takes over almost every signal at start, and execve turns a
// signal that has a handler to its default effect: a signal that the parent
// had ignored (systemd ignores SIGPIPE) or blocked would reach the command in
// another state. The runtime remembers what it found in the first two of these
// variables; the third says which signals the child of a fork resets. Reaching
// them takes a linker flag, so plain go install builds without this file.

//go:linkname fwdSig runtime.fwdSig
var fwdSig [65]uintptr

//go:linkname initSigmask runtime.initSigmask
var initSigmask uint64

//go:linkname handlingSig runtime.handlingSig
var handlingSig [65]uint32

// disposition of a signal as the kernel has it: handler, flags, restorer, mask.
type disposition [4]uint64

const sigIgn = 1

func (d *disposition) ignores() bool { return *(*uintptr)(unsafe.Pointer(d)) == sigIgn }

// sigaction sets a disposition unless it is nil, and returns the one before.
// Without effect the state is what it would be without this file.
func sigaction(sig int, d *disposition) (old disposition) {
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(d)), uintptr(unsafe.Pointer(&old)), 8, 0, 0)
	return old
}

// restoreSignals gives the calling thread the signal state that the process
// was started with. It is for the moment before execve, and nothing else.
func restoreSignals() {
	runtime.LockOSThread()
	for sig := 1; sig < len(fwdSig); sig++ {
		if fwdSig[sig] == sigIgn {
			sigaction(sig, &disposition{sigIgn})
		}
	}
	const setMask = 2
	mask := initSigmask
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, setMask, uintptr(unsafe.Pointer(&mask)), 0, 8, 0, 0)
}

// InheritedSignals are those that the process was started with as ignored or
// blocked. The runtime does not remember those it leaves alone until somebody
// asks for them, SIGTSTP, SIGTTIN, SIGTTOU and SIGCONT: call this before.
func InheritedSignals() (ignored, blocked []syscall.Signal) {
	for sig := 1; sig < len(fwdSig); sig++ {
		now := sigaction(sig, nil)
		if fwdSig[sig] == sigIgn || now.ignores() {
			ignored = append(ignored, syscall.Signal(sig))
		}
		if initSigmask&(1<<(sig-1)) != 0 {
			blocked = append(blocked, syscall.Signal(sig))
		}
	}
	return ignored, blocked
}

// IgnoreAtExec has the command ignore a signal that this process does not: an
// init cannot pass an ignored SIGCHLD on, or the kernel would discard the
// status of its child.
func IgnoreAtExec(sig syscall.Signal) { fwdSig[sig] = sigIgn }

// IgnoreSignals has the process, and a child it forks, ignore signals until
// undo is called. Unlike os/signal it can do so with faults. A fault of ours
// in between would be the end, without a report.
func IgnoreSignals(signals []syscall.Signal) (undo func()) {
	handling := handlingSig
	old := make([]disposition, len(signals))
	for i, sig := range signals {
		handlingSig[sig] = 0
		old[i] = sigaction(int(sig), &disposition{sigIgn})
	}
	return func() {
		for i, sig := range signals {
			handlingSig[sig] = handling[sig]
			sigaction(int(sig), &old[i])
		}
	}
}
