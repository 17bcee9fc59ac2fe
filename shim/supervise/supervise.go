// Package supervise is the init of ass-exec: it starts a [process.Command] as its
// child instead of becoming it, forwards signals, reaps orphans, gives it the
// terminal, and ends with its status. On request it replaces the command by a
// new one, which is how a rotated secret reaches a program.
//
// It is worth what it costs (a second process, one more pid between the
// orchestrator and the command) only to commands that are bad at being PID 1,
// or whose secrets change while they run.
//
// One goroutine owns the state. Signals, ends of children and requests reach
// it as events, and it holds the only call of wait in the process: do not use
// os/exec beside it.
package supervise

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/agent-secret-store/ass-exec/shim/process"
)

// Options of a [Supervisor]. The zero value is an init like tini.
type Options struct {
	// Group sends signals to the command's process group instead of to the
	// command alone, and SIGTERM to what is left of the group when it ends.
	Group bool

	// StopTimeout is the time from SIGTERM to SIGKILL at a Restart or Stop.
	StopTimeout time.Duration

	// Stdout and Stderr replace the command's, where not nil. They stay the
	// caller's to close, after Run: a restarted command needs them again.
	Stdout, Stderr *os.File

	// Ignored and Blocked are the signals this process inherited as ignored
	// or blocked and that the Go runtime took over; the command gets them
	// back. An inherited nohup (SIGHUP, SIGINT) is kept in any case.
	Ignored, Blocked []syscall.Signal

	// Warn is called with problems that do not keep the command from running.
	Warn func(message string)

	// Info is called for each start, each signal sent and each end.
	Info func(message string)
}

// withDefaults fills in calls that do nothing.
func (o Options) withDefaults() Options {
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.Info == nil {
		o.Info = func(string) {}
	}
	return o
}

// killWait bounds the wait for the last of a group after SIGKILL: a process
// stuck in the kernel, or a zombie whose parent is not us, may never go.
const killWait = time.Second

// onExit is what the end of the command leads to.
type onExit int

const (
	exit    onExit = iota // the command ends by itself, and we with it
	restart               // we stop it, and start next
	stop                  // we stop it, and end with status 0
)

// Supervisor runs one command at a time. Its methods other than Run may be
// called from any goroutine; once Run has returned they do nothing.
type Supervisor struct {
	opts     Options
	signals  *signalRouter
	requests chan func()
	done     chan struct{}

	allowCores func() // as inherited, while a command is started

	// What follows belongs to the goroutine of Run.
	tty            *terminal
	pid            int // the command; 0 while there is none
	group          int // its process group, which may outlive it
	status         int // exit status to end with, once pid is 0
	onExit         onExit
	ending         bool // by a signal: nothing is started any more
	next           process.Command
	pending        []syscall.Signal // came while there was no command
	timer          *time.Timer      // the next, harsher step of a stop
	killed         bool
	groupAbandoned bool // its rest does not die, and is no longer waited for
}

// New returns a Supervisor that catches signals from now on, so that none is
// lost before Run: call it before another handler is released.
func New(opts Options) *Supervisor {
	timer := time.NewTimer(0)
	timer.Stop()
	return &Supervisor{
		opts:     opts.withDefaults(),
		signals:  catchSignals(opts.Ignored),
		requests: make(chan func()),
		done:     make(chan struct{}),
		timer:    timer,

		allowCores: process.DisableCoreDumps(),
	}
}

// Run starts cmd, stays with it and returns the exit status to end with: the
// command's, or 128+n if signal n ended it. An error means that it, or its
// successor, could not be started. Run is called once, and the process is
// expected to end soon after: signals stay caught, so that a late one does
// not change the status.
func (s *Supervisor) Run(cmd process.Command) (status int, err error) {
	// The command is to die with us, and the kernel ties that to the thread
	// that started it; the signal mask is a thread's own as well.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.done)

	if err := adoptOrphans(); err != nil {
		s.opts.Warn(fmt.Sprintf("cannot adopt orphans (%v): processes the command leaves behind may stay zombies; run ass-exec as PID 1", err))
	}
	s.tty = findTerminal()
	if err := s.start(cmd); err != nil {
		return 0, err
	}

	for over := false; !over; {
		select {
		case sig := <-s.signals.caught:
			s.forward(sig.(syscall.Signal))
		case <-s.signals.child:
			s.reap()
		case request := <-s.requests:
			request()
		case <-s.timer.C:
			s.escalate()
		}
		over, err = s.advance()
	}
	return s.status, err
}

// Await returns once done is closed: after Run, for what the command leaves to
// be done. If a signal asks to end, or has ended Run, it waits no longer than
// limit from then on.
func (s *Supervisor) Await(done <-chan struct{}, limit time.Duration) {
	var late <-chan time.Time
	for {
		if s.ending && late == nil {
			late = time.After(limit)
		}
		select {
		case <-done:
			return
		case <-late:
			return
		case sig := <-s.signals.caught:
			s.ending = s.ending || s.signals.ends(sig.(syscall.Signal), true)
		}
	}
}

// Restart stops the command, first with SIGTERM and after StopTimeout with
// SIGKILL, and starts cmd once the process group of the old one is gone. It
// does not wait for that. If the command has ended by itself, or a signal to
// stop came before or comes meanwhile, cmd is never started.
func (s *Supervisor) Restart(cmd process.Command) {
	s.request(func() {
		if s.onExit == stop {
			return
		}
		s.next = cmd
		s.stop(restart)
	})
}

// Stop ends the command as Restart does, and Run with status 0.
func (s *Supervisor) Stop() {
	s.request(func() { s.stop(stop) })
}

// Signal sends sig to the command, as if this process had received it.
func (s *Supervisor) Signal(sig syscall.Signal) {
	s.request(func() { s.forward(sig) })
}

func (s *Supervisor) request(do func()) {
	select {
	case s.requests <- do:
	case <-s.done:
	}
}

// stop begins to stop the command, to go on as then says.
func (s *Supervisor) stop(then onExit) {
	switch {
	case s.ending:
		return
	case s.onExit != exit: // under way
		s.onExit = then
		return
	}
	// One that has ended by itself ends us, whatever was wanted of it.
	if s.reap(); s.pid == 0 {
		return
	}
	s.onExit, s.killed, s.groupAbandoned = then, false, false
	s.send(syscall.SIGTERM)
	s.send(syscall.SIGCONT) // or a stopped one would not notice
	s.timer.Reset(s.opts.StopTimeout)
}

// escalate takes the next step against a command, or a rest of its group,
// that does not go.
func (s *Supervisor) escalate() {
	if s.killed {
		s.groupAbandoned = true
		return
	}
	s.killed = true
	s.sendGroup(syscall.SIGKILL)
	if s.pid != 0 { // it may have left its group
		syscall.Kill(s.pid, syscall.SIGKILL)
	}
	s.timer.Reset(killWait)
}

// advance is called after every event: it does what the end of the command
// leads to and reports whether there is nothing left to wait for.
func (s *Supervisor) advance() (over bool, err error) {
	switch {
	case s.pid != 0:
		return false, nil
	case s.onExit == exit:
		return true, nil
	case !s.groupAbandoned && groupExists(s.group):
		return false, nil
	case s.onExit == stop:
		s.status = 0
		return true, nil
	}
	s.timer.Stop()
	s.onExit = exit
	cmd := s.next
	s.next = process.Command{}
	if err := s.start(cmd); err != nil {
		return true, err
	}
	for _, sig := range s.pending {
		s.send(sig)
	}
	s.pending = nil
	return false, nil
}
