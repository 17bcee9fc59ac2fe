package shim

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// selectField takes one field out of a value that is JSON: by its name in the
// object, or by a JSON pointer (RFC 6901). Its errors name the field that is asked for, and no other.
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
		return nil, fmt.Errorf("the secret has no field %q; %s", step, fieldsOf(raw, step))
	case '[':
		if err := json.Unmarshal(raw, &array); err != nil {
			return nil, errors.New("the secret is not JSON, so it has no fields")
		}
		i, err := strconv.ParseUint(step, 10, 31)
		if err != nil || i >= uint64(len(array)) || step != strconv.FormatUint(i, 10) {
			return nil, fmt.Errorf("the secret has no field %q; %s", step, fieldsOf(raw, step))
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
		return "", fmt.Errorf("the field is not a single value; %s", fieldsOf(raw, ""))
	case c == 'n':
		return "", errors.New("the field is null")
	}
	return strings.TrimSpace(string(raw)), nil
}

// fieldsOf says what is there in place of a field. The names of the fields are
// part of the value, and are not told.
func fieldsOf(raw json.RawMessage, step string) string {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil {
		var array []json.RawMessage
		_ = json.Unmarshal(raw, &array)
		return fmt.Sprintf("it is an array of %d", len(array))
	}
	text := fmt.Sprintf("it has %d fields", len(object))
	if len(object) == 1 {
		text = "it has 1 field"
	}
	for name := range object {
		if step != "" && strings.EqualFold(name, step) {
			return text + ", and one of them differs from this by case alone"
		}
	}
	return text
}

func firstByte(raw json.RawMessage) byte {
	if s := strings.TrimLeft(string(raw), " \t\r\n"); s != "" {
		return s[0]
	}
	return 0
}
