package process

import "golang.org/x/sys/unix"

// ArgLimit is the kernel's: a quarter of the stack's soft limit, at least
// 128 KiB and at most 6 MiB.
func ArgLimit() int {
	var stack unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_STACK, &stack); err != nil {
		return 6 << 20 // execve has the last word
	}
	return int(max(128<<10, min(6<<20, stack.Cur/4)))
}
