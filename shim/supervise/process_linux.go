package supervise

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	lastSignal = syscall.Signal(64)

	// systemdHalt is SIGRTMIN+3 of the C library, a STOPSIGNAL of images.
	systemdHalt = syscall.Signal(37)
)

// reserved reports whether the Go runtime keeps sig to itself.
func reserved(sig syscall.Signal) bool {
	return sig == syscall.SIGPROF || 32 <= sig && sig <= 34
}

// dieWithParent makes a child go when we are killed: without its init nobody
// would forward it a signal any more.
func dieWithParent(attr *syscall.SysProcAttr) {
	attr.Pdeathsig = syscall.SIGKILL
}

// adoptOrphans makes this process the parent of what its descendants leave.
func adoptOrphans() error {
	if os.Getpid() == 1 {
		return nil
	}
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// block blocks signals in this thread and returns how to undo it.
func block(signals []syscall.Signal) (undo func()) {
	var set, old unix.Sigset_t
	word := int(unsafe.Sizeof(set.Val[0]) * 8)
	for _, sig := range signals {
		n := int(sig) - 1
		set.Val[n/word] |= 1 << (n % word)
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, &old); err != nil {
		return func() {}
	}
	return func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil) }
}

// orphaned reports whether nobody in our session could continue us if we
// stopped: POSIX calls our process group orphaned. Ancestors in the same
// group (a script, make) stop along with us, so the first one outside counts.
func orphaned() bool {
	_, group, session, err := procStat(os.Getpid())
	if err != nil {
		return true
	}
	for pid := os.Getppid(); ; {
		parent, g, s, err := procStat(pid)
		switch {
		case err != nil || s != session:
			return true
		case g != group:
			return false
		}
		pid = parent
	}
}

// procStat returns the parent, process group and session of pid.
func procStat(pid int) (parent, group, session int, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, 0, err
	}
	// The name before the last parenthesis may hold anything.
	_, err = fmt.Sscanf(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " %s %d %d %d", new(string), &parent, &group, &session)
	return parent, group, session, err
}
