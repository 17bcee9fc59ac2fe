package mask

import (
	"errors"
	"io"
	"os"
	"slices"
	"syscall"
	"time"
)

// drainTime bounds the wait for output of processes that the command left
// behind, once it has ended.
const drainTime = time.Second

// maxPipe is what a command can have a pipe hold (pipe-max-size, unless root
// raises it), and usualPipe what one holds.
const (
	maxPipe   = 1 << 20
	usualPipe = 64 << 10
)

// maxSets is how many sets of values are looked for at the same time: the
// present one, the two before, which a command that is being replaced may
// have, and the first, which a command that never was replaced has.
const maxSets = 4

// A Filter sits between the streams of a command and their destinations, and
// replaces values in them, also when the values change.
type Filter struct {
	sets  [][]string
	set   *Set // of all of them
	pipes []*pipe
	drain time.Duration
}

// pipe copies what comes from the command.
type pipe struct {
	read, write *os.File // the command has the other end
	to          *Writer
	done        chan struct{}
}

// NewFilter returns a Filter that looks for the values as New does.
func NewFilter(values []string) *Filter {
	return &Filter{sets: [][]string{values}, set: New(values), drain: drainTime}
}

// Pipe returns what the command is to have in place of to.
func (f *Filter) Pipe(to io.Writer) (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p := &pipe{read, write, f.set.Writer(to), make(chan struct{})}
	f.pipes = append(f.pipes, p)
	go p.copy()
	return write, nil
}

func (p *pipe) copy() {
	defer close(p.done)
	buf := make([]byte, usualPipe)
	for {
		n, err := p.read.Read(buf)
		text := buf[:n]
		if errors.Is(err, os.ErrDeadlineExceeded) {
			text = p.readRest()
		}
		if _, writeErr := p.to.Write(text); writeErr != nil {
			p.read.Close() // the command gets SIGPIPE or EPIPE, as without a filter
			return
		}
		if err != nil {
			return
		}
	}
}

// readRest reads what is in the pipe at the deadline: the command itself may have
// written it in time, and only this reader is slow.
func (p *pipe) readRest() []byte {
	conn, err := p.read.SyscallConn()
	if err != nil {
		return nil
	}
	buf := make([]byte, maxPipe)
	n := 0
	_ = conn.Control(func(fd uintptr) { n, _ = syscall.Read(int(fd), buf) })
	return buf[:max(n, 0)]
}

// Change has the Filter look for other values, beside those that the command may
// still have. It may be called during Close, but not concurrently with itself.
func (f *Filter) Change(values []string) {
	if slices.Equal(values, f.sets[len(f.sets)-1]) {
		return
	}
	f.sets = append(f.sets, values)
	if len(f.sets) > maxSets {
		f.sets = slices.Delete(f.sets, 1, 2)
	}
	f.set = New(slices.Concat(f.sets...))
	for _, p := range f.pipes {
		p.to.Use(f.set)
	}
}

// Close writes what is left once the command has ended.
func (f *Filter) Close() {
	deadline := time.Now().Add(f.drain)
	for _, p := range f.pipes {
		p.write.Close()
		_ = p.read.SetReadDeadline(deadline)
		<-p.done
		_ = p.to.Close()
	}
}
