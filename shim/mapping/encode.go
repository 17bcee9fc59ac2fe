package mapping

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The values of encode=.
const (
	encodeURL    = "url"
	encodeJSON   = "json"
	encodeBase64 = "base64"
	encodeNone   = "none" // says that the value is in the right spelling already
)

// Encoded spells what was extracted as the reference asks for. An empty value
// stays empty, so that optional and default can act on it.
func (r Reference) Encoded(v string) (string, error) {
	switch r.Encode {
	case encodeURL:
		return percentEncode(v), nil
	case encodeJSON:
		return jsonString(v)
	case encodeBase64:
		return base64.StdEncoding.EncodeToString([]byte(v)), nil
	}
	return v, nil
}

// percentEncode leaves nothing but what RFC 3986 calls unreserved: net/url
// leaves more, for it knows which part of a URL the text is for.
func percentEncode(v string) string {
	var b strings.Builder
	for _, c := range []byte(v) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if letter || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// jsonString is the inside of a JSON string.
func jsonString(v string) (string, error) {
	if !utf8.ValidString(v) {
		return "", errors.New("the secret is not UTF-8, which a JSON string must be: take encode=base64")
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", errors.New("the secret cannot be a JSON string")
	}
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), `"`), "\"\n"), nil
}

// Extract selects the field and decodes it, each if that is asked for. An empty
// secret stays empty, so that optional and default can act on it.
func (r Reference) Extract(v string) (string, error) {
	var err error
	if r.Field != "" && v != "" {
		if v, err = selectField(v, r.Field); err != nil {
			return "", err
		}
	}
	if r.Base64 {
		return decodeBase64(v)
	}
	return v, nil
}

// decodeBase64 takes the standard or the URL alphabet, with the right padding or
// none, and line breaks.
func decodeBase64(s string) (string, error) {
	s = strings.TrimSpace(s)
	encoding := base64.StdEncoding
	if strings.ContainsAny(s, "-_") {
		encoding = base64.URLEncoding
	}
	if !strings.Contains(s, "=") {
		encoding = encoding.WithPadding(base64.NoPadding)
	}
	b, err := encoding.DecodeString(s)
	if err != nil {
		return "", errors.New("the secret is not base64")
	}
	return string(b), nil
}
