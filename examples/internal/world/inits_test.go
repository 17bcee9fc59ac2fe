//go:build world

package world

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An init is a way to start a command as a container would.
type initUnderTest struct {
	name string
	argv []string
	ours bool
}

func inits() []initUnderTest {
	return []initUnderTest{
		{"ass-exec", []string{assExec, "--"}, true},
		{"--init", []string{assExec, "--init", "--"}, true},
		{"--init=group", []string{assExec, "--init=group", "--"}, true},
		{"--mask", []string{assExec, "--mask", "--"}, true},
		{"tini", []string{"tini", "--"}, false},
		{"dumb-init", []string{"dumb-init", "--"}, false},
		{"catatonit", []string{"catatonit", "--"}, false},
	}
}

// onTTY makes PID 1 the leader of the terminal's session, as an engine does.
var onTTY = append(slices.Clone(asPID1), "setsid", "-c")

// asPID1 is how an init is started where there is nobody else.
var asPID1 = []string{"unshare", "--pid", "--fork", "--mount-proc", "--kill-child"}

// exceptions are what supervise/signals.go and process_linux.go give reasons
// for: signals about the init itself, and those that Go keeps.
const exceptions = "all but PIPE, CHLD, TTIN, TTOU, URG, PROF, 32, 33, 34"

const initsFile = "inits.md"

// claims are the rows: what is asked of each init, and what ours must answer
// in the order ass-exec, --init, --init=group, --mask.
var claims = []struct {
	claim string
	ask   func(*testing.T, initUnderTest) string
	want  [4]string
}{
	{"exit statuses 0 to 255 passed on", exitStatuses, [4]string{"256", "256", "256", "256"}},
	{"ends by the 56 signals that end a command told as 128+n", deaths, [4]string{"–", "56", "56", "56"}},
	{"signals that reach the command, of 1 to 64", forwarded, [4]string{"all", exceptions, exceptions, exceptions}},
	{"ignored by the parent, ignored for the command", func(t *testing.T, i initUnderTest) string { return inherited(t, i, "ignore", "SigIgn:") }, [4]string{"62", "62", "62", "62"}},
	{"blocked by the parent, blocked for the command", func(t *testing.T, i initUnderTest) string { return inherited(t, i, "block", "SigBlk:") }, [4]string{"62", "62", "62", "62"}},
	{"an orphan that ends", orphan, [4]string{"stays a zombie", "is reaped", "is reaped", "is reaped"}},
	{"as a child: an orphan goes to", adopted, [4]string{"others", "the init", "the init", "the init"}},
	{"the command ends, a process of it does not", leave, [4]string{"ends with 7", "ends with 7", "ends with 7", "ends with 7"}},
	{"SIGTERM reaches", family, [4]string{"the command", "the command", "the command and its group", "the command"}},
	{"the command's own are", groups, [4]string{"nothing", "its group", "its group", "its group"}},
	{"kill -9 of the init", killed, [4]string{"is the command's", "ends the command", "ends the command", "ends the command"}},
	{"terminal: the command is in the foreground", foreground, [4]string{"yes", "yes", "yes", "yes"}},
	{"terminal: ^C, ^\\ and ^Z reach the command", keys, [4]string{"all", "all", "all", "all"}},
	{"terminal: a new size is told", resized, [4]string{"yes", "yes", "yes", "yes"}},
	{"terminal: a line and ^D are read", readsTerminal, [4]string{"yes", "yes", "yes", "yes"}},
	{"terminal: a job in the background that reads", background, [4]string{"is stopped", "is stopped", "is stopped", "is stopped"}},
}

// The table says who does what of that which the suites of tini and dumb-init
// ask for, and is made here, so that it cannot be wrong for long.
func TestInitsDoWhatTheTableSays(t *testing.T) {
	subjects := inits()
	cells := make([][]string, len(claims))
	var wg sync.WaitGroup
	slots := make(chan bool, 4)
	for row, c := range claims {
		cells[row] = make([]string, len(subjects))
		for column, subject := range subjects {
			slots <- true
			wg.Go(func() {
				defer func() { <-slots }()
				cells[row][column] = c.ask(t, subject)
			})
		}
	}
	wg.Wait()
	for row, c := range claims {
		for column, subject := range subjects {
			if subject.ours && cells[row][column] != c.want[column] {
				t.Errorf("%s: %s: got %q, want %q", subject.name, c.claim, cells[row][column], c.want[column])
			}
		}
	}
	var table strings.Builder
	table.WriteString("| |")
	for _, s := range subjects {
		fmt.Fprintf(&table, " %s |", s.name)
	}
	table.WriteString("\n| --- |" + strings.Repeat(" --- |", len(subjects)) + "\n")
	for row, c := range claims {
		fmt.Fprintf(&table, "| %s | %s |\n", c.claim, strings.Join(cells[row], " | "))
	}
	compareBlock(t, initsFile, "inits", table.String())
}

