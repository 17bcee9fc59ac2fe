package main

import (
	"errors"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/shim"
	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mask"
	"github.com/agent-secret-store/ass-exec/shim/supervise"
	"github.com/agent-secret-store/ass-exec/vault"
)

// outputFilter is between the command's output and ours, and replaces secrets
// in it. Without --mask it is nil.
type outputFilter struct {
	filter         *mask.Filter
	stdout, stderr *os.File // where the command writes; nil for a terminal, which is left alone
}

// newOutputFilter leaves a terminal alone, but not that of a CI system, which is
// the log of a job.
func newOutputFilter(cfg shim.Config, secrets []vault.Secret) (*outputFilter, error) {
	// The spellings of a large secret come and go: memory is dearer than time.
	debug.SetGCPercent(20)
	f := &outputFilter{filter: mask.NewFilter(reveal(secrets))}
	for _, s := range []struct{ end, to **os.File }{{&f.stdout, &os.Stdout}, {&f.stderr, &os.Stderr}} {
		if isTerminal(*s.to) && !cfg.InCI() {
			continue
		}
		var err error
		if *s.end, err = f.filter.Pipe(patient{*s.to}); err != nil {
			return nil, &exit.Error{Code: exit.CannotRun, Msg: "--mask: " + err.Error(), Hint: "check the limit of open files", Err: err}
		}
	}
	return f, nil
}

// patient writes to a file that whoever shares it may have made non-blocking
// since our start, as Node.js does with its stdout: it waits instead of failing.
type patient struct{ *os.File }

func (p patient) Write(b []byte) (written int, err error) {
	for {
		n, err := p.File.Write(b[written:])
		if written += n; !errors.Is(err, unix.EAGAIN) {
			return written, err
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(p.Fd()), Events: unix.POLLOUT}}, -1)
	}
}

func reveal(secrets []vault.Secret) []string {
	values := make([]string, len(secrets))
	for i, s := range secrets {
		values[i] = s.Reveal()
	}
	return values
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), ioctlGetTermios)
	return err == nil
}

// warn says once that what goes to a terminal is not masked: otherwise nobody
// would notice before a secret is on the screen.
func (f *outputFilter) warn(report *reporter) {
	switch {
	case f.stdout == nil && f.stderr == nil:
		report.log.Warn("--mask: stdout and stderr are a terminal, and nothing is masked")
	case f.stdout == nil:
		report.log.Warn("--mask: stdout is a terminal, and not masked")
	case f.stderr == nil:
		report.log.Warn("--mask: stderr is a terminal, and not masked")
	}
}

// change makes the filter replace the secrets of a new command.
func (f *outputFilter) change(secrets []vault.Secret) {
	if f != nil {
		f.filter.Change(reveal(secrets))
	}
}

// finishLimit is longer than the filter waits for processes left behind.
const finishLimit = 2 * time.Second

// finish writes what is left once the command has ended. Where nobody reads it,
// that takes for ever, and a signal has to end it, as it would end the command.
func (f *outputFilter) finish(s *supervise.Supervisor) {
	if f == nil {
		return
	}
	done := make(chan struct{})
	go func() {
		f.filter.Close()
		close(done)
	}()
	s.Await(done, finishLimit)
}
