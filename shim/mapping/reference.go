package mapping

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"strings"

	"github.com/agent-secret-store/ass-exec/vault"
)

const scheme = "ass://"

// Reference names a secret and says how to make a value of it.
type Reference struct {
	Ref      vault.Ref
	Optional bool        // a secret that does not exist or is empty is no failure
	Default  *string     // what stands for such a secret
	Field    string      // a name, or a JSON pointer if it begins with a slash
	Base64   bool        // the value, or its field, is decoded
	Encode   string      // how it is spelled after that: url, json, base64 or none; empty if that was not given
	File     bool        // the variable names a file that holds the value
	Mode     fs.FileMode // of that file
	FD       int         // its descriptor, 0 for any
}

// DefaultMode lets only the owner read.
const DefaultMode fs.FileMode = 0o400

// pathError is what is wrong with the path of a reference, as opposed to its
// options.
type pathError struct{ error }

// ParseReference reads namespace/KEY with options behind a question mark, with
// or without ass:// before it. Its error does not repeat what it was given.
func ParseReference(s string) (Reference, error) {
	if strings.Contains(s, "`") {
		return Reference{}, errors.New("a backtick is a quote to other dotenv readers; a reference that holds one writes it as %60")
	}
	path, query, hasOptions := strings.Cut(strings.TrimPrefix(s, scheme), "?")
	ref, err := vault.ParseRef(path)
	read := string(ref)
	if err != nil {
		read = path
	}
	switch {
	case LooksLikeValue(read):
		return Reference{}, errLooksLikeValue
	case err != nil:
		return Reference{}, pathError{err}
	}
	r := Reference{Ref: ref, Mode: DefaultMode}
	if !hasOptions {
		return r, nil
	}
	seen := make(map[string]bool)
	for _, text := range strings.Split(query, "&") {
		name, value, hasValue := strings.Cut(text, "=")
		if seen[name] {
			return Reference{}, fmt.Errorf("option %q is given twice", name)
		}
		seen[name] = true
		value, err := url.PathUnescape(value)
		if err != nil {
			return Reference{}, errors.New("a % in an option must be followed by two hex digits; write a literal one as %25")
		}
		if err := r.set(name, value, hasValue); err != nil {
			return Reference{}, err
		}
	}
	for _, o := range options {
		if o.forFile && seen[o.name] && !r.File {
			return Reference{}, fmt.Errorf("option %s requires as=file", o.name)
		}
	}
	return r, nil
}

// String writes the reference as ParseReference reads it.
func (r Reference) String() string {
	var given []string
	for _, o := range options {
		if text := o.print(r); text != "" {
			given = append(given, text)
		}
	}
	s := r.Ref.Escaped()
	if len(given) > 0 {
		s += "?" + strings.Join(given, "&")
	}
	return s
}

// escapeOption leaves a slash as it is, for the sake of JSON pointers, and
// nothing that could end the option or a template.
func escapeOption(s string) string {
	return strings.NewReplacer("%2F", "/", "+", "%2B", "&", "%26", "=", "%3D").Replace(url.PathEscape(s))
}

// quoteIfPlain returns the quoted text if it is a short plain word, or nothing:
// anything else may be a value in the wrong place.
func quoteIfPlain(s string) string {
	if len(s) == 0 || len(s) > 16 || strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r == '-' || r == '_')
	}) {
		return ""
	}
	return strconv.Quote(s)
}
