package mask

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// fakeTimer is a clock that stands still.
type fakeTimer struct {
	running bool
	resets  int
}

func (t *fakeTimer) Reset(time.Duration) bool {
	t.resets++
	was := t.running
	t.running = true
	return was
}

func (t *fakeTimer) Stop() bool {
	was := t.running
	t.running = false
	return was
}

// fire is the moment the timer runs out; what it calls may come later.
func (t *fakeTimer) fire() bool {
	return t.Stop()
}

func newTestWriter(dst io.Writer, values ...string) (*Writer, *fakeTimer) {
	w := New(values).Writer(dst)
	t := &fakeTimer{}
	w.timer = t
	return w, t
}

// expired stands for a pause in which the timer runs out.
const expired = "\x00pause"

// play writes each step and returns what came out at each, Close included.
func play(t *testing.T, values, steps []string) []string {
	t.Helper()
	var out bytes.Buffer
	w, timer := newTestWriter(&out, values...)
	var got []string
	for _, step := range steps {
		if step != expired {
			if n, err := w.Write([]byte(step)); n != len(step) || err != nil {
				t.Fatalf("Write(%q) = %d, %v", step, n, err)
			}
		} else if timer.fire() {
			w.expire()
		}
		got = append(got, out.String())
		out.Reset()
	}
	if err := w.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	return append(got, out.String())
}

