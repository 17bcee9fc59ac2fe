//go:build !keepsignals || !linux

package shim

func restoreSignals() {}
