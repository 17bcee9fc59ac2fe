// Package mapping is the language in which a user says which variable comes
// from which secret: the mapping file, references and their options, and
// templates. It is pure: text in, values or errors out.
package mapping

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/go-envparse"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

const (
	MaxSize = 1 << 20  // bytes of a mapping file
	maxLine = 64 << 10 // bytes of one line; go-envparse reads no longer one
)

// Binding is one variable and what its value is made of.
type Binding struct {
	Name   string
	Value  Template
	Origin string // where it is mapped, for messages: ass.env:3, environment, namespace production
}

// Parse reads a mapping file in dotenv syntax. Messages call the file name. The
// error lists every bad line.
func Parse(name string, data []byte) ([]Binding, error) {
	var bindings []Binding
	var problems exit.Errors
	first := make(map[string]int)
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	for i, line := range strings.Split(string(data), "\n") {
		n := i + 1
		origin := fmt.Sprintf("%s:%d", name, n)
		variable, value, err := parseLine(strings.TrimSuffix(line, "\r"))
		if err == nil && variable == "" {
			continue
		}
		var t Template
		switch {
		case err != nil:
		case first[variable] != 0:
			err = fmt.Errorf("%s is already mapped on line %d", variable, first[variable])
		default:
			first[variable] = n
			t, err = parseMapped(variable, value)
		}
		if err != nil {
			problems = append(problems, LineError(origin, hideBase64(line, err)))
			continue
		}
		bindings = append(bindings, Binding{Name: variable, Value: t, Origin: origin})
	}
	return bindings, problems.OrNil()
}

// hideBase64 replaces the error of a line whose name may be the end of a pasted
// key, which the error would print: base64 is padded with =.
func hideBase64(line string, err error) error {
	before, after, found := strings.Cut(line, "=")
	switch {
	case !found:
	case LooksLikeValue(before):
		return errLooksLikeValue
	case strings.Trim(after, "= \t\r\"'") == "" && strings.ToUpper(before) != before:
		return errors.New("there is no value after the =")
	}
	return err
}

// hintedError has a hint of its own, where the common one does not help.
type hintedError struct{ msg, hint string }

func (e *hintedError) Error() string { return e.msg }

// LineError says what is wrong at a place, such as ass.env:3, with the hint that
// fits.
func LineError(where string, err error) *exit.Error {
	e := &exit.Error{
		Code: exit.Config, Msg: where + ": " + err.Error(), Err: err,
		Hint: "a line is NAME=namespace/KEY or NAME=\"text ${ass://namespace/KEY}\", like DATABASE_URL=production/database/DATABASE_URL",
	}
	var hinted *hintedError
	if errors.As(err, &hinted) {
		e.Hint = hinted.hint
	}
	return e
}

func parseMapped(variable, value string) (Template, error) {
	if value == "" {
		return Template{}, fmt.Errorf("%s has no value", variable)
	}
	parse := ParseValue
	if strings.HasPrefix(value, fileMark) {
		parse = parseFile
	}
	t, err := parse(value)
	if err != nil {
		return Template{}, fmt.Errorf("%s: %w", variable, Describe(value, err))
	}
	return t, nil
}

// Describe adds to the error of a value that is not a secret path what the value
// is, as far as that is safe to print.
func Describe(value string, err error) error {
	var notPath pathError
	switch word := quoteIfPlain(value); {
	case !errors.As(err, &notPath):
		return err
	case strings.Contains(value, open):
		return fmt.Errorf("a ${ass://…} in it holds no secret path; %w", err)
	case word != "":
		return fmt.Errorf("%s is not a secret path; %w", word, err)
	default:
		return fmt.Errorf("the value is not a secret path; %w", err)
	}
}

