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
	t.Cleanup(func() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &before) })
	for _, inherited := range []uint64{0, before.Max} {
		if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: inherited, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
		restore := DisableCoreDumps()
		if got := soft(); got != min(1, before.Max) {
			t.Errorf("forbidden: got %d, want 1", got)
		}
		if restore(); soft() != inherited {
			t.Errorf("allowed: got %d, want %d", soft(), inherited)
		}
	}
}
