package supervise

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/shim/process"
)

// deadline is how long a test waits for what should take milliseconds.
const deadline = time.Minute

// The test binary is also the processes under test: ROLE says which.
var roles = map[string]func(args []string) int{
	"init":    initRole,
	"lame":    lameRole,
	"catcher": catcherRole,
	"neglect": neglectRole,
	"leaver":  leaverRole,
}

func TestMain(m *testing.M) {
	if role, ok := roles[os.Getenv("ROLE")]; ok {
		os.Exit(role(os.Args[1:]))
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // or each process takes a second to end
	// What nohup or a shell's & ignores is not for the processes under test:
	// they get the default effect of a signal that is caught here.
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	os.Exit(m.Run())
}

// initRole is the init under test around the command args.
func initRole(args []string) int {
	var opts Options
	flags := flag.NewFlagSet("init", flag.ExitOnError)
	flags.BoolVar(&opts.Group, "g", false, "")
	flags.DurationVar(&opts.StopTimeout, "stop-timeout", time.Minute, "")
	flags.Func("ignored", "", signalsFlag(&opts.Ignored))
	flags.Func("blocked", "", signalsFlag(&opts.Blocked))
	raise := flags.Int("raise", 0, "signal to get before the command is started")
	forget := flags.Bool("forget", false, "say when the command's environment is garbage")
	wipe := flags.String("wipe", "", "variable to wipe")
	requests := flags.Bool("requests", false, "read requests from descriptor 3")
	flags.Parse(args)

	opts.Warn = func(message string) { fmt.Fprintln(os.Stderr, "warning:", message) }
	s := New(opts)
	if *raise != 0 {
		syscall.Kill(os.Getpid(), syscall.Signal(*raise))
	}
	if *wipe != "" {
		if err := WipeEnviron(*wipe); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	command := func(generation string) process.Command {
		path, err := exec.LookPath(flags.Arg(0))
		if err != nil {
			path = flags.Arg(0)
		}
		env := append(without(os.Environ(), "ROLE"), "ROLE="+os.Getenv("CHILD_ROLE"), "GENERATION="+generation)
		if *forget {
			runtime.AddCleanup(&env[0], func(g string) { fmt.Println("forgot", g) }, generation)
		}
		return process.Command{Path: path, Argv: flags.Args(), Env: env}
	}
	if *requests {
		go serveRequests(s, command)
	}
	status, err := s.Run(command("1"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 127
	}
	return status
}

func serveRequests(s *Supervisor, command func(string) process.Command) {
	lines := bufio.NewScanner(os.NewFile(3, "requests"))
	for lines.Scan() {
		verb, arg, _ := strings.Cut(lines.Text(), " ")
		switch verb {
		case "restart":
			s.Restart(command(arg))
		case "restart-missing":
			s.Restart(process.Command{Path: "/missing", Argv: []string{"missing"}})
		case "restart-ended":
			s.request(func() {
				syscall.Kill(s.pid, syscall.SIGINT)
				unix.Waitid(unix.P_PID, s.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
				s.next = command(arg)
				s.stop(restart)
			})
		case "collect":
			s.request(runtime.GC)
		case "stop":
			s.Stop()
		case "signal":
			n, _ := strconv.Atoi(arg)
			s.Signal(syscall.Signal(n))
		}
	}
}

// lameRole shows that a test can fail: it is what an application is as PID 1,
// deaf to signals and waiting for its own child only.
func lameRole(args []string) int {
	signal.Notify(make(chan os.Signal, 1))
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	path, err := exec.LookPath(args[0])
	if err != nil {
		return 127
	}
	env := append(without(os.Environ(), "ROLE"), "ROLE="+os.Getenv("CHILD_ROLE"))
	pid, err := syscall.ForkExec(path, args, &syscall.ProcAttr{Env: env, Files: []uintptr{0, 1, 2}})
	if err != nil {
		return 127
	}
	var ws syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(pid, &ws, 0, nil); err != syscall.EINTR {
			return exitStatus(ws)
		}
	}
}

// catcherRole prints the number of each signal it gets, until the end of its
// standard input.
func catcherRole([]string) int {
	c := make(chan os.Signal, 100)
	for sig := range lastSignal + 1 {
		if sig != 0 && sig != syscall.SIGURG {
			signal.Notify(c, sig)
		}
	}
	go func() {
		for sig := range c {
			fmt.Println(int(sig.(syscall.Signal)))
		}
	}()
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	return 0
}

// neglectRole leaves its process group but for a child, which it never waits
// for: the group then outlives even SIGKILL, as a zombie.
func neglectRole([]string) int {
	group := unix.Getpgrp()
	unix.Setpgid(0, 0)
	syscall.ForkExec("/bin/sleep", []string{"sleep", "1000"}, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{Setpgid: true, Pgid: group},
	})
	fmt.Println("neglect")
	for {
		unix.Pause()
	}
}

// leaverRole leaves its process group, deaf to SIGTERM, until the end of its
// standard input.
func leaverRole([]string) int {
	signal.Ignore(syscall.SIGTERM)
	child, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "1000"}, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err == nil {
		err = unix.Setpgid(0, child)
	}
	if err != nil {
		return 1
	}
	fmt.Println("left", os.Getenv("GENERATION"))
	io.Copy(io.Discard, os.Stdin)
	return 0
}

func signalsFlag(to *[]syscall.Signal) func(string) error {
	return func(s string) error {
		for _, word := range strings.Split(s, ",") {
			n, err := strconv.Atoi(word)
			if err != nil {
				return err
			}
			*to = append(*to, syscall.Signal(n))
		}
		return nil
	}
}

func without(env []string, name string) []string {
	return slices.DeleteFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") })
}

// A roleProcess is one of the roles, running.
type roleProcess struct {
	t        *testing.T
	cmd      *exec.Cmd
	in       io.WriteCloser
	requests io.WriteCloser
	out      *bufio.Reader
	stderr   *os.File
	pid      int // of the role; cmd's may be unshare's
}

// where an init runs.
var asPID1 = []string{"unshare", "--pid", "--fork", "--mount-proc", "--kill-child"}

// launch starts a role behind the words of prefix, with a pipe to and from
// the command args name.
func launch(t *testing.T, prefix []string, role string, args ...string) *roleProcess {
	t.Helper()
	argv := append(slices.Clone(prefix), append([]string{testBinary(t)}, args...)...)
	p := &roleProcess{t: t, cmd: exec.Command(argv[0], argv[1:]...)}
	p.cmd.Env = append(os.Environ(), "ROLE="+role, "CHILD_ROLE=catcher")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	p.in = must(p.cmd.StdinPipe())
	p.out = bufio.NewReader(must(p.cmd.StdoutPipe()))
	p.start()
	if len(prefix) > 0 {
		eventually(t, "the role runs", func() bool {
			children := childrenOf(p.cmd.Process.Pid)
			if len(children) == 1 {
				p.pid = children[0]
			}
			// Or it ran, and nobody looked.
			return len(children) == 1 || strings.HasPrefix(statusLine(p.cmd.Process.Pid, "State"), "Z")
		})
	}
	return p
}

// start starts what launch and onTerminal have prepared.
func (p *roleProcess) start() {
	p.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Close()
	p.requests = w
	p.cmd.ExtraFiles = []*os.File{r}
	p.stderr = must(os.CreateTemp(p.t.TempDir(), "stderr"))
	if p.cmd.Stderr == nil {
		p.cmd.Stderr = p.stderr
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.pid = p.cmd.Process.Pid
	p.t.Cleanup(p.end)
}

func (p *roleProcess) end() {
	p.cmd.Process.Kill()
	p.in.Close()
	p.requests.Close()
	p.sweep()
	p.cmd.Wait()
	if message := p.errors(); p.t.Failed() && message != "" {
		p.t.Logf("stderr: %s", message)
	}
	p.stderr.Close()
}

// sweep kills what a role has left behind: it is still in its session. What
// is killed may have forked since the list was made, so it takes a list that
// shows nothing.
func (p *roleProcess) sweep() {
	for end := time.Now().Add(deadline); p.killSession() && time.Now().Before(end); {
	}
}

// killSession kills the processes of the session, and reports whether any ran.
func (p *roleProcess) killSession() (found bool) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, _ := strconv.Atoi(entry.Name())
		session, _, _ := strings.Cut(statusLine(pid, "NSsid"), "\t") // not what inner namespaces call it
		if session == strconv.Itoa(p.cmd.Process.Pid) && !strings.HasPrefix(statusLine(pid, "State"), "Z") {
			syscall.Kill(pid, syscall.SIGKILL)
			found = true
		}
	}
	return found
}

