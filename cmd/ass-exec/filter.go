package main

import (
	"os"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/shim"
	"github.com/agent-secret-store/ass-exec/shim/mask"
	"github.com/agent-secret-store/ass-exec/vault"
)

// drainTime bounds the wait for output of processes that the command left
// behind, once it has ended.
const drainTime = time.Second

// outputFilter is between the command's output and ours, and replaces secrets
// in it. A nil one is not.
type outputFilter struct {
	out, err *stream // nil for a terminal, which is left alone
	values   []string
}

// stream copies from a pipe, whose other end is the command's.
type stream struct {
	read, write *os.File
	to          *os.File
	done        chan struct{}

	mu     sync.Mutex
	filter *mask.Writer
}

func newOutputFilter(secrets []vault.Secret) (*outputFilter, error) {
	// The spellings of a large secret come and go: memory is dearer than time.
	debug.SetGCPercent(20)
	f := &outputFilter{}
	for _, s := range secrets {
		f.values = append(f.values, s.Reveal())
	}
	set := mask.New(f.values)
	for _, s := range []struct {
		stream **stream
		to     *os.File
	}{{&f.out, os.Stdout}, {&f.err, os.Stderr}} {
		if isTerminal(s.to) {
			continue
		}
		read, write, err := os.Pipe()
		if err != nil {
			return nil, maskError(err)
		}
		*s.stream = &stream{read: read, write: write, to: s.to, done: make(chan struct{}), filter: set.Writer(s.to)}
		go (*s.stream).copy()
	}
	return f, nil
}

func maskError(err error) *shim.Error {
	return &shim.Error{Code: shim.CodeCannotRun, Msg: "--mask: " + err.Error(), Hint: "check stdout and stderr, and the limit of open files", Err: err}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), ioctlGetTermios)
	return err == nil
}

// stdout is where the command writes; nil stands for ours.
func (f *outputFilter) stdout() *os.File { return f.out.end() }

func (f *outputFilter) stderr() *os.File { return f.err.end() }

func (s *stream) end() *os.File {
	if s == nil {
		return nil
	}
	return s.write
}

func (s *stream) copy() {
	defer close(s.done)
	buf := make([]byte, 64<<10)
	for {
		n, err := s.read.Read(buf)
		s.mu.Lock()
		_, writeErr := s.filter.Write(buf[:n])
		s.mu.Unlock()
		if writeErr != nil {
			s.read.Close() // the command is told as it would have been
			return
		}
		if err != nil {
			return
		}
	}
}

// add makes the filter replace more secrets.
func (f *outputFilter) add(secrets []vault.Secret) {
	if f == nil {
		return
	}
	for _, s := range secrets {
		f.values = append(f.values, s.Reveal())
	}
	set := mask.New(f.values)
	for _, s := range []*stream{f.out, f.err} {
		if s != nil {
			s.mu.Lock()
			_ = s.filter.Close()
			s.filter = set.Writer(s.to)
			s.mu.Unlock()
		}
	}
}

// finish writes what is left once the command has ended.
func (f *outputFilter) finish() {
	if f == nil {
		return
	}
	deadline := time.Now().Add(drainTime)
	for _, s := range []*stream{f.out, f.err} {
		if s != nil {
			s.write.Close()
			_ = s.read.SetReadDeadline(deadline)
			<-s.done
			_ = s.filter.Close()
		}
	}
}