// parseLine reads NAME=value; the name is empty for a blank line or a comment.
// go-envparse reads one line at a time, because over a whole file it forgets
// order and lines and lets the last duplicate win.
func parseLine(line string) (name, value string, err error) {
	trimmed := strings.TrimSpace(line)
	if trimmed == "" || trimmed[0] == '#' {
		return "", "", nil
	}
	if err := checkLine(line); err != nil {
		return "", "", err
	}
	name, raw, ok := strings.Cut(trimmed, "=")
	if !ok {
		return "", "", errors.New("the line has no =")
	}
	if after, ok := strings.CutPrefix(name, "export"); ok && after != strings.TrimLeft(after, " \t") {
		name = after
	}
	name = strings.TrimSpace(name)
	if !ValidName(name) {
		return "", "", errors.New("the name before = can hold only letters, digits, _ and dots, and begins with a letter or _")
	}
	raw, err = cutComment(strings.TrimSpace(raw))
	if err == nil {
		value, err = parseQuoted(raw)
	}
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", name, err)
	}
	return name, value, nil
}

// cutComment returns the value without a comment behind it. It is cut here
// because go-envparse begins one inside a word too, and then cuts a character
// that is longer than a byte in two.
func cutComment(raw string) (string, error) {
	if raw == "" || raw[0] == '#' {
		return "", nil
	}
	if raw[0] != '"' && raw[0] != '\'' {
		for i := 1; i < len(raw); i++ {
			if raw[i] == '#' && isBlank(raw[i-1]) {
				return strings.TrimSpace(raw[:i]), nil
			}
		}
		return raw, nil
	}
	end := closingQuote(raw)
	rest := raw[end:]
	if rest != "" && !(isBlank(rest[0]) && strings.TrimSpace(rest)[0] == '#') {
		return "", errors.New("only a comment, after a space, may follow the closing quote")
	}
	return raw[:end], nil
}

// closingQuote returns the index after the quote that closes the one at the
// start, or the length where none does.
func closingQuote(raw string) int {
	for i := 1; i < len(raw); i++ {
		switch {
		case raw[0] == '"' && raw[i] == '\\':
			i++
		case raw[i] == raw[0]:
			return i + 1
		}
	}
	return len(raw)
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// parseQuoted has go-envparse read a value, and refuses one that it reads as
// something else than it looks like: it eats quotes inside a word, begins a
// comment inside one, leaves the backticks that other readers eat, and makes a
// tab of the \t in "C:\temp".
func parseQuoted(raw string) (string, error) {
	if !strings.ContainsAny(raw, "\"'`#\t") {
		return raw, nil // as go-envparse would, which takes 4 KiB to do so
	}
	parsed, err := envparse.Parse(strings.NewReader("V=" + raw))
	if err != nil {
		// Its own text quotes characters of the value.
		return "", errors.New("an unclosed quote, or an invalid escape in double quotes; in single quotes every character is literal")
	}
	value := parsed["V"]
	quoted := raw != "" && (raw[0] == '"' || raw[0] == '\'')
	if !quoted && strings.Contains(raw, "`") {
		return "", errors.New("a backtick is a quote to other dotenv readers; a value that holds one needs quotes around the whole of it: NAME='value'")
	}
	if !quoted && value != raw {
		return "", errors.New("a quote or a # inside a word needs quotes around the whole value: NAME='value'")
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r != '\n' && r != '\r' && unicode.IsControl(r) }) {
		return "", errors.New(`\t, \b and \f in double quotes are control characters; in single quotes a backslash is literal`)
	}
	return value, nil
}

func checkLine(line string) error {
	switch {
	case len(line) >= maxLine:
		return fmt.Errorf("the line is longer than %d bytes", maxLine)
	case !utf8.ValidString(line):
		return errors.New("the line is not UTF-8")
	case strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }):
		return errors.New("the line holds a control character")
	}
	return nil
}

// ValidName allows what docker and env pass on, dots included.
func ValidName(s string) bool {
	for i, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '.')) {
			return false
		}
	}
	return s != ""
}