func TestWriterReplaces(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []string
		steps  []string
		want   []string // after each step, and after Close
	}{
		{"nothing", nil, []string{"some text\n"}, []string{"some text\n", ""}},
		{"one value", []string{"hunter2"}, []string{"pw=hunter2\n"}, []string{"pw=***\n", ""}},
		{"four bytes", []string{"abcd"}, []string{"xabcdx"}, []string{"x***x", ""}},
		{"three bytes are left", []string{"abc"}, []string{"xabcdx"}, []string{"xabcdx", ""}},
		{"at the end, at once", []string{"hunter2"}, []string{"hunter2"}, []string{"***", ""}},
		{"twice", []string{"hunter2"}, []string{"hunter2 hunter2\n"}, []string{"*** ***\n", ""}},
		{"twice, touching", []string{"hunter2"}, []string{"hunter2hunter2\n"}, []string{"***\n", ""}},
		{"the longer one", []string{"pass", "password"}, []string{"a password, a pass\n"}, []string{"a ***, a ***\n", ""}},
		{"the longer one does not come", []string{"pass", "password"}, []string{"passwor", "k\n"}, []string{"", "***work\n", ""}},
		{"overlapping", []string{"abcdef", "defghi"}, []string{"-abcdefghi-"}, []string{"-***-", ""}},
		{"inside one that fails", []string{"abcdefgh", "cdef"}, []string{"abcdefg-"}, []string{"ab***g-", ""}},
		{"inside one that does not", []string{"abcdefgh", "cdef"}, []string{"abcdefg", "h-"}, []string{"", "***-", ""}},
		{"begins in one that fails", []string{"aaab", "aabc"}, []string{"aaaaabc"}, []string{"aa***", ""}},
		{"itself overlapping", []string{"abab"}, []string{"ababab", "a", "-"}, []string{"***", "", "a-", ""}},
		{"split", []string{"hunter2"}, []string{"pw=hun", "ter", "2\n"}, []string{"pw=", "", "***\n", ""}},
		{"byte by byte", []string{"hunter2"}, strings.Split("=hunter2\n", ""), []string{"=", "", "", "", "", "", "", "***", "\n", ""}},
		{"split and failing", []string{"hunter2"}, []string{"pw=hun", "ted\n"}, []string{"pw=", "hunted\n", ""}},
		{"prefix at the end", []string{"hunter2"}, []string{"the hunt"}, []string{"the ", "hunt"}},
		{"not UTF-8", []string{"\xff\xfe\xfd\xfc"}, []string{"\x80\xff\xfe\xfd\xfc\x00\xff"}, []string{"\x80***\x00", "\xff"}},
		{"prompt", []string{"$ecret"}, []string{"root$", expired, " "}, []string{"root", "$", " ", ""}},
		{"rest after a pause", []string{"hunter2"}, []string{"=hu", expired, "nter2\n"}, []string{"=", "hu", "***\n", ""}},
		{"rest after two pauses", []string{"hunter2"}, []string{"hunte", expired, "r", expired, "2\n"}, []string{"", "hunte", "", "r", "***\n", ""}},
		{"no rest after a pause", []string{"hunter2"}, []string{"hunte", expired, "d\n"}, []string{"", "hunte", "d\n", ""}},
		{"known part at a pause", []string{"pass", "password"}, []string{"passw", expired, "ord\n"}, []string{"", "***w", "***\n", ""}},
		{"known part just before a pause", []string{"pass", "password"}, []string{"pass", expired, "word\n"}, []string{"", "***", "\n", ""}},
		{"nothing held at a pause", []string{"hunter2"}, []string{"well", expired, "\n"}, []string{"well", "", "\n", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := play(t, tt.values, tt.steps)
			if strings.Join(got, "|") != strings.Join(tt.want, "|") {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestWriterHoldsNoByteLonger(t *testing.T) {
	var out bytes.Buffer
	w, timer := newTestWriter(&out, "hunter2", "terminal")
	write := func(s string, running bool, resets int) {
		t.Helper()
		io.WriteString(w, s)
		if timer.running != running || timer.resets != resets {
			t.Errorf("after %q: running %v, set %d times; want %v, %d", s, timer.running, timer.resets, running, resets)
		}
	}
	write("hello ", false, 0)
	write("hun", true, 1)
	write("t", true, 1)       // h is as old as before
	write("ermin", true, 1)   // "hun" is out, but "t" is older than this
	write("us, hun", true, 2) // only new bytes are held
	write("hun", true, 3)     // the same, to the byte
	write("dred!", false, 3)
}

func TestWriterIgnoresExpiryCancelledTooLate(t *testing.T) {
	var out bytes.Buffer
	w, timer := newTestWriter(&out, "hunter2")
	io.WriteString(w, "hun")
	timer.fire() // its goroutine waits while this one writes:
	io.WriteString(w, "ted hunt")
	w.expire()
	if got, want := out.String(), "hunted "; got != want {
		t.Errorf("after a late expiry: got %q, want %q", got, want)
	}
	timer.fire()
	w.expire()
	if got, want := out.String(), "hunted hunt"; got != want {
		t.Errorf("after the next: got %q, want %q", got, want)
	}
}

func TestMatchesOfTwoSetsAreJoinedWhereTheyTouch(t *testing.T) {
	for _, tt := range []struct{ a, b, want []span }{
		{nil, nil, nil},
		{[]span{{5, 7}}, []span{{1, 3}}, []span{{1, 3}, {5, 7}}},
		{[]span{{3, 5}}, []span{{1, 3}}, []span{{1, 5}}},
		{[]span{{5, 7}, {9, 12}}, []span{{1, 3}, {6, 10}}, []span{{1, 3}, {5, 12}}},
		{[]span{{1, 9}}, []span{{2, 4}}, []span{{1, 9}}},
	} {
		if got := union(tt.a, tt.b); !slices.Equal(got, tt.want) {
			t.Errorf("%v and %v: got %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestMatchJoinsThoseItTouches(t *testing.T) {
	var w Writer
	for _, m := range []span{{0, 4}, {6, 10}, {10, 14}, {5, 15}, {16, 20}, {20, 24}} {
		w.addMatch(m.from, m.to)
	}
	if want := []span{{0, 4}, {5, 15}, {16, 24}}; !slices.Equal(w.matches, want) {
		t.Errorf("got %v, want %v", w.matches, want)
	}
}

func TestBlockIsExpectedOnceAtAPlace(t *testing.T) {
	var w Writer
	for _, i := range []int{3, 3, 7, 7, 8} {
		w.expectBlock(i)
	}
	if want := []int{3, 7, 8}; !slices.Equal(w.blockStarts, want) {
		t.Errorf("got %v, want %v", w.blockStarts, want)
	}
}

func TestNothingIsKeptOfWhatIsWritten(t *testing.T) {
	w, _ := newTestWriter(io.Discard, "hunter2")
	for _, tt := range []struct {
		text string
		held string
	}{
		{"hunte", "hunte"}, // a part is no match either
		{"r2", ""},
		{" hunter2", ""},
		{" hunter2 hun", "hun"},
	} {
		io.WriteString(w, tt.text)
		if string(w.buf) != tt.held || len(w.matches) > 0 {
			t.Errorf("after %q: got %q held with matches %v, want %q with none", tt.text, w.buf, w.matches, tt.held)
		}
	}
}

// syncWriter hands each write over to the test.
type syncWriter chan string

func (c syncWriter) Write(p []byte) (int, error) {
	c <- string(p)
	return len(p), nil
}

func TestPromptAppearsByItself(t *testing.T) {
	out := make(syncWriter, 1)
	w := New([]string{"Password"}).Writer(out)
	io.WriteString(w, "Pass")
	select {
	case got := <-out:
		if got != "Pass" {
			t.Errorf("got %q, want %q", got, "Pass")
		}
	case <-time.After(10 * time.Second):
		t.Error("the prompt never came")
	}
}

// failing takes some bytes and then fails.
type failing struct {
	take int
	err  error
}

func (f failing) Write(p []byte) (int, error) { return min(f.take, len(p)), f.err }

func TestWriterReportsErrors(t *testing.T) {
	broken := errors.New("broken pipe")
	text := []byte("some text, and a hunt")

	w, _ := newTestWriter(failing{3, broken}, "hunter2")
	if n, err := w.Write(text); n != 0 || err != broken {
		t.Errorf("Write = %d, %v, want 0, %v", n, err, broken)
	}
	if n, err := w.Write(text); n != 0 || err != broken {
		t.Errorf("second Write = %d, %v, want 0, %v", n, err, broken)
	}
	if err := w.Close(); err != broken {
		t.Errorf("Close = %v, want %v", err, broken)
	}

	w, _ = newTestWriter(failing{3, nil}, "hunter2")
	if n, err := w.Write(text); n != 0 || err != io.ErrShortWrite {
		t.Errorf("short: Write = %d, %v, want 0, %v", n, err, io.ErrShortWrite)
	}

	w, timer := newTestWriter(failing{0, broken}, "hunter2")
	if n, err := w.Write([]byte("hunt")); n != 4 || err != nil {
		t.Errorf("held: Write = %d, %v, want 4, nil", n, err)
	}
	timer.fire()
	w.expire()
	if n, err := w.Write(text); n != 0 || err != broken {
		t.Errorf("after expiry: Write = %d, %v, want 0, %v", n, err, broken)
	}

	w, timer = newTestWriter(io.Discard, "hunter2")
	w.Write([]byte("hunt"))
	if err := w.Close(); err != nil || timer.running {
		t.Errorf("Close = %v, timer running %v, want nil, false", err, timer.running)
	}
	if n, err := w.Write(text); n != 0 || err != errClosed {
		t.Errorf("after Close: Write = %d, %v, want 0, %v", n, err, errClosed)
	}
}

func TestLargeWriteIsReplacedThroughout(t *testing.T) {
	text := strings.Repeat("some text with hunter2 in it, ", 10_000)
	got := strings.Join(play(t, []string{"hunter2"}, []string{text}), "")
	if want := strings.ReplaceAll(text, "hunter2", replacement); got != want {
		t.Errorf("got %d bytes, want %d with each value replaced", len(got), len(want))
	}
}

// Also by pieces, whatever their length, in a program that prints it slowly.
func TestLongValueIsReplacedBlockByBlock(t *testing.T) {
	value := randomText(10*blockSize + 17)
	head := blockSize + len(value)%blockSize
	for _, tt := range []struct {
		name        string
		steps, want []string
	}{
		{"whole", []string{"<" + value + ">"}, []string{"<***>", ""}},
		{"whole, without more", []string{value}, []string{"***", ""}},
		{"twice", []string{value + value}, []string{"***", ""}},
		{"by blocks", []string{value[:head], value[head : head+blockSize], value[head+blockSize:] + "."}, []string{"***", "", ".", ""}},
		{"cut short", []string{value[:head+blockSize+5]}, []string{"***", value[head+blockSize:][:5]}},
		{"going on otherwise", []string{value[:head+1] + strings.Repeat("-", blockSize)}, []string{"***" + value[head:head+1] + strings.Repeat("-", blockSize), ""}},
		{"a block left out", []string{value[:head] + value[head+blockSize:]}, []string{"***", ""}},
		{"without its head", []string{value[head:]}, []string{value[head:], ""}},
		{"after a pause in a block", []string{value[:head+9], expired, value[head+9:]}, []string{"***", value[head : head+9], "***", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := play(t, []string{value}, tt.steps)
			if strings.Join(got, "|") != strings.Join(tt.want, "|") {
				t.Errorf("got  %.300q\nwant %.300q", got, tt.want)
			}
		})
	}
}

func TestBlocksFollowAHeadWithinAnotherPattern(t *testing.T) {
	value := randomText(3 * blockSize)
	other := "prefix-" + value[:blockSize] + "-other"
	got := strings.Join(play(t, []string{value, other}, []string{"prefix-" + value + "-prefix-"}), "")
	if want := "prefix-***-prefix-"; got != want {
		t.Errorf("got %.300q, want %q", got, want)
	}
}

func randomText(n int) string {
	random := make([]byte, n)
	rand.NewChaCha8([32]byte{4}).Read(random)
	return base64.StdEncoding.EncodeToString(random)[:n]
}

func TestBinaryPassesUnharmed(t *testing.T) {
	text := make([]byte, 1<<20)
	rnd := rand.NewChaCha8([32]byte{1})
	rnd.Read(text)
	var out bytes.Buffer
	w, _ := newTestWriter(&out, benchValues()...)
	if n, err := w.Write(text); n != len(text) || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
	w.Close()
	if !bytes.Equal(out.Bytes(), text) {
		t.Error("what came out is not what went in")
	}
}

// naive is the specification: a byte is covered if a match contains it that
// was complete when the byte had to be written, that is, at the next pause.
// Each run of covered bytes is replaced.
func naive(patterns []string, block int, text string, pauses []int) string {
	due := make([]int, len(text))
	for i, next := len(text)-1, len(text); i >= 0; i-- {
		for len(pauses) > 0 && pauses[len(pauses)-1] > i {
			next = pauses[len(pauses)-1]
			pauses = pauses[:len(pauses)-1]
		}
		due[i] = next
	}
	covered := make([]bool, len(text))
	cover := func(from, to int) {
		for j := from; j < to; j++ {
			covered[j] = covered[j] || to <= due[j]
		}
	}
	blocks := make(map[string]bool)   // and whether another may follow
	ends := make([]bool, len(text)+1) // where a block may begin
	for _, p := range patterns {
		head := p
		if len(p) >= 2*block {
			head = p[:block+len(p)%block]
			for i := len(head); i < len(p); i += block {
				b := p[i : i+block]
				blocks[b] = blocks[b] || i+block < len(p)
			}
		}
		for at := 0; ; at++ {
			i := strings.Index(text[at:], head)
			if i < 0 {
				break
			}
			at += i
			cover(at, at+len(head))
			ends[at+len(head)] = ends[at+len(head)] || len(head) < len(p)
		}
	}
	for i := range ends {
		if ends[i] && i+block <= len(text) {
			if goesOn, found := blocks[text[i:i+block]]; found {
				cover(i, i+block)
				ends[i+block] = ends[i+block] || goesOn
			}
		}
	}
	var b strings.Builder
	for i := range len(text) {
		if !covered[i] {
			b.WriteByte(text[i])
		} else if i == 0 || !covered[i-1] {
			b.WriteString(replacement)
		}
	}
	return b.String()
}

// script turns fuzzer bytes into a text rich in pieces of the patterns.
func script(code []byte, patterns []string) string {
	var b strings.Builder
	for len(code) > 0 {
		if c := code[0]; c < 0xc0 || len(code) < 4 || len(patterns) == 0 {
			b.WriteByte(c)
			code = code[1:]
			continue
		}
		p := patterns[int(code[1])%len(patterns)]
		from := int(code[2]) % len(p)
		if code[2] > 0x80 {
			from = 0
		}
		b.WriteString(p[from : from+int(code[3])%(len(p)-from)+1])
		code = code[4:]
	}
	return b.String()
}

func FuzzWriter(f *testing.F) {
	f.Add([]byte("hunter2\x00password\x00pass"), []byte("a pass, the hunter2 and \xc0\x00\xff\x05\xc0\x01\x00\x02"), []byte("\x03\x85\x02"), false)
	f.Add([]byte("line one\nline two\n\x00ein/se+cr\xfft"), []byte("\xc0\x07\xff\xff--\xc0\x21\x01\x11"), []byte("\x01\x81"), false)
	rnd := rand.NewChaCha8([32]byte{2})
	for range 500 { // "aabba": many matches overlap
		values, text, cuts := make([]byte, rnd.Uint64()%30), make([]byte, rnd.Uint64()%300), make([]byte, rnd.Uint64()%20)
		rnd.Read(values)
		rnd.Read(text)
		rnd.Read(cuts)
		f.Add(values, text, cuts, true)
	}
	f.Fuzz(func(t *testing.T, values, code, cuts []byte, few bool) {
		if few {
			for i, b := range values {
				values[i] = "aaaabbb\x00"[b%8]
			}
			for i, b := range code {
				code[i] = "aaaaabbbbbc"[b%11]
			}
		}
		all := strings.Split(string(values), "\x00")
		const block = 8 // small enough for what the fuzzer writes
		var list []string
		patterns(all, block, func(p string) { list = append(list, p) })
		text := script(code, list)

		var out bytes.Buffer
		w, timer := newTestWriter(&out)
		w.set = newSet(all, block)
		var pauses []int
		for done := 0; done < len(text); {
			n := len(text) - done
			pause, change := false, false
			if len(cuts) > 0 {
				change = cuts[0]&0x40 != 0
				n, pause = min(n, int(cuts[0]&0x3f)), cuts[0] > 0x7f
				cuts = cuts[1:]
			}
			io.WriteString(w, text[done:done+n])
			done += n
			checkHeld(t, w, list)
			if change {
				w.Use(newSet(all, block)) // nobody should tell
				checkHeld(t, w, list)
			}
			if pause {
				pauses = append(pauses, done)
				if timer.fire() {
					w.expire()
				}
			}
		}
		w.Close()
		if got, want := out.String(), naive(list, block, text, pauses); got != want {
			t.Errorf("values %q, text %q, pauses %v:\ngot  %q\nwant %q", all, text, pauses, got, want)
		}
	})
}

// checkHeld fails if bytes are held that no pattern begins with, and that are
// no part of a block either.
func checkHeld(t *testing.T, w *Writer, patterns []string) {
	t.Helper()
	if len(w.buf) == 0 || len(w.blockStarts) > 0 && w.blockStarts[0] == 0 && len(w.buf) < w.set.block {
		return
	}
	for _, p := range patterns {
		if len(p) > len(w.buf) && p[:len(w.buf)] == string(w.buf) {
			return
		}
	}
	t.Errorf("%q is held, and begins no pattern", w.buf)
}

func TestWriterDoesNotAllocate(t *testing.T) {
	w, _ := newTestWriter(io.Discard, benchValues()...)
	text := nearMisses(benchValues())
	if got := testing.AllocsPerRun(10, func() { w.Write(text) }); got != 0 {
		t.Errorf("got %v allocations for each write, want 0", got)
	}
}
