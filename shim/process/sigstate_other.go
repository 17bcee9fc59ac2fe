//go:build !keepsignals || !linux

package process

import "syscall"

func restoreSignals() {}

// InheritedSignals does not know: see the file for builds with keepsignals.
func InheritedSignals() (ignored, blocked []syscall.Signal) { return nil, nil }

// IgnoreSignals has nothing to ignore where InheritedSignals knows of none.
func IgnoreSignals([]syscall.Signal) (undo func()) { return func() {} }

// IgnoreAtExec does nothing: see the file for builds with keepsignals.
func IgnoreAtExec(syscall.Signal) {}
