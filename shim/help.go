package shim

import (
	"fmt"
	"strings"

	"github.com/agent-secret-store/ass-exec/shim/mapping"
)

// Help is the text of --help.
func Help() string {
	var b strings.Builder
	b.WriteString(`usage: ass-exec [flags] [--] command [args...]

Start command with secrets from Agent Secret Store in its environment. If
anything is missing, the command is not started.

`)
	for _, s := range settings {
		fmt.Fprintf(&b, "  %-28s %s\n", s.flags(), s.describe())
	}
	b.WriteString(`
A mapping file has lines like

  GEMINI_API_KEY=production/gemini/GEMINI_API_KEY
  DATABASE_URL="postgres://app:${ass://production/postgres/PASSWORD?encode=url}@db/app"

with options after a question mark, joined by &

`)
	for _, o := range mapping.Options() {
		fmt.Fprintf(&b, "  %-28s %s\n", o.Usage, o.Help)
	}
	b.WriteString(`
Exit status: 64 usage, 65 secret unusable, 66 secret not found, 69 vault
unavailable, 70 bug, 75 approval needed, 76 not the vault's reply, 77 denied,
78 configuration, 126 command cannot run, 127 command not found, 128+n signal
while fetching; else the command's own.
`)
	return b.String()
}

func (s setting) flags() string {
	if s.flag == "" {
		return ""
	}
	text := "--" + s.flag
	if s.short != "" {
		text = "-" + s.short + ", " + text
	}
	if s.arg != "" {
		text += " " + s.arg
	}
	return text
}

func (s setting) describe() string {
	text := s.help
	if s.env != "" {
		text = s.env + ": " + text
	}
	if s.def != "" {
		text += " (" + s.def + ")"
	}
	return text
}
