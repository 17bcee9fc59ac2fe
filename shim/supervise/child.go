package supervise

import (
	"fmt"
	"os"
	"syscall"

	"github.com/agent-secret-store/ass-exec/shim/process"
)

// start runs cmd as the leader of a process group of its own: what the
// terminal sends to the command does not reach it a second time through us.
func (s *Supervisor) start(cmd process.Command) error {
	attr := &syscall.ProcAttr{
		Env:   cmd.Env,
		Files: []uintptr{0, descriptor(s.opts.Stdout, 1), descriptor(s.opts.Stderr, 2)},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Foreground: s.tty.canForeground()},
	}
	dieWithParent(attr.Sys)

	var pid int
	var err error
	s.allowCores()
	s.signals.asInherited(s.opts.Blocked, func() {
		pid, err = syscall.ForkExec(cmd.Path, cmd.Argv, attr)
	})
	process.DisableCoreDumps()
	if err != nil {
		if attr.Sys.Foreground {
			_ = s.tty.set(s.tty.own) // it had got that far
		}
		return &os.PathError{Op: "exec", Path: cmd.Path, Err: err}
	}
	s.pid, s.group = pid, pid
	s.opts.Info(fmt.Sprintf("started the command, pid %d", pid))
	return nil
}

// descriptor returns f's descriptor, blocking as a command expects, or std.
func descriptor(f *os.File, std uintptr) uintptr {
	if f == nil {
		return std
	}
	return f.Fd()
}

// forward passes a received signal on to the command.
func (s *Supervisor) forward(sig syscall.Signal) {
	if s.signals.ends(sig, s.onExit != exit) {
		// The user's word is the last one: from here on it is as if
		// only this signal had been sent, and nobody waits for the end.
		s.onExit, s.ending = exit, true
		s.timer.Stop()
		s.status = 128 + int(sig) // unless a command is left to decide
	}
	switch {
	case s.pid == 0:
		s.pending = append(s.pending, sig)
	case sig == syscall.SIGCONT && s.tty != nil:
		s.resume()
	default:
		s.send(sig)
	}
}

// send delivers sig to the command, or to its group if so configured.
func (s *Supervisor) send(sig syscall.Signal) {
	to, name := s.pid, fmt.Sprintf("pid %d", s.pid)
	if s.opts.Group {
		to, name = -s.group, fmt.Sprintf("process group %d", s.group)
	}
	switch err := syscall.Kill(to, sig); err {
	case nil:
		s.opts.Info(fmt.Sprintf("sent %s to %s", signalName(sig), name))
	case syscall.ESRCH:
	default:
		s.opts.Warn(fmt.Sprintf("%s did not reach the command (%v): the command was not signalled; run it as the user that runs ass-exec", signalName(sig), err))
	}
}

// sendGroup delivers sig to all that is left of the command's process group.
func (s *Supervisor) sendGroup(sig syscall.Signal) {
	syscall.Kill(-s.group, sig) // gone is what we want it to be
}

func groupExists(group int) bool {
	return syscall.Kill(-group, 0) != syscall.ESRCH
}

// ended records the end of the command.
func (s *Supervisor) ended(ws syscall.WaitStatus) {
	s.pid = 0
	s.status = exitStatus(ws)
	s.opts.Info("the command " + howItEnded(ws))
	s.tty.takeForeground(s.group)
	if s.onExit != exit || s.opts.Group {
		// What it leaves would be in the way of the next one.
		s.sendGroup(syscall.SIGTERM)
		s.sendGroup(syscall.SIGCONT)
	}
}

// stopped reacts to a stop of the command on a terminal, where a shell waits
// for us and not for the command.
func (s *Supervisor) stopped(sig syscall.Signal) {
	if s.tty == nil {
		return
	}
	switch sig {
	case syscall.SIGTTIN, syscall.SIGTTOU:
		if s.tty.setForeground(s.group) {
			s.sendGroup(syscall.SIGCONT)
			return
		}
	case syscall.SIGTSTP:
	default: // somebody's kill -STOP, and theirs to continue
		return
	}
	switch {
	case !orphaned():
		syscall.Kill(0, syscall.SIGSTOP) // goes on at the SIGCONT of fg or bg
	case sig == syscall.SIGTSTP:
		// Nobody could say fg. In our place the kernel would not have
		// stopped the command at all.
		s.sendGroup(syscall.SIGCONT)
	}
}

// resume continues the command's whole group, as the shell's fg and bg do,
// in the foreground if that is where the shell has put us.
func (s *Supervisor) resume() {
	s.tty.setForeground(s.group)
	s.sendGroup(syscall.SIGCONT)
	s.opts.Info(fmt.Sprintf("sent SIGCONT to process group %d", s.group))
}
