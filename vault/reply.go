package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxBody    = 1 << 20  // bytes of one reply
	maxRound   = 64 << 20 // bytes of all good replies in one budget
	maxMessage = 200      // characters quoted from a server
)

// reply is a whole answer of the server.
type reply struct {
	status int
	header http.Header
	object object // the body; nil if it is not a JSON object
}

// object is a JSON object by its exact keys: encoding/json would take VALUE
// for value in a struct.
type object map[string]json.RawMessage

func parseObject(body []byte) object {
	if !utf8.Valid(body) {
		return nil // encoding/json would change it silently
	}
	var o object
	if o.UnmarshalJSON(body) != nil {
		return nil
	}
	return o
}

// UnmarshalJSON refuses duplicate keys: which of the values counts differs from
// parser to parser.
func (o *object) UnmarshalJSON(b []byte) error {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	if countKeys(b) != len(m) {
		return errors.New("duplicate key")
	}
	*o = m
	return nil
}

// countKeys counts the keys of a valid JSON object, without those of the objects
// in it.
func countKeys(b []byte) (n int) {
	depth, quoted, escaped := 0, false, false
	for _, c := range b {
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ':' && depth == 1:
			n++
		}
	}
	return n
}

// text returns the string under key; false if there is none, or if it is not
// a string.
func (o object) text(key string) (string, bool) {
	if raw := o[key]; plainString(raw) {
		return string(raw[1 : len(raw)-1]), true
	}
	var s *string
	if json.Unmarshal(o[key], &s) != nil || s == nil || altered(o[key], *s) {
		return "", false
	}
	return *s, true
}

// plainString reports whether raw, which is valid JSON, is a string without an
// escape: most are, and decoding would cost more than everything else here.
func plainString(raw json.RawMessage) bool {
	return len(raw) > 0 && raw[0] == '"' && bytes.IndexByte(raw, '\\') == -1
}

// altered reports whether decoding replaced a lone surrogate, which no string
// can hold, by U+FFFD.
func altered(raw json.RawMessage, s string) bool {
	replaced := strings.Count(s, "\uFFFD")
	if replaced == 0 {
		return false
	}
	raw = bytes.ReplaceAll(raw, []byte(`\\`), nil) // or a backslash before the text ufffd counts
	return replaced != bytes.Count(raw, []byte("\uFFFD"))+bytes.Count(bytes.ToLower(raw), []byte(`\ufffd`))
}

// has reports whether key is there and not null.
func (o object) has(key string) bool {
	raw, ok := o[key]
	return ok && string(raw) != "null"
}

// integer returns the number under key, which may stand there as a string; 0 if
// there is none.
func (o object) integer(key string) int64 {
	n, err := strconv.ParseInt(strings.Trim(string(o[key]), `"`), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// tier is the access tier in the object of a secret. An unknown one is not
// passed on: it is a server's text.
func (o object) tier() string {
	switch tier, _ := o.text("access_tier"); tier {
	case "standard", "sensitive", "critical", "":
		return tier
	}
	return "other"
}

// identifies reports whether a good reply says which request it answers. One
// that names another request is an error already; and a token's reply cannot be
// taken for a secret or a listing.
func (o object) identifies(op Op) bool {
	_, path := o.text("path")
	_, namespace := o.text("namespace")
	_, key := o.text("key")
	switch op {
	case OpToken:
		return true
	case OpRead:
		return path || namespace && key
	case OpList:
		return namespace
	case OpApproval:
		return false
	}
	return false
}

// message finds the error message in any of the envelopes that the vendor's
// clients read.
func (o object) message() string {
	for _, envelope := range []string{"error", "detail"} {
		if s, ok := o.text(envelope); ok {
			return s
		}
		var inner object
		if json.Unmarshal(o[envelope], &inner) == nil {
			if s, ok := inner.text("message"); ok {
				return s
			}
		}
	}
	var details []struct {
		Loc []any
		Msg string
	}
	if json.Unmarshal(o["detail"], &details) == nil && len(details) > 0 {
		parts := make([]string, len(details))
		for i, d := range details {
			parts[i] = strings.TrimSpace(fmt.Sprintln(d.Loc...)) + ": " + d.Msg
		}
		return strings.Join(parts, "; ")
	}
	text, _ := o.text("message")
	return text
}

// enveloped reports whether the body is the API's error envelope. A code and a
// message without one are a gateway's too, unless the code is the vault's own.
func (o object) enveloped() bool {
	code, _ := o.text("code")
	return o.has("error") || o.has("detail") || code == "SECRET_NOT_FOUND"
}

// quote makes a server's text fit for a user's log: the credentials cut
// out, control characters escaped, at most maxMessage characters.
func quote(text string, secrets ...Secret) string {
	for _, s := range secrets {
		if !s.Empty() {
			text = strings.ReplaceAll(text, s.Reveal(), redacted)
		}
	}
	var b strings.Builder
	room := maxMessage
	for _, r := range text {
		shown := string(r)
		if !unicode.IsPrint(r) {
			shown = strings.Trim(strconv.QuoteRune(r), "'")
		}
		if room -= utf8.RuneCountInString(shown); room < 0 {
			b.WriteString("…")
			break
		}
		b.WriteString(shown)
	}
	return b.String()
}

// maxRetryAfter is as good as for ever, with room for what is added to it.
const maxRetryAfter = 1 << 31 * time.Second

// retryAfter reads Retry-After in seconds or as a date. A date is compared with
// the server's own, because the local clock may be wrong.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	} else if errors.Is(err, strconv.ErrRange) {
		return maxRetryAfter
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(serverTime(h, now)), maxRetryAfter))
}

// serverTime is the time of the server when it sent a reply: its Date, or now
// without one.
func serverTime(h http.Header, now time.Time) time.Time {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return date
	}
	return now
}
