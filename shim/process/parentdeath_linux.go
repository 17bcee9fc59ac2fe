package process

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// parentDeath is the signal to get when the parent dies, as the process was
// started with. It belongs to the first thread, on which packages are
// initialized, and execve keeps that of the thread which calls it: any.
var parentDeath = func() (sig int32) {
	_ = unix.Prctl(unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&sig)), 0, 0, 0)
	return sig
}()

// restoreParentDeath is for the moment before execve, as restoreSignals is.
// Until then the first thread gets the signal.
func restoreParentDeath() {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(parentDeath), 0, 0, 0)
}