// errors returns what the role and its command have written to stderr.
func (p *roleProcess) errors() string {
	message, _ := os.ReadFile(p.stderr.Name())
	return string(message)
}

// expect fails unless the next line of output is want.
func (p *roleProcess) expect(want string) {
	p.t.Helper()
	if got := p.line(); got != want {
		p.t.Fatalf("got line %q, want %q", got, want)
	}
}

func (p *roleProcess) line() string {
	p.t.Helper()
	var line string
	var err error
	p.within("a line of output", func() { line, err = p.out.ReadString('\n') })
	if err != nil {
		p.t.Fatalf("after %q: %v", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}

// expectEnd fails if there is any more output.
func (p *roleProcess) expectEnd() {
	p.t.Helper()
	var rest []byte
	p.within("the end of output", func() { rest, _ = io.ReadAll(p.out) })
	if len(rest) > 0 {
		p.t.Fatalf("got output %q, want no more", rest)
	}
}

// status waits for the end and returns the exit status.
func (p *roleProcess) status() int {
	p.t.Helper()
	var err error
	p.within("the end", func() { err = p.cmd.Wait() })
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *roleProcess) kill(sig syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(p.pid, sig); err != nil {
		p.t.Fatalf("kill %d: %v", sig, err)
	}
}

func (p *roleProcess) request(format string, args ...any) {
	fmt.Fprintf(p.requests, format+"\n", args...)
}

func (p *roleProcess) within(what string, do func()) {
	p.t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
	case <-time.After(deadline):
		p.sweep()
		<-done
		p.t.Fatalf("waited too long for %s", what)
	}
}

// eventually polls for what has no event to wait for.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited too long until %s", what)
		}
	}
}

func childrenOf(pid int) (pids []int) {
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, thread := range threads {
		list, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, thread.Name()))
		for _, word := range strings.Fields(string(list)) {
			n, _ := strconv.Atoi(word)
			pids = append(pids, n)
		}
	}
	return pids
}

// statusLine returns a field of /proc/PID/status, or "" once it is gone.
func statusLine(pid int, field string) string {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if name, value, _ := strings.Cut(line, ":"); name == field {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func testBinary(t *testing.T) string {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// needPID1 skips where no PID namespace may be made, except in CI.
func needPID1(t *testing.T) {
	t.Helper()
	out, err := exec.Command(asPID1[0], append(asPID1[1:], "true")...).CombinedOutput()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("no PID namespace: %v: %s", err, out)
	default:
		t.Skipf("needs a PID namespace: %s", bytes.TrimSpace(out))
	}
}
