package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/vault"
)

// countdown is a line on a terminal that says how long a human's approval is
// waited for. What is written meanwhile takes its place.
type countdown struct {
	to    io.Writer
	width func() int

	mu    sync.Mutex
	text  string // empty while nobody is waited for
	id    string
	until time.Time
	shown bool
	done  chan struct{}
}

const eraseLine = "\r\x1b[K"

// show begins to count, or corrects how long is left.
func (c *countdown) show(a vault.Approval, how string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		go c.run(c.done)
	}
	c.id, c.text, c.until = a.ID, "left for a human to approve: "+how+"; "+strings.Join(a.Scopes, " "), time.Now().Add(a.Left)
	c.draw()
}

func (c *countdown) run(done chan struct{}) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-second.C:
			c.mu.Lock()
			if c.done == done {
				c.draw()
			}
			c.mu.Unlock()
		case <-done:
			return
		}
	}
}

// draw cuts the line, for what is wrapped could not be erased.
func (c *countdown) draw() {
	left := max(0, time.Until(c.until)).Round(time.Second)
	line := []rune(printable(fmt.Sprintf("ass-exec: %s %s", left, c.text)))
	if width := c.width(); width > 0 {
		line = line[:min(len(line), width-1)]
	}
	c.shown = true
	_, _ = io.WriteString(c.to, eraseLine+string(line))
}

// stop erases the line, and returns the id of what was waited for.
func (c *countdown) stop() (id string) {
	if c == nil {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done != nil {
		close(c.done)
		c.done = nil
	}
	c.erase()
	id, c.id = c.id, ""
	return id
}

func (c *countdown) erase() {
	if c.shown {
		_, _ = io.WriteString(c.to, eraseLine)
	}
	c.shown = false
}

// Write writes in the place of the line, which comes again with the next
// second.
func (c *countdown) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.erase()
	return c.to.Write(b)
}

// terminalWidth is how many characters fit into a line; 0 if it is not known.
func terminalWidth(fd int) int {
	size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}
