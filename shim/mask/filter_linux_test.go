package mask

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// slowWriter takes nothing before it is told to.
type slowWriter struct {
	bytes.Buffer
	began, goOn chan struct{}
}

func (w *slowWriter) Write(b []byte) (int, error) {
	w.began <- struct{}{}
	<-w.goOn
	return w.Buffer.Write(b)
}

// A command may enlarge the pipe, and be gone long before its output is read.
func TestSlowReaderLosesNothingOfALargePipe(t *testing.T) {
	out := slowWriter{began: make(chan struct{}, 100), goOn: make(chan struct{})}
	f := NewFilter([]string{"hunter2"})
	f.drain = 0
	command, _ := newTestPipe(t, f, &out)
	const size = 1 << 20
	if _, err := unix.FcntlInt(command.Fd(), unix.F_SETPIPE_SZ, size); err != nil {
		t.Fatal(err)
	}
	io.WriteString(command, "first\n")
	<-out.began
	io.WriteString(command, strings.Repeat("1234567\n", size/8-1))
	time.AfterFunc(20*time.Millisecond, func() { close(out.goOn) }) // none is too short for what is right
	f.Close()
	if got, want := out.Len(), len("first\n")+size-8; got != want {
		t.Errorf("got %d bytes, want %d", got, want)
	}
}
