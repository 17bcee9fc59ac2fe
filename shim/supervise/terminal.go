package supervise

import "golang.org/x/sys/unix"

// A terminal is the one that controls our session. It sends Ctrl-C, Ctrl-Z
// and resizes to its foreground process group and lets no other group read,
// so it has to know of the command's. A nil terminal does nothing.
type terminal struct {
	fd  int
	own int // our process group
}

// findTerminal returns the controlling terminal, if one of our standard
// streams is it.
func findTerminal() *terminal {
	for fd := range 3 {
		t := &terminal{fd: fd, own: unix.Getpgrp()}
		if _, err := t.foreground(); err == nil {
			return t
		}
	}
	return nil
}

// foreground fails on what is not the terminal of our session.
func (t *terminal) foreground() (group int, err error) {
	return unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
}

// canForeground reports whether a new command is to start in the foreground:
// if we are there and its input is the terminal. In "ass-exec … </dev/null |
// less" less needs it more, and a command that reads it after all is stopped,
// and gets it then.
func (t *terminal) canForeground() bool {
	return t != nil && t.fd == 0 && t.isForeground(t.own)
}

// setForeground makes group the foreground if we are, and reports whether it did.
func (t *terminal) setForeground(group int) bool {
	return t.isForeground(t.own) && t.set(group) == nil
}

// takeForeground takes the terminal back from group, for the script around us
// or the next command.
func (t *terminal) takeForeground(group int) {
	if t != nil && t.isForeground(group) {
		_ = t.set(t.own) // fails if the terminal is gone, and the need for it
	}
}

func (t *terminal) isForeground(group int) bool {
	foreground, err := t.foreground()
	return err == nil && foreground == group
}

// set may be called from the background: we ignore SIGTTOU.
func (t *terminal) set(group int) error {
	return unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, group)
}
