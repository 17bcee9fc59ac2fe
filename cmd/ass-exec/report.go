package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/agent-secret-store/ass-exec/shim"
	"github.com/agent-secret-store/ass-exec/shim/exit"
)

// reporter is the only writer to stderr. Its rules: every line begins with
// ass-exec and its kind; lower case, no final period; nothing on success
// unless it was asked for; no value, token, key or body, ever; control
// characters escaped, whoever they come from.
type reporter struct {
	w    io.Writer
	json bool
	log  *slog.Logger
	wait *countdown // nil unless stderr is a terminal
}

func newReporter(w io.Writer, json, verbose bool) *reporter {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelInfo
	}
	r := &reporter{w: &stderrWriter{to: w}, json: json}
	if f, ok := w.(*os.File); ok && !json && isTerminal(f) {
		r.wait = &countdown{to: r.w, width: func() int { return terminalWidth(int(f.Fd())) }}
		r.w = r.wait
	}
	if json {
		r.log = slog.New(slog.NewJSONHandler(markEscaper{r.w}, &slog.HandlerOptions{Level: level}))
	} else {
		r.log = slog.New(textHandler{r.w, level})
	}
	return r
}

// stderrWriter keeps a stderr that is broken from ending the process, and one
// that nobody reads from holding it up. The command gets SIGPIPE as it was:
// execve and fork leave no handler.
type stderrWriter struct {
	to io.Writer

	mu    sync.Mutex
	lines chan line
	late  chan struct{} // closed once the line that nobody waits for is written
}

type line struct {
	text    []byte
	written chan struct{} // closed when it is
}

const (
	stderrPatience = 300 * time.Millisecond // for a reader that is busy
	stderrBacklog  = 64                     // lines; more are dropped
)

// Write waits until b is written, so that it comes before what the command
// writes, but not for long, and not at all while an earlier line is stuck: such
// lines are written when stderr takes them, if that is before the end.
func (w *stderrWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lines == nil {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
		w.lines = make(chan line, stderrBacklog)
		go w.run()
	}
	l := line{bytes.Clone(b), make(chan struct{})}
	select {
	case w.lines <- l:
	default: // nobody has been reading for long
		return len(b), nil
	}
	if w.late != nil {
		select {
		case <-w.late:
			w.late = nil
		default:
			return len(b), nil
		}
	}
	select {
	case <-l.written:
	case <-time.After(stderrPatience):
		w.late = l.written
	}
	return len(b), nil
}

func (w *stderrWriter) run() {
	for l := range w.lines {
		_, _ = w.to.Write(l.text)
		close(l.written)
	}
}

// failure prints everything that is wrong and returns the exit status for it.
func (r *reporter) failure(err error) int {
	status := exit.Status(err)
	r.printErrors(err, status)
	return status
}

// printErrors prints everything that is wrong. A hint that several failures in a
// row share is printed once, after the last.
func (r *reporter) printErrors(err error, status int) {
	es := exit.AsErrors(err)
	for i, e := range es {
		hint := e.Hint
		if i+1 < len(es) && es[i+1].Hint == hint {
			hint = ""
		}
		if r.json {
			r.log.Error(e.Msg, jsonAttrs(hint, status)...)
			continue
		}
		writeLine(r.w, "error", e.Msg)
		if hint != "" {
			writeLine(r.w, "hint", hint)
		}
	}
}

func jsonAttrs(hint string, status int) []any {
	attrs := []any{"exit_code", status}
	if hint != "" {
		attrs = append(attrs, "hint", hint)
	}
	return attrs
}

// bug prints where a panic of ours came from: the functions and lines of the
// stack, but neither the panic's text nor the arguments.
func (r *reporter) bug(stack []byte) int {
	e := exit.InternalError()
	for _, line := range strings.Split(string(stack), "\n") {
		if file, _, ok := strings.Cut(strings.TrimSpace(line), " +0x"); ok {
			e.Msg += " < " + file[strings.LastIndexByte(file, '/')+1:]
		}
	}
	return r.failure(e)
}

// showApprovals has cfg show on a terminal how long it waits for a human.
func (r *reporter) showApprovals(cfg *shim.Config) {
	if r.wait != nil {
		cfg.Approving, cfg.Approved = r.wait.show, func() { r.wait.stop() }
	}
}

// printStopped prints which signal ended the fetching.
func (r *reporter) printStopped(s syscall.Signal) {
	msg := fmt.Sprintf("stopped by signal %d (%s) before the command was started", int(s), s)
	if id := r.wait.stop(); id != "" {
		msg += "; the approval request stays open: " + id
	}
	r.printErrors(&exit.Error{Msg: msg}, 128+int(s))
}

func writeLine(w io.Writer, kind, msg string) {
	// A broken stderr must not keep anything from going on.
	_, _ = fmt.Fprintf(w, "ass-exec: %s: %s\n", kind, printable(msg))
}

// commandMark begins a command to GitHub's and Azure's runners, such as
// ##[set-output name=x]y, wherever it stands in a line of a job's output.
// Escaped it means the same in JSON.
const (
	commandMark = "##"
	escapedMark = `#\u0023`
)

// markEscaper writes JSON without the mark of a command.
type markEscaper struct{ w io.Writer }

func (e markEscaper) Write(b []byte) (int, error) {
	if _, err := e.w.Write(bytes.ReplaceAll(b, []byte(commandMark), []byte(escapedMark))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// printable escapes what could move a terminal's cursor, forge a line or give a
// runner a command.
func printable(s string) string {
	s = strings.ReplaceAll(s, commandMark, escapedMark)
	if utf8.ValidString(s) && !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		if unprintable(c) {
			q := fmt.Sprintf("%+q", c)
			b.WriteString(q[1 : len(q)-1])
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

func unprintable(c rune) bool { return !unicode.IsPrint(c) }

// textHandler writes log records as lines like those of failures.
type textHandler struct {
	w     io.Writer
	level slog.Level
}

func (h textHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h textHandler) Handle(_ context.Context, r slog.Record) error {
	kind := "info"
	if r.Level >= slog.LevelWarn {
		kind = "warning"
	}
	writeLine(h.w, kind, r.Message)
	return nil
}

func (h textHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

func (h textHandler) WithGroup(string) slog.Handler { return h }
