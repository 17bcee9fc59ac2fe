package mapping

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// printed is the text of a template file as it would be read again.
func printed(b Binding) string {
	var s strings.Builder
	for _, p := range b.Value.Parts {
		if p.Ref != nil {
			s.WriteString(open + p.Ref.String() + "}")
		} else {
			s.WriteString(strings.ReplaceAll(p.Text, open, escaped))
		}
	}
	return s.String()
}

func FuzzReadText(f *testing.F) {
	for _, s := range []string{
		"${ass://a/B}", "a\n$${ass://a/B}\r\n${ass://a/B?default=%0A}${ass://c/D}", "x://u:${ass://a/B}@h", "${ass://a/B", "$$${ass://a/B}", "\xff${ass://a/B}", "${ass://a/B?optional}", "", "\n\n",
		"${ass://r/\\i5nia5555l5J5no5ol}", // 20 characters at random, with the C of its %5C
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := fileOf("F=@f", text)
		if err != nil {
			return
		}
		if !utf8.ValidString(text) || len(b.Value.References()) == 0 {
			t.Errorf("%q is read", text)
		}
		for _, p := range b.Value.Parts {
			lines := strings.Split(text, "\n")
			switch {
			case p.Ref == nil && !strings.Contains(strings.ReplaceAll(text, escaped, open), p.Text):
				t.Errorf("%q: %q is not in it", text, p.Text)
			case p.Ref != nil && !strings.Contains(lines[p.Line-1], open):
				t.Errorf("%q: no reference on line %d", text, p.Line)
			}
		}
		again, err := fileOf("F=@f", printed(b))
		if err != nil || filled(again) != filled(b) {
			t.Errorf("%q is printed as %q, which is read as %q, %v", text, printed(b), filled(again), err)
		}
	})
}

func FuzzEncode(f *testing.F) {
	for _, s := range []string{"", "p@ss/w#rd ü%", "\x00\xff", "\"\\\b\n\u2028<&>", "\U0001F600", "+ ="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, v string) {
		decode := map[string]func(string) (string, error){
			encodeURL:    url.PathUnescape,
			encodeBase64: func(s string) (string, error) { b, err := base64.StdEncoding.DecodeString(s); return string(b), err },
			encodeNone:   func(s string) (string, error) { return s, nil },
			encodeJSON:   func(s string) (got string, err error) { err = json.Unmarshal([]byte(`"`+s+`"`), &got); return got, err },
		}
		for how, decode := range decode {
			encoded, err := (Reference{Encode: how}).Encoded(v)
			if err != nil {
				if how != encodeJSON || utf8.ValidString(v) {
					t.Errorf("%s of %q: %v", how, v, err)
				}
				continue
			}
			if got, err := decode(encoded); err != nil || got != v {
				t.Errorf("%s of %q is %q, which is read as %q, %v", how, v, encoded, got, err)
			}
			if how == encodeURL && strings.ContainsAny(encoded, ":/?#[]@!$&'()*+,;= \"<>\n") {
				t.Errorf("%q is not percent-encoded", encoded)
			}
		}
		for _, padding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
			if got, err := decodeBase64(padding.EncodeToString([]byte(v))); err != nil || got != v {
				t.Errorf("%q: got %q, %v", v, got, err)
			}
		}
	})
}
