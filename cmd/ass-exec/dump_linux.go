package main

import "golang.org/x/sys/unix"

// setDumpable says whether this process may leave a core dump, and whether
// other processes of its user may read its memory and follow its /proc. After
// an execve they may again.
func setDumpable(on bool) {
	value := uintptr(0)
	if on {
		value = 1
	}
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, value, 0, 0, 0)
}
