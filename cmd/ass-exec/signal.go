package main

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// stopSignals end ass-exec while it fetches. SIGRTMIN+3 is what systemd, and
// images that run it, take as a request to stop. To those from SIGABRT on the Go
// runtime would react with a dump of all goroutines, even if only sent.
var stopSignals = []syscall.Signal{
	syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, sigRTMin3,
	syscall.SIGABRT, syscall.SIGILL, syscall.SIGTRAP, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGSEGV, syscall.SIGSYS,
	unix.SignalNum("SIGSTKFLT"), // only Linux has it
}

const sigRTMin3 = syscall.Signal(37)

// signalWatch ends the fetching when a signal says stop. As PID 1 the kernel
// would drop most signals, and the Go runtime would exit with 2 on the rest.
type signalWatch struct {
	caught chan os.Signal // nil until the watch is started
	done   chan struct{}  // closed to end the watching
	ended  chan struct{}  // closed when it has ended
	signal atomic.Int64
}

// start begins the watch, and returns a context that ends with a signal.
func (w *signalWatch) start() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	w.caught, w.done, w.ended = make(chan os.Signal, 8), make(chan struct{}), make(chan struct{})
	for _, s := range stopSignals {
		// Asking for an ignored one would end the ignoring, for the command too.
		if !signal.Ignored(s) {
			signal.Notify(w.caught, s)
		}
	}
	go w.watch(cancel)
	return ctx
}

func (w *signalWatch) watch(cancel context.CancelFunc) {
	defer close(w.ended)
	for {
		select {
		case s := <-w.caught:
			w.note(s)
			cancel()
		case <-w.done:
			for {
				select {
				case s := <-w.caught:
					w.note(s)
				default:
					return
				}
			}
		}
	}
}

// note keeps the first signal.
func (w *signalWatch) note(s os.Signal) {
	if s, ok := s.(syscall.Signal); ok {
		w.signal.CompareAndSwap(0, int64(s))
	}
}

// received returns the signal that came, or 0.
func (w *signalWatch) received() syscall.Signal { return syscall.Signal(w.signal.Load()) }

// release ends the watching just before the command takes over: from here on
// signals have their default effect. One that was caught up to now ends the
// process after all.
func (w *signalWatch) release() {
	if w.caught == nil {
		return
	}
	signal.Stop(w.caught)
	close(w.done)
	<-w.ended
	if s := w.received(); s != 0 {
		w.die(s)
	}
}

// die ends the process the way the signal would have, so that a parent sees
// which it was. Where that is impossible, for PID 1 and for signals that the
// runtime handles in its own way, it exits with the status a shell would give.
func (w *signalWatch) die(s syscall.Signal) {
	signal.Stop(w.caught)
	switch s {
	case syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM:
		if os.Getpid() != 1 {
			signal.Reset(s)
			_ = syscall.Kill(os.Getpid(), s)
			select {} // until it is delivered
		}
	}
	os.Exit(128 + int(s))
}
