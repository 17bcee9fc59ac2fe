package shim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/shim/process"
)

func TestOnlyWhatHasAnEndIsRead(t *testing.T) {
	dir := t.TempDir()
	fifo, socket := dir+"/fifo", dir+"/socket"
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Symlink(fifo, dir+"/link"); err != nil {
		t.Fatal(err)
	}
	const noFile = ": not a regular file; the only pipe that is read is that of a shell's <(…)"
	for name, want := range map[string]string{
		fifo: "read " + fifo + noFile, dir + "/link": "read " + dir + "/link" + noFile, "/dev/zero": "read /dev/zero" + noFile,
		socket: "open " + socket + ": no such device or address", dir: "read " + dir + ": is a directory",
	} {
		cfg := Config{MappingFile: name, Timeout: time.Minute}
		_, _, problems := readMapping(cfg, newBudget(cfg.Timeout, nil))
		if len(problems) != 1 || problems[0].Msg != "mapping: "+want || problems[0].Code != exit.Config || problems[0].Hint == "" {
			t.Errorf("got %v, want %s", problems, want)
		}
	}
	cfg := Config{KeyFile: fifo}
	if _, err := agentKey(cfg, newBudget(0, nil)); err == nil || err.Msg != "ASS_AGENT_KEY_FILE "+fifo+noFile || err.Code != exit.Config {
		t.Errorf("got %v", err)
	}
	if b, err := newBudget(0, nil).readFile(os.DevNull, 1); err != nil || len(b) != 0 {
		t.Errorf("got %q, %v", b, err)
	}
}

// pipe is a budget to read the pipe of a descriptor, and its other end.
func pipe(t *testing.T, timeout time.Duration) (b *budget, name string, w *os.File, cancel func()) {
	t.Helper()
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("needs a /proc")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return newBudget(timeout, func() context.Context { return ctx }), fmt.Sprintf("/dev/fd/%d", r.Fd()), w, cancel
}

func TestPipeOfADescriptorIsReadToItsEnd(t *testing.T) {
	budget, name, w, _ := pipe(t, 0)
	text := strings.Repeat("x", 200_000) // more than a pipe holds
	go func() {
		_, _ = w.WriteString(text)
		w.Close()
	}()
	if b, err := budget.readFile(name, mapping.MaxSize); err != nil || string(b) != text {
		t.Errorf("got %d bytes, %v", len(b), err)
	}
}

func TestPipeWithoutAnEndIsBoundedByTheBudgetAndByASignal(t *testing.T) {
	budget, name, _, _ := pipe(t, 20*time.Millisecond)
	_, err := budget.readFile(name, mapping.MaxSize)
	if want := "read " + name + ": did not end in time; --timeout is 20ms"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if left := budget.left(); left != 1 {
		t.Errorf("got %s left for the network", left)
	}
	budget, name, _, cancel := pipe(t, 0)
	cancel()
	var pathErr *fs.PathError
	if _, err := budget.readFile(name, mapping.MaxSize); !errors.As(err, &pathErr) {
		t.Errorf("got %v", err)
	}
}

// The kernel's log has the mode of a regular file, and who reads it waits.
func TestRegularFileWithoutAnEndIsBoundedByTheBudget(t *testing.T) {
	const name = "/proc/kmsg"
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("CI needs the right to read it: %v", err)
		}
		t.Skip("needs the right to read " + name)
	}
	defer f.Close()
	_, err = newBudget(20*time.Millisecond, nil).readFile(name, mapping.MaxSize)
	const want = "read " + name + ": did not end in time; --timeout is 20ms"
	if err == nil || err.Error() != want && err.Error() != "read "+name+": larger than 1048576 bytes" {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestWithoutATimeoutThereIsNoDeadline(t *testing.T) {
	for _, timeout := range []time.Duration{0, time.Hour} {
		budget := newBudget(timeout, t.Context)
		ctx, stop := budget.bounded()
		_, bounded := ctx.Deadline()
		if ctx.Err() != nil || bounded != (timeout > 0) {
			t.Errorf("%s: got %v, %v", timeout, bounded, ctx.Err())
		}
		stop()
		if budget.spent <= 0 || budget.left() > timeout {
			t.Errorf("%s: got %s spent, %s left", timeout, budget.spent, budget.left())
		}
	}
}

func TestFIFOIsNoCommand(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := process.LookPath(fifo, nil); err == nil || err.Msg != `command "`+fifo+`" cannot run: `+fifo+" is not a regular file" {
		t.Errorf("got %v", err)
	}
}
