package shim

import (
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
	bare  bool
	parts []part
}

// part is a reference or, without one, text.
type part struct {
	text string
	ref  *Reference
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
	if err != nil {
		return Template{}, err
	}
	return Template{bare: true, parts: []part{{ref: &r}}}, nil
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
	var t Template
	for s != "" {
		i := strings.Index(s, open)
		if i < 0 {
			t.add(s)
			break
		}
		if i > 0 && s[i-1] == '$' {
			t.add(s[:i-1] + open)
			s = s[i+len(open):]
			continue
		}
		t.add(s[:i])
		inner, rest, ok := strings.Cut(s[i+len(open):], "}")
		if !ok {
			return Template{}, errors.New("a ${ass:// is not closed by }")
		}
		r, err := ParseReference(inner)
		if err != nil {
			return Template{}, err
		}
		if r.File {
			return Template{}, errors.New("as=file cannot stand in a template: the file holds the secret alone")
		}
		t.parts = append(t.parts, part{ref: &r})
		s = rest
	}
	return t, nil
}

// add appends text, to the text before it if there is one.
func (t *Template) add(text string) {
	if text == "" {
		return
	}
	if n := len(t.parts); n > 0 && t.parts[n-1].ref == nil {
		t.parts[n-1].text += text
		return
	}
	t.parts = append(t.parts, part{text: text})
}

// References returns the references in their order.
func (t Template) References() []Reference {
	var refs []Reference
	for _, p := range t.parts {
		if p.ref != nil {
			refs = append(refs, *p.ref)
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

// String writes the value as ParseValue reads it.
func (t Template) String() string {
	if t.bare {
		return t.parts[0].ref.String()
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.ref != nil {
			b.WriteString(open + p.ref.String() + "}")
		} else {
			b.WriteString(strings.ReplaceAll(p.text, open, escaped))
		}
	}
	return b.String()
}