// compareBlock demands that what stands between a file's markers is text, or
// puts it there if WORLD_WRITE is set.
func compareBlock(t *testing.T, file, marker, text string) {
	t.Helper()
	old, err := os.ReadFile(file)
	must(t, err)
	begin, end := "<!-- "+marker+": made by make test-world -->\n", "<!-- /"+marker+" -->"
	before, rest, found := strings.Cut(string(old), begin)
	got, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no block %q", file, marker)
	}
	if os.Getenv("WORLD_WRITE") != "" {
		must(t, os.WriteFile(file, []byte(before+begin+text+end+after), 0o644))
	} else if got != text {
		t.Errorf("%s has\n%swant\n%s(WORLD_WRITE=1 writes it)", file, got, text)
	}
}

// initCommand is the probe behind an init, behind the words of prefix.
func (i initUnderTest) command(prefix []string, args ...string) *exec.Cmd {
	argv := slices.Concat(prefix, i.argv, []string{probe}, args)
	cmd := exec.Command(argv[0], argv[1:]...)
	// With its only variable preserved there is nothing to fetch.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "ASS_MAPPING=" + probe + ".env", "X=set", "ASS_PRESERVE_ENV=true", "ASS_AGENT_KEY=unused"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// output runs the probe to its end; the bound is for an init that hangs.
func (i initUnderTest) output(prefix []string, args ...string) (status int, stdout string) {
	cmd := i.command(prefix, args...)
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		return -1, err.Error()
	}
	stop := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer stop.Stop()
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), out.String()
}

func exitStatuses(_ *testing.T, i initUnderTest) string {
	right := 0
	for n := range 256 {
		if status, _ := i.output(asPID1, "exit", strconv.Itoa(n)); status == n {
			right++
		}
	}
	return strconv.Itoa(right)
}

// deaths are not asked where the command is PID 1: no signal that it sends
// itself ends it.
func deaths(_ *testing.T, i initUnderTest) string {
	if i.name == "ass-exec" {
		return "–"
	}
	var wrong []int
	right := 0
	for n := 1; n <= 64; n++ {
		switch syscall.Signal(n) {
		case unix.SIGCHLD, unix.SIGCONT, unix.SIGURG, unix.SIGWINCH, unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
			continue // these end nothing
		}
		if status, _ := i.output(asPID1, "die", strconv.Itoa(n)); status == 128+n {
			right++
		} else {
			wrong = append(wrong, n)
		}
	}
	if len(wrong) > 0 {
		return fmt.Sprintf("%d, not %v", right, wrong)
	}
	return strconv.Itoa(right)
}

// running is a probe that says lines.
type running struct {
	cmd   *exec.Cmd
	pid   int // of the init
	lines chan string
}

func (i initUnderTest) start(t *testing.T, prefix []string, tty *os.File, args ...string) *running {
	cmd := i.command(prefix, args...)
	r := &running{cmd: cmd, lines: make(chan string, 1000)}
	var out *os.File
	if tty != nil {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	} else {
		var w *os.File
		var err error
		if out, w, err = os.Pipe(); err != nil {
			t.Error(err)
			return r
		}
		defer w.Close()
		cmd.Stdout = w
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return r
	}
	if out != nil {
		go r.scan(out)
	}
	r.pid = cmd.Process.Pid
	if len(prefix) > 0 && prefix[0] == "unshare" {
		for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if children := childrenOf(cmd.Process.Pid); len(children) == 1 {
				r.pid = children[0]
				break
			}
		}
	}
	return r
}

// childrenOf are those of all threads.
func childrenOf(pid int) (children []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for _, word := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				children = append(children, child)
			}
		}
	}
	return children
}

func (r *running) scan(from *os.File) {
	defer from.Close()
	defer close(r.lines)
	for s := bufio.NewScanner(from); s.Scan(); {
		r.lines <- strings.TrimRight(s.Text(), "\r")
	}
}

