package mask

import (
	"errors"
	"io"
	"slices"
	"sync"
	"time"
)

// holdback is how long the possible beginning of a secret is kept back. The
// promise is 100 ms; the rest is for a loaded machine.
const holdback = 90 * time.Millisecond

// chunkSize bounds the memory a large write takes.
const chunkSize = 32 << 10

const replacement = "***"

var errClosed = errors.New("mask: write after close")

// A Writer passes a stream on with every pattern of its Set replaced. Each run
// of bytes that belong to a pattern becomes one ***, however many patterns
// overlap or touch in it.
//
// Bytes that may be the beginning of a pattern are held back for a moment, and
// then written, as they may be a prompt; if the rest of the pattern follows,
// that rest is still replaced. Close writes what is held.
type Writer struct {
	set *Set
	dst io.Writer

	mu    sync.Mutex // Write and Close against expire
	err   error      // of dst: once it failed, bytes are missing and nothing may follow
	timer timer
	armed bool
	stale int // expirations under way that were called off too late

	buf     []byte // the input from the first byte that may still become part of a match
	next    int    // where in buf the search continues
	node    int32  // and in which node
	covered []span // matches in buf, in order, not touching
	ends    []int  // where in buf a block may begin, in order
	shown   int    // how much of buf has been written
	starred bool   // the last byte written was covered
	out     []byte
}

type span struct{ from, to int }

// timer is time.Timer's part of the clock, so that tests need not wait.
type timer interface {
	Reset(time.Duration) bool
	Stop() bool
}

// Writer returns a Writer to dst.
func (s *Set) Writer(dst io.Writer) *Writer {
	w := &Writer{set: s, dst: dst}
	t := time.AfterFunc(time.Hour, w.expire)
	t.Stop()
	w.timer = t
	return w
}

// Write returns an error of the underlying writer, also one that came after
// the last call returned.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	done := 0
	for done < len(p) {
		n := min(len(p)-done, chunkSize)
		if w.push(p[done : done+n]); w.err != nil {
			w.disarm()
			return done, w.err
		}
		done += n
	}
	if w.shown < len(w.buf) && !w.armed {
		w.armed = true
		w.timer.Reset(holdback)
	}
	return done, nil
}

// Close writes what is held back. It does not close the underlying writer.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	w.disarm()
	w.emit(len(w.buf))
	w.flush()
	err := w.err
	if err == nil {
		w.err = errClosed
	}
	return err
}

// expire writes what has been held for too long. The bytes stay in buf and
// the search in its node: what follows may still complete a match.
func (w *Writer) expire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stale > 0 {
		w.stale--
		return
	}
	w.armed = false
	if w.err == nil {
		w.emit(len(w.buf))
		w.flush()
	}
}

// disarm stops the timer, or if it has just fired, has expire do nothing.
func (w *Writer) disarm() {
	if w.armed && !w.timer.Stop() {
		w.stale++
	}
	w.armed = false
}

// push takes in p and writes all that is certain.
func (w *Writer) push(p []byte) {
	old := len(w.buf)
	w.buf = append(w.buf, p...)
	w.pass(w.search(), old)
}

// pass writes all that is certain; old is how much was held before.
func (w *Writer) pass(certain, old int) {
	w.emit(certain)
	w.flush()
	if certain >= old {
		w.disarm() // what it was set for is written
	}
	w.forget(certain)
}

// Use has the Writer look for another set from now on, also in what it holds.
// A pattern that both have is replaced as if nothing had happened.
func (w *Writer) Use(s *Set) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	// What is known stays so: it may come from bytes that are gone.
	covered, ends := w.covered, w.ends
	w.set, w.next, w.node, w.covered, w.ends = s, 0, 0, nil, nil
	certain := w.search()
	w.covered = union(w.covered, covered)
	w.ends = append(w.ends, ends...)
	slices.Sort(w.ends)
	w.ends = slices.Compact(w.ends)
	if len(w.ends) > 0 {
		certain = min(certain, w.ends[0])
	}
	w.pass(certain, len(w.buf))
}

