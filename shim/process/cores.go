package process

import "golang.org/x/sys/unix"

// DisableCoreDumps has this process leave no core file, which would hold its
// secrets, until restore is called. The command is to be started after that:
// it inherits the limit.
func DisableCoreDumps() (restore func()) {
	var inherited unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &inherited); err != nil || inherited.Cur == 0 {
		return func() {}
	}
	// The hard limit stays, or there would be no way back.
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Max: inherited.Max})
	return func() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &inherited) }
}
