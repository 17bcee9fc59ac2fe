//go:build keepsignals

package process

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExecPassesOnWhatIsIgnoredAndBlocked(t *testing.T) {
	env, err := exec.LookPath("env")
	needTool(t, err == nil && exec.Command(env, "--block-signal=USR1", "true").Run() == nil, "env of coreutils")
	for _, args := range [][]string{
		{},
		{"--ignore-signal=PIPE"},
		{"--ignore-signal=HUP,INT,QUIT,USR1,CHLD", "--block-signal=TERM,USR2,RTMAX"},
		{"--ignore-signal=TSTP,TTIN,TTOU,CONT"},
	} {
		const show = "grep -E '^Sig(Blk|Ign)' /proc/self/status"
		state := func(command ...string) string {
			cmd := becoming(Command{Path: "/bin/sh", Argv: []string{"sh", "-c", show}, Env: []string{"PATH=/usr/bin:/bin"}})
			cmd.Path, cmd.Args = env, slices.Concat([]string{"env"}, args, command)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			return string(out)
		}
		got, want := state(fmt.Sprintf("/proc/%d/exe", os.Getpid())), state("/bin/sh", "-c", show)
		if got != want {
			t.Errorf("%s:\ngot\n%swithout us\n%s", strings.Join(args, " "), got, want)
		}
	}
}

func TestInheritedSignalsAreFound(t *testing.T) {
	real, _ := InheritedSignals() // make starts its commands with 32 and 33 ignored
	defer pretend(&fwdSig[unix.SIGUSR1], sigIgn)()
	defer pretend(&fwdSig[len(fwdSig)-1], sigIgn)()
	defer pretend(&initSigmask, 1<<(unix.SIGTERM-1)|1|1<<63)()
	signal.Ignore(syscall.SIGCONT) // the runtime leaves it alone until then
	defer signal.Reset(syscall.SIGCONT)
	ignored, blocked := InheritedSignals()
	want := append(real, syscall.SIGUSR1, syscall.SIGCONT, 64)
	slices.Sort(want)
	if want = slices.Compact(want); !slices.Equal(ignored, want) {
		t.Errorf("ignored: got %v, want %v", ignored, want)
	}
	if want := []syscall.Signal{1, syscall.SIGTERM, 64}; !slices.Equal(blocked, want) {
		t.Errorf("blocked: got %v, want %v", blocked, want)
	}
}

func TestUnknownGoIsRefused(t *testing.T) {
	tool, err := exec.LookPath("go")
	needTool(t, err == nil, "go")
	out, err := exec.Command(tool, "build", "-tags", "keepsignals,go1.27", ".").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "signal_state_is_not_known_for_this_Go_version") {
		t.Errorf("got %s, %v", out, err)
	}
}

// pretend has the runtime remember another start.
func pretend[T any](what *T, value T) (undo func()) {
	before := *what
	*what = value
	return func() { *what = before }
}

func TestSignalsAreRestoredForAnExec(t *testing.T) {
	defer pretend(&fwdSig[1], sigIgn)()
	defer pretend(&fwdSig[64], sigIgn)()
	defer pretend(&initSigmask, 1<<(unix.SIGUSR2-1))()
	hangup, last := sigaction(1, nil), sigaction(64, nil)
	defer sigaction(1, &hangup)
	defer sigaction(64, &last)
	type state struct {
		first, last, between bool
		mask                 unix.Sigset_t
	}
	restored := make(chan state)
	go func() { // the mask is a thread's own, and the thread ends with this
		restoreSignals()
		var s state
		for sig, ignored := range map[int]*bool{1: &s.first, 64: &s.last, 12: &s.between} {
			now := sigaction(sig, nil)
			*ignored = now.ignores()
		}
		_ = unix.PthreadSigmask(0, nil, &s.mask)
		restored <- s
	}()
	want := state{first: true, last: true}
	want.mask.Val[0] = 1 << (unix.SIGUSR2 - 1)
	if got := <-restored; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestIgnoredSignalsAreHandledAgain(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGSEGV, syscall.SIGUSR1} {
		before, handling := sigaction(int(sig), nil), handlingSig[sig]
		undo := IgnoreSignals([]syscall.Signal{sig})
		if now := sigaction(int(sig), nil); !now.ignores() || handlingSig[sig] != 0 {
			t.Errorf("%v: got %v, handled %d", sig, now, handlingSig[sig])
		}
		if undo(); sigaction(int(sig), nil) != before || handlingSig[sig] != handling {
			t.Errorf("%v: got %v, handled %d; want %v, %d", sig, sigaction(int(sig), nil), handlingSig[sig], before, handling)
		}
	}
}
