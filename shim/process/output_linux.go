package process

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// awaitStop returns once a child has ended, which is not reaped, or is stopped,
// and then how.
func awaitStop(pid int) (stopped syscall.WaitStatus) {
	const cldStopped = 5
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT, nil)
		switch {
		case err == unix.EINTR:
		case err != nil || info.Code != cldStopped:
			return 0
		default:
			n, err := syscall.Wait4(pid, &stopped, syscall.WUNTRACED|syscall.WNOHANG, nil)
			if err == nil && n == pid {
				return stopped
			}
		}
	}
}
