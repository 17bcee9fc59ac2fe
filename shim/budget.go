package shim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// budget is the time until the command must start, and what may end it early: a
// signal, which is caught only once there is something to wait for.
type budget struct {
	timeout time.Duration          // zero: no limit
	context func() context.Context // catches signals from now on; ends with one
	spent   time.Duration          // before the network
}

func newBudget(timeout time.Duration, network func() context.Context) *budget {
	return &budget{timeout: timeout, context: sync.OnceValue(network)}
}

// left is what is left for the network: zero if there is no limit.
func (b *budget) left() time.Duration {
	if b.timeout == 0 {
		return 0
	}
	return max(1, b.timeout-b.spent)
}

// readFile reads a file of at most limit bytes. Its errors name the file. Of
// files that may never end it reads only the pipe of a descriptor, such as a
// shell's <(…), within the budget and until a signal comes.
func (b *budget) readFile(name string, limit int64) ([]byte, error) {
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
	case mode.IsRegular():
		// One of /proc may have no end, like the kernel's log.
		if b.timeout > 0 {
			_ = f.SetReadDeadline(time.Now().Add(b.left()))
		}
	case mode.IsDir(), name == os.DevNull:
	case mode&fs.ModeNamedPipe != 0 && isDescriptor(name):
		ctx, stop := b.bounded()
		defer stop()
		defer context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })()
	default:
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file; the only pipe that is read is that of a shell's <(…)")}
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("did not end in time; --timeout is %s", b.timeout)}
	case err == nil && int64(len(data)) > limit:
		err = &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("larger than %d bytes", limit)}
	}
	return data, err
}

// isDescriptor reports whether a name is that of an open descriptor: its pipe
// has a writer, or had one.
func isDescriptor(name string) bool {
	return name == "/dev/stdin" || strings.HasPrefix(name, "/dev/fd/") || strings.HasPrefix(name, "/proc/self/fd/")
}

// bounded is a context that ends with what is left of the time, or with a
// signal. The time until stop is no longer there for the network.
func (b *budget) bounded() (ctx context.Context, stop func()) {
	start := time.Now()
	ctx, cancel := b.context(), func() {}
	if b.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, b.left())
	}
	return ctx, func() {
		cancel()
		b.spent += time.Since(start)
	}
}
