package process

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestCoreDumpLimitIsRestored(t *testing.T) {
	soft := func() uint64 {
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
			t.Fatal(err)
		}
		return limit.Cur
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: before.Max, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &before) })
	restore := DisableCoreDumps()
	if got := soft(); got != 0 {
		t.Errorf("forbidden: got %d, want 0", got)
	}
	if restore(); soft() != before.Max {
		t.Errorf("allowed: got %d, want %d", soft(), before.Max)
	}
}
