package mask

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newTestPipe returns what a command has of a filter, and what a process has
// that it leaves behind.
func newTestPipe(t *testing.T, f *Filter, to io.Writer) (command, left *os.File) {
	t.Helper()
	command, err := f.Pipe(to)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(command.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	left = os.NewFile(uintptr(fd), "left")
	t.Cleanup(func() { left.Close() })
	return command, left
}

func TestFilterWaitsForOutputOfProcessesLeftBehind(t *testing.T) {
	var out bytes.Buffer
	f := NewFilter([]string{"hunter2"})
	f.drain = time.Hour
	command, left := newTestPipe(t, f, &out)
	io.WriteString(command, "hun")
	closed := make(chan bool)
	go func() {
		f.Close()
		close(closed)
	}()
	select {
	case <-closed:
		t.Error("Close does not wait")
	case <-time.After(20 * time.Millisecond): // none is too short for what is right
	}
	io.WriteString(left, "ter2, all of it\n")
	left.Close()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Fatal("Close still waits, for no process")
	}
	if got, want := out.String(), "***, all of it\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Nor does it lose what the command has written by then.
func TestFilterDoesNotWaitForProcessesThatStay(t *testing.T) {
	outs := make([]bytes.Buffer, 2)
	f := NewFilter([]string{"hunter2"})
	f.drain = 0
	for i := range outs {
		command, _ := newTestPipe(t, f, &outs[i])
		io.WriteString(command, "a hunter2 and a hun")
	}
	late := time.AfterFunc(10*time.Second, func() { panic("Close waits") })
	defer late.Stop()
	f.Close()
	for i := range outs {
		if got, want := outs[i].String(), "a *** and a hun"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The first values stay in the environment of a command that only gets a
// signal, and one that takes long to end may have those before the last.
func TestFilterLooksForFewSetsOfValues(t *testing.T) {
	value := func(i int) string { return fmt.Sprintf("value-%03d.", i) }
	f := NewFilter([]string{value(0)})
	size := 0
	for i := 1; i <= 100; i++ {
		f.Change([]string{value(i), value(i)})
		if i == 10 {
			size = len(f.set.nodes)
		}
	}
	if got := len(f.set.nodes); got > size+size/4 {
		t.Errorf("got %d nodes after 100 changes, %d after 10", got, size)
	}
	last := f.set
	f.Change([]string{value(100), value(100)})
	if f.set != last {
		t.Error("the same values make another set")
	}
	var out bytes.Buffer
	command, left := newTestPipe(t, f, &out)
	left.Close()
	for i := 95; i <= 101; i++ {
		io.WriteString(command, value(i%101)+"\n")
	}
	f.Close()
	want := value(95) + "\n" + value(96) + "\n" + value(97) + "\n***\n***\n***\n***\n"
	if got := out.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestChangeOfValuesIsSeamless(t *testing.T) {
	long := randomText(5 * blockSize)
	for _, tt := range []struct {
		name             string
		before, after    []string // values
		first, then      string
		wantFirst, wants string // before the change, and then
	}{
		{"half of an old one", []string{"hunter2"}, []string{"hunter2", "another"}, "=hun", "ter2 another", "=", "*** ***"},
		{"half of an old one that is no more", []string{"hunter2"}, []string{"another"}, "=hun", "ter2 another", "=", "hunter2 ***"},
		{"half of a new one", []string{"hunter2"}, []string{"hunter2", "unter3"}, "=hun", "ter3.", "=", "h***."},
		{"all of a new one", []string{"hunter2"}, []string{"hunt"}, "=hunt", ".", "=", "***."},
		{"a known part of an old one", []string{"pass", "password"}, []string{"another"}, "passw", "ord", "", "***word"},
		{"a long one, in its head", []string{long}, []string{long, "another"}, long[:9], long[9:], "", "***"},
		{"a long one, in a block", []string{long}, []string{long, "another"}, long[:blockSize+9], long[blockSize+9:] + ".", "***", "***."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			w, _ := newTestWriter(&out, tt.before...)
			io.WriteString(w, tt.first)
			if got := out.String(); got != tt.wantFirst {
				t.Errorf("before: got %q, want %q", got, tt.wantFirst)
			}
			w.Use(New(tt.after))
			io.WriteString(w, tt.then)
			w.Close()
			want := tt.wantFirst + tt.wants
			if got := out.String(); got != strings.ReplaceAll(want, "******", "***") {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestNewValuesAreReplacedInEveryPipe(t *testing.T) {
	outs := make([]bytes.Buffer, 2)
	f := NewFilter([]string{"hunter2"})
	var commands []*os.File
	for i := range outs {
		command, left := newTestPipe(t, f, &outs[i])
		left.Close()
		commands = append(commands, command)
	}
	f.Change([]string{"correct horse"})
	for _, command := range commands {
		io.WriteString(command, "hunter2, correct horse\n")
	}
	f.Close()
	for i := range outs {
		if got, want := outs[i].String(), "***, ***\n"; got != want {
			t.Errorf("pipe %d: got %q, want %q", i, got, want)
		}
	}
}
