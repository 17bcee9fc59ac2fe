package mapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A JSON pointer is longer only by mistake, or to cost time.
const (
	maxPointer      = 4 << 10 // bytes
	maxPointerSteps = 256
)

var errNotJSON = errors.New("the secret is not JSON, so it has no fields")

// selectField takes one field out of a value that is JSON: by its name in the
// object, or by a JSON pointer (RFC 6901). Its errors name the field that is
// asked for, and no other.
func selectField(value, field string) (string, error) {
	path := []string{field}
	if strings.HasPrefix(field, "/") {
		path = splitPointer(field)
	}
	if !utf8.ValidString(value) || !json.Valid([]byte(value)) {
		return "", errNotJSON
	}
	d := json.NewDecoder(strings.NewReader(value))
	d.UseNumber() // else one that no float64 holds would be an error
	raw, err := find(d, path)
	if err != nil {
		return "", err
	}
	return scalar(raw)
}

func validPointer(p string) bool {
	for i := range len(p) {
		if p[i] == '~' && (i+1 == len(p) || p[i+1] != '0' && p[i+1] != '1') {
			return false
		}
	}
	return len(p) <= maxPointer && strings.Count(p, "/") <= maxPointerSteps
}

func splitPointer(p string) []string {
	steps := strings.Split(p[1:], "/")
	for i, s := range steps {
		steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(s)
	}
	return steps
}

// find reads the next value to its end, and returns what path leads to in it. It
// reads each byte once, however many steps there are.
func find(d *json.Decoder, path []string) (json.RawMessage, error) {
	if len(path) == 0 {
		return decodeRaw(d)
	}
	token, err := d.Token()
	switch {
	case err != nil:
		return nil, errNotJSON
	case token == json.Delim('{'):
		return findInObject(d, path[0], path[1:])
	case token == json.Delim('['):
		return findInArray(d, path[0], path[1:])
	}
	return nil, fmt.Errorf("the secret has no field %q there, only a single value", path[0])
}

// findInObject takes the last of several fields with one name, as most readers
// of JSON do.
func findInObject(d *json.Decoder, step string, path []string) (raw json.RawMessage, err error) {
	n, found, similar := 0, false, false
	for ; d.More(); n++ {
		token, tokenErr := d.Token()
		name, _ := token.(string)
		switch {
		case tokenErr != nil:
			return nil, errNotJSON
		case name == step:
			found = true
			raw, err = find(d, path)
			continue
		}
		similar = similar || strings.EqualFold(name, step)
		if _, err := decodeRaw(d); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, errNotJSON
	}
	if found {
		return raw, err
	}
	text := countFields(n)
	if similar {
		text += ", and one of them differs from this by case alone"
	}
	return nil, fmt.Errorf("the secret has no field %q; %s", step, text)
}

func findInArray(d *json.Decoder, step string, path []string) (raw json.RawMessage, err error) {
	n, found := 0, false
	for ; d.More(); n++ {
		if strconv.Itoa(n) == step {
			found = true
			raw, err = find(d, path)
		} else if _, err := decodeRaw(d); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, errNotJSON
	}
	if found {
		return raw, err
	}
	return nil, fmt.Errorf("the secret has no field %q; it is an array of %d", step, n)
}

func decodeRaw(d *json.Decoder) (raw json.RawMessage, err error) {
	if err := d.Decode(&raw); err != nil {
		return nil, errNotJSON
	}
	return raw, nil
}

// scalar writes a string as it is, a number or boolean in its JSON spelling.
func scalar(raw json.RawMessage) (string, error) {
	switch raw[0] {
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", errors.New("the field is not a valid string")
		}
		spelled := strings.ReplaceAll(string(raw), `\\`, "") // or a backslash before the text ufffd counts
		if strings.Count(s, "\uFFFD") != strings.Count(spelled, "\uFFFD")+strings.Count(strings.ToLower(spelled), `\ufffd`) {
			return "", errors.New("the field holds half of a surrogate pair")
		}
		return s, nil
	case '{', '[':
		return "", fmt.Errorf("the field is not a single value; %s", describeFields(raw))
	case 'n':
		return "", errors.New("the field is null")
	}
	return string(raw), nil
}

// describeFields says what is there in place of a single value. The names of the
// fields are part of the secret's value, and are not printed.
func describeFields(raw json.RawMessage) string {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) == nil {
		return countFields(len(object))
	}
	var array []json.RawMessage
	_ = json.Unmarshal(raw, &array)
	return fmt.Sprintf("it is an array of %d", len(array))
}

func countFields(n int) string {
	if n == 1 {
		return "it has 1 field"
	}
	return fmt.Sprintf("it has %d fields", n)
}
