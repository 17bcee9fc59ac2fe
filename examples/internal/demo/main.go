// Demo draws what make demo shows in a terminal, of a real run under tmux:
//
//	go run ./examples/internal/demo examples/internal/demo/demo.svg
package main

import (
	"fmt"
	"html"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

const columns, lineHeight, charWidth = 112, 18, 8

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo FILE.svg")
		os.Exit(64)
	}
	screen, err := record()
	if err == nil {
		err = os.WriteFile(os.Args[1], []byte(draw(screen)), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// record runs the demo in a terminal of its own, and returns what is on it,
// with the escape sequences of its colours.
func record() (string, error) {
	server := "ass-exec-demo-" + strconv.Itoa(os.Getpid())
	tmux := func(args ...string) (string, error) {
		out, err := exec.Command("tmux", append([]string{"-L", server, "-f", "/dev/null"}, args...)...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("tmux %s: %w: %s", args[0], err, out)
		}
		return string(out), err
	}
	defer func() { _, _ = tmux("kill-server") }()
	if _, err := tmux("new-session", "-d", "-x", strconv.Itoa(columns), "-y", "40",
		"examples/local/demo.sh; tmux -L "+server+" wait-for -S done; cat"); err != nil {
		return "", err
	}
	if _, err := tmux("wait-for", "done"); err != nil {
		return "", err
	}
	return tmux("capture-pane", "-e", "-p", "-J")
}

var escape = regexp.MustCompile(`\x1b\[([0-9;]*)m`)

// draw makes an SVG of lines with escape sequences for bold, dim and plain.
func draw(screen string) string {
	lines := strings.Split(strings.TrimRight(screen, "\n "), "\n")
	var b strings.Builder
	width, height := columns*charWidth+32, len(lines)*lineHeight+32
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13">
<rect width="100%%" height="100%%" rx="8" fill="#16181d"/>
`, width, height)
	class := ""
	for i, line := range lines {
		fmt.Fprintf(&b, `<text x="16" y="%d" xml:space="preserve" fill="#d7dae0">`, 28+i*lineHeight)
		for j, part := range strings.Split(escape.ReplaceAllString(line, "\x00$1\x00"), "\x00") {
			switch {
			case j%2 == 1 && (part == "39" || part == "49"): // tmux: the colours are the default's, which says nothing of bold and dim
			case j%2 == 1:
				class = map[string]string{"1": ` font-weight="bold"`, "2": ` fill="#8b919c"`}[part[strings.LastIndex(part, ";")+1:]]
			case part != "":
				fmt.Fprintf(&b, `<tspan%s>%s</tspan>`, class, html.EscapeString(part))
			}
		}
		b.WriteString("</text>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}
