package mapping

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

// File is a file in memory, whose path a variable gets in place of the value.
type File struct {
	// Template is the path of the text to fill in; empty for as=file, where the
	// file holds the secret alone.
	Template string
	Mode     fs.FileMode
	FD       int // its descriptor, 0 for any
}

// What fd= can ask for: numbers that no shell script uses, and no descriptor of
// ass-exec's own has.
const (
	firstFD = 64
	lastFD  = 255
)

const fileMark = "@" // before the name of a template file

// File is the file in memory of a variable, nil for a variable that has none.
func (b Binding) File() *File {
	t := b.Value
	switch {
	case t.File != nil:
		return t.File
	case t.Bare && t.Parts[0].Ref.File:
		return &File{Mode: t.Parts[0].Ref.Mode, FD: t.Parts[0].Ref.FD}
	}
	return nil
}

// At is the binding as messages about one of its parts name it: a template file
// has lines of its own.
func (b Binding) At(p Part) Binding {
	if p.Line > 0 {
		b.Origin = fmt.Sprintf("%s:%d", b.Value.File.Template, p.Line)
	}
	return b
}

// Lenient is the option that allows a secret of the binding to be missing.
func (b Binding) Lenient() string {
	if b.Value.File != nil {
		return "?default=TEXT"
	}
	return "?optional"
}

// parseFile reads the value of a mapping line that names a template file. The
// file's text is for ParseText.
func parseFile(value string) (Template, error) {
	name, options, hasOptions := strings.Cut(strings.TrimPrefix(value, fileMark), "?")
	if name == "" {
		return Template{}, errors.New("@ stands before the name of a template file, as in NAME=@nginx.conf.tmpl")
	}
	f := &File{Template: name, Mode: DefaultMode}
	if !hasOptions {
		return Template{File: f}, nil
	}
	for _, option := range strings.Split(options, "&") {
		if key, _, _ := strings.Cut(option, "="); key != "mode" && key != "fd" {
			return Template{}, errors.New("a template file takes only the options mode and fd, as in @nginx.conf.tmpl?fd=70; the others belong to the references in it")
		}
	}
	r, err := ParseReference("template/FILE?as=file&" + options)
	f.Mode, f.FD = r.Mode, r.FD
	return Template{File: f}, err
}

func parseFD(value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < firstFD || n > lastFD || value != strconv.Itoa(n) {
		return 0, fmt.Errorf("option fd needs a number from %d to %d, as in fd=70", firstFD, lastFD)
	}
	return n, nil
}

// String writes a template file as a mapping line names it.
func (f File) String() string {
	r := Reference{Ref: "a/B", Mode: f.Mode, FD: f.FD}
	return fileMark + f.Template + strings.TrimPrefix(r.String(), "a/B")
}

// ReadText makes the binding's value of the text of its template file. All but
// references stays as it is. The error lists every line that is wrong.
func (b *Binding) ReadText(text string) error {
	var problems exit.Errors
	var parts []Part
	if !utf8.ValidString(text) {
		n := 1 + slices.IndexFunc(strings.Split(text, "\n"), func(line string) bool { return !utf8.ValidString(line) })
		return exit.Errors{textError(b.At(Part{Line: n}).Origin, fmt.Errorf("%s: the text is not UTF-8", b.Name))}
	}
	for n := 1; text != ""; n++ {
		plain := startOfLineWith(text, open)
		if plain > 0 {
			parts = append(parts, Part{Text: text[:plain]})
			n += strings.Count(text[:plain], "\n")
		}
		line, rest := cutLine(text[plain:])
		t, err := parseLineOfText(line)
		if err != nil {
			problems = append(problems, textError(b.At(Part{Line: n}).Origin, fmt.Errorf("%s: %w", b.Name, err)))
		}
		for _, p := range t.Parts {
			p.Line = n
			parts = append(parts, p)
		}
		text = rest
	}
	b.Value.Parts = parts
	if len(problems) == 0 && len(b.Value.References()) == 0 {
		return exit.Errors{textError(b.Origin, fmt.Errorf("%s: %s holds no reference", b.Name, b.Value.File.Template))}
	}
	return problems.OrNil()
}

// startOfLineWith is where the first line begins that holds s, or the length of
// the text if none does.
func startOfLineWith(text, s string) int {
	i := strings.Index(text, s)
	if i < 0 {
		return len(text)
	}
	return strings.LastIndexByte(text[:i], '\n') + 1
}

// cutLine cuts a text behind its first line.
func cutLine(text string) (line, rest string) {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return text[:i+1], text[i+1:]
	}
	return text, ""
}

// parseLineOfText reads one line of a template file. What is the user and
// password of a URL, and so how a secret is spelled there, only the reader of
// the file knows.
func parseLineOfText(line string) (Template, error) {
	t, err := parseParts(line)
	if err != nil {
		return Template{}, Describe(line, err)
	}
	for _, r := range t.References() {
		if r.Optional {
			return Template{}, errors.New("optional is not allowed in a template file: use default=TEXT for what replaces a missing secret")
		}
	}
	return t, nil
}

func textError(where string, err error) *exit.Error {
	e := LineError(where, err)
	var hinted *hintedError
	if !errors.As(err, &hinted) {
		e.Hint = "in a template file ${ass://namespace/KEY} stands for a secret, $${ass:// for a literal ${ass://, and everything else for itself"
	}
	return e
}