func (r *running) end() {
	_ = r.cmd.Process.Kill()
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	_ = r.cmd.Wait()
}

// until returns the lines before one, and whether it came.
func (r *running) until(line string) (before []string, came bool) {
	deadline := time.After(3 * time.Second)
	for {
		select {
		case l, open := <-r.lines:
			if !open {
				return before, false
			}
			if l == line {
				return before, true
			}
			before = append(before, l)
		case <-deadline:
			return before, false
		}
	}
}

// mark is the last that the kernel hands over of those that wait.
const mark = 64

// flush has the command say all signals that are on the way: of two marks the
// second is sent when the first has arrived, and so behind them all.
func (r *running) flush() (said []string, alive bool) {
	for range 2 {
		_ = syscall.Kill(r.pid, mark)
		lines, came := r.until(fmt.Sprint("command ", mark))
		said = append(said, lines...)
		if !came {
			return said, false
		}
	}
	return said, true
}

func forwarded(t *testing.T, i initUnderTest) string {
	r := i.start(t, asPID1, nil, "listen")
	defer func() { r.end() }()
	if _, ready := r.until("ready 0"); !ready {
		return "does not start"
	}
	var seen []string
	for n := 1; n <= 64; n++ {
		sig := syscall.Signal(n)
		if sig == unix.SIGKILL || sig == unix.SIGSTOP || sig == unix.SIGALRM { // nobody's, and the end
			continue
		}
		if err := syscall.Kill(r.pid, sig); err != nil {
			return fmt.Sprintf("gone before %d", n)
		}
		if n == mark {
			continue // it is part of each flush
		}
		said, alive := r.flush()
		seen = append(seen, said...)
		if !alive { // stopped, for one
			r.end()
			r = i.start(t, asPID1, nil, "listen")
			_, _ = r.until("ready 0")
		}
	}
	said, _ := r.flush() // a thread of the init may be late with one
	seen = append(seen, said...)
	var missing []string
	for n := 1; n < mark; n++ {
		sig := syscall.Signal(n)
		if sig != unix.SIGKILL && sig != unix.SIGSTOP && sig != unix.SIGALRM && !slices.Contains(seen, fmt.Sprint("command ", n)) {
			missing = append(missing, shortName(sig))
		}
	}
	if len(missing) == 0 {
		return "all"
	}
	return "all but " + strings.Join(missing, ", ")
}

func shortName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return strings.TrimPrefix(name, "SIG")
	}
	return strconv.Itoa(int(sig))
}

func inherited(_ *testing.T, i initUnderTest, how, field string) string {
	_, out := i.output(slices.Concat(asPID1, []string{probe, how}), "state")
	for line := range strings.Lines(out) {
		if hex, found := strings.CutPrefix(line, field); found {
			bits, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			if err != nil {
				return err.Error()
			}
			n := 0
			for ; bits != 0; bits &= bits - 1 {
				n++
			}
			return strconv.Itoa(n)
		}
	}
	return "does not start"
}

func orphan(_ *testing.T, i initUnderTest) string {
	_, out := i.output(asPID1, "orphan")
	switch out {
	case "init, reaped\n":
		return "is reaped"
	case "command, Z\n":
		return "stays a zombie"
	}
	return out
}

func adopted(_ *testing.T, i initUnderTest) string {
	_, out := i.output(nil, "orphan")
	if strings.HasPrefix(out, "init,") {
		return "the init"
	}
	return "others"
}

func leave(_ *testing.T, i initUnderTest) string {
	status, _ := i.output(asPID1, "leave")
	return fmt.Sprint("ends with ", status)
}

func family(t *testing.T, i initUnderTest) string {
	r := i.start(t, asPID1, nil, "family")
	defer r.end()
	for range 3 {
		select {
		case <-r.lines:
		case <-time.After(5 * time.Second):
			return "does not start"
		}
	}
	_ = syscall.Kill(r.pid, unix.SIGTERM)
	said, _ := r.flush()
	// The others say it at their own time, but before the end of the marks
	// that they get too; whom nothing reaches says nothing.
	deadline := time.After(300 * time.Millisecond)
	for waiting := true; waiting; {
		select {
		case l := <-r.lines:
			said = append(said, l)
		case <-deadline:
			waiting = false
		}
	}
	var reached []string
	for _, who := range []string{"command 15", "child 15", "stranger 15"} {
		if slices.Contains(said, who) {
			reached = append(reached, map[string]string{"command 15": "the command", "child 15": "its group", "stranger 15": "all"}[who])
		}
	}
	return strings.Join(reached, " and ")
}

