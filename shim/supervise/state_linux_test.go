package supervise

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// launchIn launches the init from a shell that has run some commands.
func launchIn(t *testing.T, shell string, args ...string) *roleProcess {
	t.Helper()
	return launch(t, []string{"sh", "-c", shell + `; "$0" "$@"; exit $?`}, "init", args...)
}

// family catches SIGUSR1 and waits for a child that dies of it.
var family = []string{"sh", "-c", `trap "echo caught" USR1
	sh -c "echo ready; exec sleep 1000" & wait $!; wait $!; exit 3`}

func TestGroupGetsSignals(t *testing.T) {
	p := launch(t, nil, "init", append([]string{"-g"}, family...)...)
	p.expect("ready")
	p.kill(syscall.SIGUSR1)
	p.expect("caught")
	if got := p.status(); got != 3 {
		t.Errorf("got status %d, want 3", got)
	}
}

func TestCommandAloneGetsSignals(t *testing.T) {
	p := launch(t, nil, "init", family...)
	p.expect("ready")
	p.kill(syscall.SIGUSR1)
	p.expect("caught")
	if left := childrenOf(childrenOf(p.pid)[0]); len(left) != 1 {
		t.Errorf("got %d children of the command, want 1", len(left))
	}
}

func TestRestOfGroupIsToldToEnd(t *testing.T) {
	p := launch(t, nil, "init", "-g", "sh", "-c", `
		(trap "echo told; exit" TERM; echo ready; while :; do sleep 0.01; done) &
		read x; exit 4`)
	p.expect("ready")
	p.in.Close()
	p.expect("told")
	if got := p.status(); got != 4 {
		t.Errorf("got status %d, want 4", got)
	}
}

func TestCommandHasInheritedLimit(t *testing.T) {
	p := launchIn(t, "ulimit -Sn 1000", "sh", "-c", "ulimit -Sn")
	p.expect("1000")
}

func TestCommandHasInheritedDescriptors(t *testing.T) {
	p := launchIn(t, "exec 7</dev/zero", "sh", "-c", "ls -l /proc/self/fd | sed -n 's/.* \\([0-9]* -> .dev.zero\\)/\\1/p'")
	p.expect("7 -> /dev/zero")
	p.expectEnd()
}

// signalSets prints what the command ignores and blocks.
var signalSets = []string{"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"}

func TestCommandHasDefaultSignals(t *testing.T) {
	p := launch(t, nil, "init", signalSets...)
	p.expect("SigBlk:\t0000000000000000")
	p.expect("SigIgn:\t" + ignoredMask(t))
}

func TestCommandHasInheritedSignals(t *testing.T) {
	args := append([]string{"-ignored=13,22,2,17,64", "-blocked=21,4,15,64"}, signalSets...)
	p := launchIn(t, "trap '' HUP", args...)
	p.expect("SigBlk:\t" + signalMask(21, 4, 15, 64))
	p.expect("SigIgn:\t" + ignoredMask(t, 1, 13, 22, 2, 64))
}

// What is blocked for the command alone must still reach it through the init.
func TestInitBlocksNothingOfItsOwn(t *testing.T) {
	p := launch(t, nil, "init", "-blocked=10,64", "sh", "-c", "echo ready; exec cat")
	p.expect("ready")
	eventually(t, "no thread blocks a signal", func() bool {
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.pid))
		for _, thread := range threads {
			id := must(strconv.Atoi(thread.Name()))
			if statusLine(id, "SigBlk") != signalMask() {
				return false
			}
		}
		return err == nil && len(threads) > 0
	})
}

func TestNohupStillLetsCommandCatchHangup(t *testing.T) {
	p := launchIn(t, "trap '' HUP", testBinary(t))
	p.expect("ready")
	p.kill(syscall.SIGHUP)
	p.expect("1")
}

// ignoredMask is signalMask with those of the C library's own signals, 32 and
// 33, that whoever started the tests ignores: nobody touches them.
func ignoredMask(t *testing.T, signals ...int) string {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	var ours uint64
	_, line, _ := strings.Cut(string(status), "SigIgn:")
	if _, err := fmt.Sscanf(line, "%x", &ours); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{32, 33} {
		if ours&(1<<(n-1)) != 0 {
			signals = append(signals, n)
		}
	}
	return signalMask(signals...)
}