func union(a, b []span) []span {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y span) int { return x.from - y.from })
	merged := all[:0]
	for _, c := range all {
		if n := len(merged); n > 0 && merged[n-1].to >= c.from {
			merged[n-1].to = max(merged[n-1].to, c.to)
		} else {
			merged = append(merged, c)
		}
	}
	return merged
}

// search finds the matches in buf and returns how many of its bytes no
// further match can reach.
func (w *Writer) search() int {
	for {
		certain := w.scan()
		switch {
		case len(w.ends) == 0:
			return certain
		case w.ends[0]+w.set.block > len(w.buf):
			return min(certain, w.ends[0])
		}
		w.takeBlock()
	}
}

// expect notes that a block may begin at i.
func (w *Writer) expect(i int) {
	if n := len(w.ends); n == 0 || w.ends[n-1] < i {
		w.ends = append(w.ends, i)
	}
}

// takeBlock adds the match of the first block that may be in buf, if it is.
func (w *Writer) takeBlock() {
	from, to := w.ends[0], w.ends[0]+w.set.block
	w.ends = w.ends[:copy(w.ends, w.ends[1:])]
	found, goesOn := w.set.findBlock(w.buf[from:to])
	if found {
		w.addMatch(from, to)
	}
	if goesOn {
		w.expect(to)
	}
}

// scan finds the matches in buf that end before the first block would, so that
// matches are found in the order of their ends.
func (w *Writer) scan() int {
	limit := len(w.buf)
	if len(w.ends) > 0 {
		limit = min(limit, w.ends[0]+w.set.block)
	}
	// The four bytes before i, and all that is longer, are ruled out when a
	// node leads nowhere; the last three may still begin something.
	for i, n := w.next, w.node; ; i -= minLen - 1 {
		if n == 0 {
			if i, n = w.set.find(w.buf[:limit], i); n == 0 {
				w.next, w.node = i, 0
				return i
			}
			i += minLen
		}
		for n != 0 {
			at := &w.set.nodes[n]
			if at.longest > 0 {
				w.addMatch(i-int(at.longest), i)
				if at.goesOn {
					w.expect(i)
					limit = min(limit, w.ends[0]+w.set.block)
				}
			}
			switch {
			case at.child == 0: // nothing to wait for
				n = at.fail
			case i == limit:
				w.next, w.node = i, n
				return i - int(at.depth)
			default:
				if n = w.set.step(n, w.buf[i]); n != 0 {
					i++
				}
			}
		}
	}
}

// addMatch adds a match. Matches come in the order of their ends, but a later
// one may begin before earlier ones.
func (w *Writer) addMatch(from, to int) {
	n := len(w.covered)
	for n > 0 && w.covered[n-1].to >= from {
		n--
		from = min(from, w.covered[n].from)
	}
	w.covered = append(w.covered[:n], span{from, to})
}

// emit puts buf up to the given position into out, covered where it is known
// to be.
func (w *Writer) emit(to int) {
	for _, c := range w.covered {
		from, end := max(c.from, w.shown), min(c.to, to)
		if from >= end {
			continue
		}
		w.emitPlain(from)
		if !w.starred {
			w.out = append(w.out, replacement...)
			w.starred = true
		}
		w.shown = end
	}
	w.emitPlain(to)
}

func (w *Writer) emitPlain(to int) {
	if to > w.shown {
		w.out = append(w.out, w.buf[w.shown:to]...)
		w.shown = to
		w.starred = false
	}
}

func (w *Writer) flush() {
	if len(w.out) == 0 {
		return
	}
	n, err := w.dst.Write(w.out)
	if err == nil && n < len(w.out) {
		err = io.ErrShortWrite
	}
	w.err = err
	w.out = w.out[:0]
}

// forget drops the first n bytes of buf.
func (w *Writer) forget(n int) {
	w.buf = w.buf[:copy(w.buf, w.buf[n:])]
	w.next -= n
	w.shown -= n
	for i := range w.ends {
		w.ends[i] -= n
	}
	keep := w.covered[:0]
	for _, c := range w.covered {
		if c.to > n {
			keep = append(keep, span{c.from - n, c.to - n})
		}
	}
	w.covered = keep
}
