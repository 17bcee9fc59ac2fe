package mapping

import (
	"cmp"
	"errors"
	"strings"

	"github.com/agent-secret-store/ass-exec/vault"
)

const (
	open    = "${" + scheme
	escaped = "$" + open // stands for a literal open
)

// Template is what a variable's value is made of: one bare reference, or text
// with references in it.
type Template struct {
	Bare  bool
	Parts []Part
	File  *File // whose text the parts are, once it is read
}

// Part is a reference or, without one, text.
type Part struct {
	Text string
	Ref  *Reference
	Line int // of a template file
}

// ParseValue reads the value of a mapping line.
func ParseValue(s string) (Template, error) {
	if strings.Contains(s, open) {
		t, err := parseTemplate(s)
		if err == nil && len(t.References()) == 0 {
			err = errors.New("it holds no reference: $${ass:// stands for a literal ${ass://")
		}
		return t, err
	}
	r, err := ParseReference(s)
	if err = cmp.Or(err, r.checkDefault()); err != nil {
		return Template{}, err
	}
	return Template{Bare: true, Parts: []Part{{Ref: &r}}}, nil
}

// ParseInherited reads the value of an inherited variable. Without a reference
// in it the value is none of our business, and ok is false.
func ParseInherited(s string) (t Template, ok bool, err error) {
	switch {
	case strings.HasPrefix(s, scheme):
		t, err = ParseValue(s)
	case strings.Contains(s, open):
		t, err = parseTemplate(s)
	default:
		return Template{}, false, nil
	}
	return t, true, err
}

func parseTemplate(s string) (Template, error) {
	t, err := parseParts(s)
	for _, r := range t.References() {
		err = cmp.Or(err, r.checkDefault())
	}
	if err != nil {
		return Template{}, err
	}
	return t, t.checkURL()
}

func parseParts(s string) (Template, error) {
	var t Template
	var text strings.Builder // up to the next reference; appended to a string, it would be copied for each $${ass://
	flush := func() {
		if text.Len() > 0 {
			t.Parts = append(t.Parts, Part{Text: text.String()})
			text.Reset()
		}
	}
	for s != "" {
		before, rest, found := strings.Cut(s, open)
		if !found {
			text.WriteString(s)
			break
		}
		if strings.HasSuffix(before, "$") {
			text.WriteString(before[:len(before)-1] + open)
			s = rest
			continue
		}
		text.WriteString(before)
		flush()
		inner, rest, ok := strings.Cut(rest, "}")
		if !ok {
			return Template{}, errors.New("a ${ass:// is not closed by }")
		}
		r, err := ParseReference(scheme + inner) // or inner might begin with another
		if err != nil {
			return Template{}, err
		}
		if r.File {
			return Template{}, errors.New("as=file is not allowed in a template: the file holds only the secret")
		}
		t.Parts = append(t.Parts, Part{Ref: &r})
		s = rest
	}
	flush()
	return t, nil
}

// checkURL wants a secret in the user or password of a URL to say how it is
// spelled there: an @, / or # of its own would move the end of the host. The
// text alone decides, so that no new value can break what worked.
func (t Template) checkURL() error {
	var text strings.Builder
	for _, p := range t.Parts {
		text.WriteString(p.Text)
	}
	start, end := userinfo(text.String())
	offset := 0
	for _, p := range t.Parts {
		offset += len(p.Text)
		if p.Ref == nil || offset < start || offset > end {
			continue
		}
		if p.Ref.Encode != encodeURL && p.Ref.Encode != encodeNone {
			return urlError(*p.Ref)
		}
	}
	return nil
}

// userinfo is where the user and password of a URL begin and end, with an end
// before the start where there are none.
func userinfo(text string) (start, end int) {
	scheme, rest, ok := strings.Cut(text, "://")
	for i, c := range []byte(scheme) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || strings.IndexByte("+.-", c) >= 0)) {
			return 0, -1
		}
	}
	if !ok || scheme == "" {
		return 0, -1
	}
	start = len(scheme) + len("://")
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	end = strings.LastIndexByte(authority, '@')
	if i := strings.IndexAny(authority, "\"'; \t\r\n\f"); i >= 0 {
		end = min(end, i) // no URL, but a text that begins like one
	}
	if end < 0 {
		return 0, -1
	}
	return start, start + end
}

func urlError(r Reference) error {
	if r.Default != nil {
		text := "TEXT" // as the README has it: what stands there is not for a log
		r.Default = &text
	}
	spelled := func(how string) string { r.Encode = how; return open + r.String() + "}" }
	return &hintedError{
		"a secret in the user or password of a URL must say how it is spelled there: " + spelled(encodeURL) + " or " + spelled(encodeNone),
		"take encode=url, unless the vault holds the secret percent-encoded already: then encode=none",
	}
}

// References returns the references in their order.
func (t Template) References() []Reference {
	var refs []Reference
	for _, p := range t.Parts {
		if p.Ref != nil {
			refs = append(refs, *p.Ref)
		}
	}
	return refs
}

// Refs returns the secrets named, with repetitions.
func (t Template) Refs() []vault.Ref {
	var refs []vault.Ref
	for _, r := range t.References() {
		refs = append(refs, r.Ref)
	}
	return refs
}

// Paths are the secrets named, as one text.
func (t Template) Paths() string {
	var paths []string
	for _, ref := range t.Refs() {
		paths = append(paths, string(ref))
	}
	return strings.Join(paths, ", ")
}

// String writes the value as ParseValue reads it.
func (t Template) String() string {
	if t.Bare {
		return t.Parts[0].Ref.String()
	}
	if t.File != nil {
		return t.File.String()
	}
	var b strings.Builder
	for _, p := range t.Parts {
		if p.Ref != nil {
			b.WriteString(open + p.Ref.String() + "}")
		} else {
			b.WriteString(strings.ReplaceAll(p.Text, open, escaped))
		}
	}
	return b.String()
}
