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
	Encode   string      // how it is spelled after that: url, json, base64, or none if that is said
	File     bool        // the variable names a file that holds the value
	Mode     fs.FileMode // of that file
}

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
	path, options, hasOptions := strings.Cut(strings.TrimPrefix(s, scheme), "?")
	ref, err := vault.ParseRef(path)
	switch {
	case LooksLikeValue(path), LooksLikeValue(string(ref)):
		return Reference{}, errLooksLikeValue
	case err != nil:
		return Reference{}, pathError{err}
	}
	r := Reference{Ref: ref, Mode: DefaultMode}
	if !hasOptions {
		return r, nil
	}
	seen := make(map[string]bool)
	for _, option := range strings.Split(options, "&") {
		name, value, hasValue := strings.Cut(option, "=")
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
	if seen["mode"] && !r.File {
		return Reference{}, errors.New("option mode goes with as=file")
	}
	return r, nil
}

func (r *Reference) set(name, value string, hasValue bool) error {
	switch name {
	case "optional":
		if hasValue {
			return errors.New("option optional takes no value")
		}
		r.Optional = true
	case "default":
		if !hasValue {
			return errors.New("option default needs a text, as in default=none; it may be empty")
		}
		r.Default = &value
	case "field":
		if value == "" || strings.HasPrefix(value, "/") && !validPointer(value) {
			return errors.New("option field needs a name or a JSON pointer (of 256 steps and 4 KiB at most), as in field=password or field=/db/password")
		}
		r.Field = value
	case "decode":
		if value != "base64" {
			return errors.New("option decode knows base64 only, as in decode=base64")
		}
		r.Base64 = true
	case "encode":
		switch value {
		case encodeURL, encodeJSON, encodeBase64, encodeNone:
			r.Encode = value
		default:
			return errors.New("option encode knows url, json, base64 and none, as in encode=url")
		}
	case "as":
		if value != "file" {
			return errors.New("option as knows file only, as in as=file")
		}
		r.File = true
	case "mode":
		mode, err := strconv.ParseUint(value, 8, 32)
		if err != nil || mode&^0o666 != 0 || mode&0o400 == 0 {
			return errors.New("option mode needs an octal mode that lets the owner read and nobody execute, as in mode=0444")
		}
		r.Mode = fs.FileMode(mode)
	default:
		return fmt.Errorf("unknown option%s; known are optional, default, field, decode, encode, as and mode", quoteWord(name))
	}
	return nil
}

// String writes the reference as ParseReference reads it.
func (r Reference) String() string {
	var options []string
	if r.Optional {
		options = append(options, "optional")
	}
	if r.Default != nil {
		options = append(options, "default="+escapeOption(*r.Default))
	}
	if r.Field != "" {
		options = append(options, "field="+escapeOption(r.Field))
	}
	if r.Base64 {
		options = append(options, "decode=base64")
	}
	if r.Encode != "" {
		options = append(options, "encode="+r.Encode)
	}
	if r.File {
		options = append(options, "as=file")
	}
	if r.Mode != DefaultMode {
		options = append(options, fmt.Sprintf("mode=%04o", r.Mode))
	}
	s := r.Ref.Escaped()
	if len(options) > 0 {
		s += "?" + strings.Join(options, "&")
	}
	return s
}

// escapeOption leaves a slash as it is, for the sake of JSON pointers, and
// nothing that could end the option or a template.
func escapeOption(s string) string {
	return strings.NewReplacer("%2F", "/", "+", "%2B", "&", "%26", "=", "%3D").Replace(url.PathEscape(s))
}

// quoteWord returns a blank and the quoted text, or nothing unless it is a
// short plain word: anything else may be a value in the wrong place.
func quoteWord(s string) string {
	if len(s) == 0 || len(s) > 16 || strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r == '-' || r == '_')
	}) {
		return ""
	}
	return " " + strconv.Quote(s)
}
