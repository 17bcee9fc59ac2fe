//go:build !linux

package supervise

// wipeKernelEnviron does nothing: there is no /proc/PID/environ here.
func wipeKernelEnviron([]string) error { return nil }
