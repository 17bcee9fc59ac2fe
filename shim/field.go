package shim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxKeysNamed bounds the keys that an error about a field lists.
const maxKeysNamed = 20

// selectField takes one field out of a value that is JSON: by its name in the
// object, or by a JSON pointer (RFC 6901). Its errors name keys, never values.
func selectField(value, field string) (string, error) {
	path := []string{field}
	if strings.HasPrefix(field, "/") {
		path = splitPointer(field)
	}
	if !utf8.ValidString(value) || !json.Valid([]byte(value)) {
		return "", errors.New("the secret is not JSON, so it has no fields")
	}
	raw := json.RawMessage(value)
	for _, step := range path {
		next, err := descend(raw, step)
		if err != nil {
			return "", err
		}
		raw = next
	}
	return scalar(raw)
}

func validPointer(p string) bool {
	for i := range len(p) {
		if p[i] == '~' && (i+1 == len(p) || p[i+1] != '0' && p[i+1] != '1') {
			return false
		}
	}
	return true
}

func splitPointer(p string) []string {
	steps := strings.Split(p[1:], "/")
	for i, s := range steps {
		steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(s)
	}
	return steps
}

func descend(raw json.RawMessage, step string) (json.RawMessage, error) {
	var object map[string]json.RawMessage
	var array []json.RawMessage
	switch firstByte(raw) {
	case '{':
		if err := json.Unmarshal(raw, &object); err != nil {
			return nil, errors.New("the secret is not JSON, so it has no fields")
		}
		if next, ok := object[step]; ok {
			return next, nil
		}
		return nil, fmt.Errorf("the secret has no field %q; %s", step, keysOf(raw))
	case '[':
		if err := json.Unmarshal(raw, &array); err != nil {
			return nil, errors.New("the secret is not JSON, so it has no fields")
		}
		i, err := strconv.ParseUint(step, 10, 31)
		if err != nil || i >= uint64(len(array)) || step != strconv.FormatUint(i, 10) {
			return nil, fmt.Errorf("the secret has no field %q; %s", step, keysOf(raw))
		}
		return array[i], nil
	}
	return nil, fmt.Errorf("the secret has no field %q there, only a single value", step)
}

// scalar writes a string as it is, a number or boolean in its JSON spelling.
func scalar(raw json.RawMessage) (string, error) {
	switch c := firstByte(raw); {
	case c == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", errors.New("the field is no valid string")
		}
		if strings.Count(s, "\uFFFD") != strings.Count(string(raw), "\uFFFD")+strings.Count(strings.ToLower(string(raw)), `\ufffd`) {
			return "", errors.New("the field holds half of a surrogate pair")
		}
		return s, nil
	case c == '{' || c == '[':
		return "", fmt.Errorf("the field is not a single value; %s", keysOf(raw))
	case c == 'n':
		return "", errors.New("the field is null")
	}
	return strings.TrimSpace(string(raw)), nil
}

func keysOf(raw json.RawMessage) string {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil {
		var array []json.RawMessage
		_ = json.Unmarshal(raw, &array)
		return fmt.Sprintf("it is an array of %d", len(array))
	}
	keys := make([]string, 0, len(object))
	for k := range object {
		keys = append(keys, strconv.Quote(k))
	}
	slices.Sort(keys)
	if len(keys) == 0 {
		return "it is an object without keys"
	}
	if len(keys) > maxKeysNamed {
		keys = append(keys[:maxKeysNamed], "…")
	}
	return "its keys are " + strings.Join(keys, ", ")
}

func firstByte(raw json.RawMessage) byte {
	if s := strings.TrimLeft(string(raw), " \t\r\n"); s != "" {
		return s[0]
	}
	return 0
}