func groups(_ *testing.T, i initUnderTest) string {
	_, out := i.output(asPID1, "groups")
	return map[string]string{"- -\n": "nothing", "group -\n": "its group", "group session\n": "its group and session"}[out]
}

// killed is asked outside of a PID namespace, whose end would end all.
func killed(t *testing.T, i initUnderTest) string {
	r := i.start(t, nil, nil, "listen")
	defer r.end()
	if _, ready := r.until("ready 0"); !ready {
		return "is not PID 1 and does not start"
	}
	children := childrenOf(r.pid)
	if len(children) == 0 {
		return "is the command's"
	}
	_ = r.cmd.Process.Kill()
	deadline := time.After(2 * time.Second)
	for {
		select {
		case _, open := <-r.lines:
			if !open {
				return "ends the command"
			}
		case <-deadline:
			_ = syscall.Kill(children[0], syscall.SIGKILL)
			return "leaves it running"
		}
	}
}

// onTerminal starts the probe as a shell would, and returns the other end.
func onTerminal(t *testing.T, i initUnderTest, args ...string) (*os.File, *running) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	n, err2 := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	tty, err3 := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil || err2 != nil || err3 != nil {
		t.Error(err, err2, err3)
	}
	defer tty.Close()
	r := i.start(t, onTTY, tty, args...)
	go r.scan(master)
	return master, r
}

func foreground(t *testing.T, i initUnderTest) string {
	_, r := onTerminal(t, i, "terminal")
	defer r.end()
	if _, came := r.until("foreground 1"); came {
		return "yes"
	}
	return "no"
}

func keys(t *testing.T, i initUnderTest) string {
	master, r := onTerminal(t, i, "terminal")
	defer r.end()
	if _, came := r.until("foreground 1"); !came {
		return "none"
	}
	missing := []string{}
	for _, key := range []struct {
		b    byte
		name string
		sig  syscall.Signal
	}{{3, "^C", unix.SIGINT}, {28, "^\\", unix.SIGQUIT}, {26, "^Z", unix.SIGTSTP}} {
		_, _ = master.Write([]byte{key.b})
		if !r.says(fmt.Sprint("command ", int(key.sig))) {
			missing = append(missing, key.name)
		}
	}
	if len(missing) == 0 {
		return "all"
	}
	return "not " + strings.Join(missing, " ")
}

// says waits for a line that ends so, for the terminal echoes keys before it.
func (r *running) says(line string) bool {
	deadline := time.After(2 * time.Second)
	for {
		select {
		case l, open := <-r.lines:
			if !open {
				return false
			}
			if strings.HasSuffix(l, line) {
				return true
			}
		case <-deadline:
			return false
		}
	}
}

func resized(t *testing.T, i initUnderTest) string {
	master, r := onTerminal(t, i, "terminal")
	defer r.end()
	if _, came := r.until("foreground 1"); !came {
		return "no"
	}
	must(t, unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 44}))
	if r.says("command 28") {
		return "yes"
	}
	return "no"
}

func readsTerminal(t *testing.T, i initUnderTest) string {
	master, r := onTerminal(t, i, "read")
	defer r.end()
	if !r.says("ready 0") {
		return "no"
	}
	_, _ = master.WriteString("line\n")
	line := r.says("read 5")
	_, _ = master.Write([]byte{4})
	if line && r.says("read 0") {
		return "yes"
	}
	return "no"
}

func background(t *testing.T, i initUnderTest) string {
	_, r := onTerminal(t, i, "background")
	defer r.end()
	if r.says("stopped 21") {
		return "is stopped"
	}
	return "reads on"
}

// probe is testdata/probe.c, compiled.
var probe string

func buildProbe(dir string) error {
	probe = filepath.Join(dir, "probe")
	if out, err := exec.Command("gcc", "-O1", "-Wall", "-Werror", "-o", probe, "testdata/probe.c").CombinedOutput(); err != nil {
		return fmt.Errorf("gcc: %w: %s", err, out)
	}
	return os.WriteFile(probe+".env", []byte("X=a/B\n"), 0o644)
}
