package supervise

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/shim/process"
)

// signalRouter is the only place that touches the signal dispositions of this
// process.
type signalRouter struct {
	caught  chan os.Signal   // to be forwarded
	child   chan os.Signal   // SIGCHLD; one pending says it all
	discard chan os.Signal   // never read
	ignored []syscall.Signal // by the command, as it would have been without us
}

// backlog is room for every signal twice while the command is being started;
// the runtime drops what does not fit.
const backlog = 128

func catchSignals(inherited []syscall.Signal) *signalRouter {
	r := &signalRouter{
		caught:  make(chan os.Signal, backlog),
		child:   make(chan os.Signal, 1),
		discard: make(chan os.Signal),
	}
	for sig := range lastSignal + 1 {
		// An ignored SIGCHLD would have the kernel discard the command's status.
		if sig != syscall.SIGCHLD && (signal.Ignored(sig) || slices.Contains(inherited, sig)) {
			r.ignored = append(r.ignored, sig)
		}
	}
	r.catch()
	return r
}

// catch makes this process an init: it notices everything and dies of
// nothing that can be helped.
func (r *signalRouter) catch() {
	signal.Notify(r.child, syscall.SIGCHLD)
	// A broken stderr gives us EPIPE instead of an end.
	signal.Notify(r.discard, syscall.SIGPIPE)
	// Ignored and not caught, or a write to the terminal from the background
	// would be repeated for ever; and it lets us take the terminal back.
	signal.Ignore(syscall.SIGTTIN, syscall.SIGTTOU)
	for sig := range lastSignal + 1 {
		if forwardable(sig) {
			signal.Notify(r.caught, sig)
		}
	}
}

// asInherited calls start while this process has the dispositions, and this
// thread the blocked signals, that the command would have had without us: a
// fork passes on what is ignored and blocked, and resets what is caught.
//
// A signal that arrives now and is to be ignored is lost, which is the same
// to a command that starts by ignoring it.
func (r *signalRouter) asInherited(blocked []syscall.Signal, start func()) {
	signal.Notify(r.discard, syscall.SIGTTIN, syscall.SIGTTOU)
	for _, sig := range r.ignored {
		signal.Ignore(sig)
	}
	restore := process.IgnoreSignals(r.ignored) // os/signal leaves faults alone
	unblock := block(blocked)
	start()
	unblock()
	restore()
	r.catch()
}

// forwardable reports whether the command gets sig from us. SIGABRT and faults
// are among them: nobody sends them to an init to see the init die, which they
// would do, and asking for them leaves our own faults what they are.
func forwardable(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGKILL, syscall.SIGSTOP: // cannot be caught
		return false
	case syscall.SIGCHLD: // about our children
		return false
	case syscall.SIGURG: // the Go scheduler's, hundreds in a second
		return false
	case syscall.SIGPIPE: // about our own writes
		return false
	case syscall.SIGTTIN, syscall.SIGTTOU: // about our own use of the terminal
		return false
	}
	return !reserved(sig)
}

// ends reports whether sig asks to end for good, so that no new command is
// started after it. To a running command SIGHUP may mean to reload, and
// SIGQUIT to dump its state; to one that is being stopped they cannot.
func (r *signalRouter) ends(sig syscall.Signal, stopping bool) bool {
	switch sig {
	case syscall.SIGTERM, syscall.SIGINT, systemdHalt:
	case syscall.SIGHUP, syscall.SIGQUIT:
		if !stopping {
			return false
		}
	default:
		return false
	}
	return !slices.Contains(r.ignored, sig) // nohup
}

// signalName is for messages. Real-time signals have only a number.
func signalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", int(sig))
}
