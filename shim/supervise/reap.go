package supervise

import (
	"fmt"
	"syscall"
)

// reap waits for every child that has ended, adopted ones included: one
// SIGCHLD can stand for many.
func (s *Supervisor) reap() {
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG|syscall.WUNTRACED, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil || pid == 0:
			return
		case pid != s.pid:
		case ws.Stopped():
			s.stopped(ws.StopSignal())
		default:
			s.ended(ws)
		}
	}
}

// exitStatus is the shells' convention, on which orchestrators rely.
func exitStatus(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

func howItEnded(ws syscall.WaitStatus) string {
	if ws.Signaled() {
		return "was ended by " + signalName(ws.Signal())
	}
	return fmt.Sprintf("ended with status %d", ws.ExitStatus())
}
