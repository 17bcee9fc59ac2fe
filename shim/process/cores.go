package process

import "golang.org/x/sys/unix"

// DisableCoreDumps has this process leave no core, which would hold its secrets,
// until restore is called. The command is to be started after that: it inherits
// the limit.
func DisableCoreDumps() (restore func()) {
	var inherited unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &inherited); err != nil {
		return func() {}
	}
	// Not 0: a program that core_pattern names, like systemd-coredump, gets a core
	// at any limit but 1, and no file is as small. The hard limit stays, or there
	// would be no way back.
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: min(1, inherited.Max), Max: inherited.Max})
	return func() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &inherited) }
}
