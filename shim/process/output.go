package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Output runs the command to its end, in a process group of its own, and
// returns what it writes to stdout. It has no stdin, and the terminal if that is
// ours, to ask a human for a PIN. The group is killed where
// ctx ends first, and with every other failure; the error is then ctx's, or
// says what became of the command without a word of its output.
func (c *Command) Output(ctx context.Context, limit int64, stderr *os.File) ([]byte, error) {
	tty := openForeground()
	defer tty.close()
	pid, r, err := c.startPiped(tty, stderr)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	defer tty.takeForeground(pid)
	kill := func() { _ = syscall.Kill(-pid, syscall.SIGKILL) }
	stop := context.AfterFunc(ctx, func() {
		kill()
		_ = r.SetReadDeadline(time.Unix(1, 0)) // whoever left the group may hold the other end
	})
	defer stop()
	stopped := make(chan syscall.WaitStatus, 1)
	go func() {
		ws := awaitStop(pid)
		if ws.Stopped() {
			kill() // nobody could have it go on
		}
		stopped <- ws
	}()
	out, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil || int64(len(out)) > limit {
		kill()
	}
	end := <-stopped
	if ws := await(pid); !end.Stopped() {
		end = ws
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	case int64(len(out)) > limit:
		return nil, fmt.Errorf("printed more than %d bytes", limit)
	case !end.Exited() || end.ExitStatus() != 0:
		kill()
		tty.passSignal(ctx, end)
		return nil, errors.New(describeStatus(end))
	}
	return out, nil
}

// startPiped starts the command and returns the pipe from its stdout.
func (c *Command) startPiped(tty *foreground, stderr *os.File) (pid int, r *os.File, err error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, nil, err
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return 0, nil, err
	}
	defer w.Close()
	run := c.ByShell()
	pid, err = syscall.ForkExec(run.Path, run.Argv, &syscall.ProcAttr{
		Env: run.Env, Files: []uintptr{null.Fd(), w.Fd(), stderr.Fd()}, Sys: tty.attr(),
	})
	if err != nil {
		r.Close()
		tty.takeForeground(0)
		return 0, nil, c.Failure(err)
	}
	return pid, r, nil
}

// await reaps a child and returns how it ended.
func await(pid int) (ws syscall.WaitStatus) {
	for {
		if _, err := syscall.Wait4(pid, &ws, 0, nil); err != syscall.EINTR {
			return ws
		}
	}
}

func describeStatus(ws syscall.WaitStatus) string {
	switch {
	case ws.Stopped():
		sig := ws.StopSignal()
		return fmt.Sprintf("was stopped by signal %d (%s)", int(sig), sig)
	case ws.Signaled():
		sig := ws.Signal()
		return fmt.Sprintf("was ended by signal %d (%s)", int(sig), sig)
	}
	return fmt.Sprintf("ended with status %d", ws.ExitStatus())
}

// foreground is the terminal of our session while our process group is the one
// that it listens to; nil if that is not so. From any other group it would stop
// who reads from it.
type foreground struct {
	fd  int
	own int // our process group
	// undo ends the ignoring of SIGTTOU, which would stop who sets another group.
	undo func()
}

func openForeground() *foreground {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	f := &foreground{fd: fd, own: unix.Getpgrp(), undo: func() {}}
	if !f.is(f.own) {
		unix.Close(fd)
		return nil
	}
	if ignored, _ := InheritedSignals(); !slices.Contains(ignored, syscall.SIGTTOU) {
		signal.Ignore(syscall.SIGTTOU)
		f.undo = func() { signal.Reset(syscall.SIGTTOU) }
	}
	return f
}

func (f *foreground) is(group int) bool {
	now, err := unix.IoctlGetInt(f.fd, unix.TIOCGPGRP)
	return err == nil && now == group
}

func (f *foreground) attr() *syscall.SysProcAttr {
	if f == nil {
		return &syscall.SysProcAttr{Setpgid: true}
	}
	return &syscall.SysProcAttr{Setpgid: true, Foreground: true, Ctty: f.fd}
}

// passSignal has a key that ended the command, such as Ctrl-C, end what started
// it as well: the terminal sent the signal to the command's group alone.
func (f *foreground) passSignal(ctx context.Context, end syscall.WaitStatus) {
	if f == nil || end.Signal() != syscall.SIGINT && end.Signal() != syscall.SIGQUIT {
		return
	}
	_ = syscall.Kill(0, end.Signal())
	select {
	case <-ctx.Done():
	case <-time.After(time.Second): // it is ignored here
	}
}

// takeForeground takes the terminal back from the command's group, or from that of
// one that came no further (0).
func (f *foreground) takeForeground(group int) {
	if f != nil && (group == 0 || f.is(group)) {
		_ = unix.IoctlSetPointerInt(f.fd, unix.TIOCSPGRP, f.own)
	}
}

func (f *foreground) close() {
	if f != nil {
		unix.Close(f.fd)
		f.undo()
	}
}
