package shim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// readAtMost reads a file of at most limit bytes. Its errors name the file. Of
// what may never come to an end it reads only the pipe of a descriptor, as a
// shell's <(…) is one, within the budget and as long as no signal comes.
func (c *Config) readAtMost(name string, limit int64) ([]byte, error) {
	// A FIFO without a writer would hold up the opening itself.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch mode := info.Mode(); {
	case mode.IsRegular(), mode.IsDir(), name == os.DevNull:
	case mode&fs.ModeNamedPipe != 0 && isDescriptor(name):
		defer c.bound(f)()
	default:
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file; the only pipe that is read is that of a shell's <(…)")}
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("the pipe had no end; --timeout is %s", c.Timeout)}
	case err == nil && int64(len(b)) > limit:
		err = &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("larger than %d bytes", limit)}
	}
	return b, err
}

// isDescriptor reports whether a name is that of an open descriptor: its pipe
// has a writer, or had one.
func isDescriptor(name string) bool {
	return name == "/dev/stdin" || strings.HasPrefix(name, "/dev/fd/") || strings.HasPrefix(name, "/proc/self/fd/")
}

// bound ends the reading of f with the budget, or with a signal. What it took is
// no longer there for the network.
func (c *Config) bound(f *os.File) (done func()) {
	start := time.Now()
	if c.Timeout > 0 {
		_ = f.SetReadDeadline(start.Add(c.left()))
	}
	stop := context.AfterFunc(c.network(), func() { _ = f.SetReadDeadline(start) })
	return func() {
		stop()
		c.spent += time.Since(start)
	}
}

// left is what is left of the budget: zero if there is no limit.
func (c *Config) left() time.Duration {
	if c.Timeout == 0 {
		return 0
	}
	return max(1, c.Timeout-c.spent)
}
