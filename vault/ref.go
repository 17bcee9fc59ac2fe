package vault

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Ref names one secret by its decoded path: a namespace of one or more
// segments, a slash, and the key. No segment holds a slash of its own, so the
// string is also the path of a scope.
type Ref string

// ParseRef reads a path such as production/gemini/GEMINI_API_KEY. Each segment
// is percent-decoded. The error says what is wrong with the path and does not
// repeat it: what stands there may be a value put in the wrong place.
func ParseRef(path string) (Ref, error) {
	segments, err := parseSegments(path)
	if err != nil {
		return "", err
	}
	if len(segments) < 2 {
		return "", errors.New("a path has a namespace and a key, like production/app/DEBUG")
	}
	return Ref(strings.Join(segments, "/")), nil
}

// ParseNamespace reads the path of a namespace, under the rules of ParseRef.
func ParseNamespace(path string) (string, error) {
	segments, err := parseSegments(path)
	return strings.Join(segments, "/"), err
}

func parseSegments(path string) ([]string, error) {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		decoded, err := url.PathUnescape(s)
		if err != nil {
			return nil, errors.New("a % in a path must be followed by two hex digits; write a literal one as %25")
		}
		if err := checkSegment(decoded); err != nil {
			return nil, err
		}
		segments[i] = decoded
	}
	return segments, nil
}

func checkSegment(s string) error {
	switch {
	case s == "":
		return errors.New("a path cannot have an empty segment: no slash at its start or end, and no two in a row")
	case s == "." || s == "..":
		return errors.New("a path cannot have a . or .. segment")
	case !utf8.ValidString(s):
		return errors.New("a path must be UTF-8")
	}
	for _, r := range s {
		switch {
		case strings.ContainsRune("*:/", r):
			// In a scope these would widen or blur what is asked for.
			return fmt.Errorf("a segment of a path cannot contain %q", r)
		case !unicode.IsPrint(r):
			return fmt.Errorf("a path cannot contain the unprintable character %U", r)
		}
	}
	return nil
}

// Namespace is everything before the last slash.
func (r Ref) Namespace() string {
	return string(r[:strings.LastIndexByte(string(r), '/')])
}

// Key is everything after the last slash.
func (r Ref) Key() string {
	return string(r[strings.LastIndexByte(string(r), '/')+1:])
}

// Escaped is the path as it stands in a URL and in a mapping: each segment
// percent-encoded, the slashes between them kept.
func (r Ref) Escaped() string { return escapePath(string(r)) }

func escapePath(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return strings.Join(segments, "/")
}