// signalMask formats signals as /proc/PID/status does.
func signalMask(signals ...int) string {
	var mask uint64
	for _, n := range signals {
		mask |= 1 << (n - 1)
	}
	s := strconv.FormatUint(mask, 16)
	return strings.Repeat("0", 16-len(s)) + s
}

func TestKilledInitLeavesNoCommand(t *testing.T) {
	p := launch(t, nil, "init", testBinary(t))
	p.expect("ready")
	child := childrenOf(p.pid)[0]
	p.kill(syscall.SIGKILL)
	eventually(t, "the command is gone", func() bool {
		state := statusLine(child, "State")
		return state == "" || strings.HasPrefix(state, "Z")
	})
}

// Secrets are in the memory of both; only the command's is its own affair.
func TestCommandMayLeaveACoreAndItsInitNot(t *testing.T) {
	hard := strings.TrimSpace(string(must(exec.Command("sh", "-c", "ulimit -Hc").Output())))
	p := launchIn(t, "ulimit -Sc "+hard, "-requests", "sh", "-c", "ulimit -Sc; exec cat >&2")
	p.expect(hard)
	p.request("restart 2")
	p.expect(hard)
	eventually(t, "the init may not", func() bool {
		var limit unix.Rlimit
		return unix.Prlimit(p.pid, unix.RLIMIT_CORE, nil, &limit) == nil && limit.Cur == min(1, limit.Max)
	})
}

func TestInitForgetsEnvironmentOfCommand(t *testing.T) {
	p := launchWithRequests(t, "-forget", "sh", "-c", "echo started; exec cat")
	p.expect("started")
	p.request("collect")
	p.expect("forgot 1")
	p.request("restart 2")
	p.expect("started")
	p.request("collect")
	p.expect("forgot 2")
}

const canary = "canary-4711-canary"

func TestWipeEnvironLeavesNoTrace(t *testing.T) {
	t.Setenv("KEY", canary)
	t.Setenv("KEPT", "kept")
	p := launch(t, nil, "init", "-wipe=KEY", "sh", "-c", `echo "$KEY,$KEPT"; exec cat`)
	p.expect(",kept")
	environ := environOf(t, p.pid)
	if strings.Contains(environ, canary) {
		t.Error("the key is in /proc/PID/environ")
	}
	if !strings.Contains(environ, "KEPT=kept\x00") {
		t.Error("another variable was wiped")
	}
	if !raceDetector && inMemory(t, p.pid, canary) { // it has copies of its own
		t.Error("the key is in memory")
	}
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || dumpable != 1 {
		t.Errorf("got dumpable %d, %v, want 1", dumpable, err)
	}
}

func TestEnvironThatCannotBeFoundIsAnError(t *testing.T) {
	for stat, want := range map[string]string{
		"1 (a) b) S" + strings.Repeat(" 0", 46) + " 4096 8192 0\n": "4096 8192 <nil>",
		"1 (a) S" + strings.Repeat(" 0", 49) + "\n":                "0 0 /proc/self/stat: no env_start",
		"1 (a) S" + strings.Repeat(" 0", 47) + "\n":                "0 0 /proc/self/stat: no env_start",
	} {
		start, end, err := environArea([]byte(stat))
		if got := fmt.Sprint(start, end, err); got != want {
			t.Errorf("%q: got %s, want %s", stat, got, want)
		}
	}
}

func TestWipeTestCanFail(t *testing.T) {
	t.Setenv("KEY", canary)
	p := launch(t, nil, "init", "cat")
	eventually(t, "the key is seen", func() bool {
		return strings.Contains(environOf(t, p.pid), canary) && inMemory(t, p.pid, canary)
	})
}

func environOf(t *testing.T, pid int) string {
	t.Helper()
	environ, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		t.Fatal(err)
	}
	return string(environ)
}

// inMemory reports whether text is in any memory pid can write.
func inMemory(t *testing.T, pid int, text string) bool {
	t.Helper()
	dir := "/proc/" + strconv.Itoa(pid)
	maps, err := os.ReadFile(dir + "/maps")
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(dir + "/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	for line := range strings.Lines(string(maps)) {
		fields := strings.Fields(line)
		if !strings.HasPrefix(fields[1], "rw") {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		start, _ := strconv.ParseInt(from, 16, 64)
		end, _ := strconv.ParseInt(to, 16, 64)
		area := make([]byte, end-start)
		n, _ := mem.ReadAt(area, start)
		if strings.Contains(string(area[:n]), text) {
			return true
		}
	}
	return false
}
