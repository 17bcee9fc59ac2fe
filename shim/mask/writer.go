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
	stale int // expirations under way that were cancelled too late

	buf         []byte // the input from the first byte that may still become part of a match
	next        int    // where in buf the search continues
	node        int32  // and in which node
	matches     []span // matches in buf, in order, not touching
	blockStarts []int  // where in buf a block may begin, in order
	written     int    // how much of buf has been written
	lastMatched bool   // the last byte written belongs to a match
	out         []byte
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
	for chunk := range slices.Chunk(p, chunkSize) {
		if w.push(chunk); w.err != nil {
			w.disarm()
			return done, w.err
		}
		done += len(chunk)
	}
	if w.written < len(w.buf) && !w.armed {
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

// push adds p to the input and writes all that is certain.
func (w *Writer) push(p []byte) {
	old := len(w.buf)
	w.buf = append(w.buf, p...)
	w.release(w.search(), old)
}

// release writes all that is certain; old is how much was held before.
func (w *Writer) release(certain, old int) {
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
	matches, blockStarts := w.matches, w.blockStarts
	w.set, w.next, w.node, w.matches, w.blockStarts = s, 0, 0, nil, nil
	certain := w.search()
	w.matches = union(w.matches, matches)
	w.blockStarts = append(w.blockStarts, blockStarts...)
	slices.Sort(w.blockStarts)
	w.blockStarts = slices.Compact(w.blockStarts)
	if len(w.blockStarts) > 0 {
		certain = min(certain, w.blockStarts[0])
	}
	w.release(certain, len(w.buf))
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
		case len(w.blockStarts) == 0:
			return certain
		case w.blockStarts[0]+w.set.block > len(w.buf):
			return min(certain, w.blockStarts[0])
		}
		w.takeBlock()
	}
}

// expectBlock notes that a block may begin at i.
func (w *Writer) expectBlock(i int) {
	if n := len(w.blockStarts); n == 0 || w.blockStarts[n-1] < i {
		w.blockStarts = append(w.blockStarts, i)
	}
}

// takeBlock adds the match of the first block that may be in buf, if it is.
func (w *Writer) takeBlock() {
	from, to := w.blockStarts[0], w.blockStarts[0]+w.set.block
	w.blockStarts = w.blockStarts[:copy(w.blockStarts, w.blockStarts[1:])]
	found, blockFollows := w.set.findBlock(w.buf[from:to])
	if found {
		w.addMatch(from, to)
	}
	if blockFollows {
		w.expectBlock(to)
	}
}

// scan finds the matches in buf that end before the first block would, so that
// matches are found in the order of their ends.
func (w *Writer) scan() int {
	limit := len(w.buf)
	if len(w.blockStarts) > 0 {
		limit = min(limit, w.blockStarts[0]+w.set.block)
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
				if at.blockFollows {
					w.expectBlock(i)
					limit = min(limit, w.blockStarts[0]+w.set.block)
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
	n := len(w.matches)
	for n > 0 && w.matches[n-1].to >= from {
		n--
		from = min(from, w.matches[n].from)
	}
	w.matches = append(w.matches[:n], span{from, to})
}

// emit puts buf up to the given position into out, with the matches replaced.
func (w *Writer) emit(to int) {
	for _, c := range w.matches {
		from, end := max(c.from, w.written), min(c.to, to)
		if from >= end {
			continue
		}
		w.emitPlain(from)
		if !w.lastMatched {
			w.out = append(w.out, replacement...)
			w.lastMatched = true
		}
		w.written = end
	}
	w.emitPlain(to)
}

func (w *Writer) emitPlain(to int) {
	if to > w.written {
		w.out = append(w.out, w.buf[w.written:to]...)
		w.written = to
		w.lastMatched = false
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
	w.written -= n
	for i := range w.blockStarts {
		w.blockStarts[i] -= n
	}
	keep := w.matches[:0]
	for _, c := range w.matches {
		if c.to > n {
			keep = append(keep, span{c.from - n, c.to - n})
		}
	}
	w.matches = keep
}
