package mapping

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/vault"
)

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{
		"production/gemini/GEMINI_API_KEY", "ass://a/B", "a/b/c?optional&field=/x/0&decode=base64&as=file&mode=0444&fd=70", "a/b?encode=url", "a/b?encode=none&decode=base64",
		"a/B?default=", "a/B?default=%26%3D%3F+x", "a/sp%20ace", "a/%2e%2e", "a/*", "a//b", "", "?", "a/B?", "a/b%", "é/ü?field=ß", "a/AKI%41IOSFODNN7EXAMPLE",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseReference(s)
		if err != nil {
			return
		}
		checkRef(t, r.Ref)
		again, err := ParseReference(r.String())
		if err != nil || again.String() != r.String() {
			t.Errorf("%q is printed as %q, which is read as %v, %v", s, r, again, err)
		}
		if *r.text() != *again.text() {
			t.Errorf("%q: got %+v, then %+v", s, r, again)
		}
	})
}

// text is the reference with its default as a value, for comparison.
func (r Reference) text() *Reference {
	if r.Default != nil {
		r.Field += "\x00" + *r.Default
		r.Default = nil
	}
	return &r
}

func checkRef(t *testing.T, ref vault.Ref) {
	t.Helper()
	for _, segment := range strings.Split(string(ref), "/") {
		if segment == "" || segment == "." || segment == ".." || strings.ContainsAny(segment, "*:") || !utf8.ValidString(segment) {
			t.Errorf("%q is no path", ref)
		}
	}
	if again, err := vault.ParseRef(ref.Escaped()); err != nil || again != ref {
		t.Errorf("%q is escaped as %q, which is read as %q, %v", ref, ref.Escaped(), again, err)
	}
}

func FuzzParseTemplate(f *testing.F) {
	for _, s := range []string{
		"postgres://u:${ass://a/B?encode=url}@h", "x://${ass://a/B}@h", "x://${ass://a/B}/@", "${ass://a/B}${ass://c/D?optional}", "$${ass://", "$$${ass://a/B}", "${ass://a/B", "${ass://}", "$${ass://a/B}}", "ass://a/B", "plain",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, parse := range []func(string) (Template, error){
			ParseValue,
			func(s string) (Template, error) { t, _, err := ParseInherited(s); return t, err },
		} {
			template, err := parse(s)
			if err != nil {
				continue
			}
			printed := template.String()
			if len(template.References()) == 0 {
				continue // no value of a mapping
			}
			again, err := ParseValue(printed)
			if err != nil || again.String() != printed || len(again.Refs()) != len(template.Refs()) {
				t.Errorf("%q is printed as %q, which is read as %v, %v", s, printed, again, err)
			}
		}
	})
}

func FuzzParseMapping(f *testing.F) {
	for _, tt := range badLines {
		if len(tt.line) < 1000 {
			f.Add(tt.line)
		}
	}
	f.Add("A=a/b\nexport B='c/d' # e\r\n\uFEFF# x\nC=\"x ${ass://a/b?default=%7D}\"\n")
	f.Fuzz(func(t *testing.T, s string) {
		bindings, err := Parse("m", []byte(s))
		if err != nil {
			if exit.Status(err) != int(exit.Config) {
				t.Errorf("got status %d", exit.Status(err))
			}
			return
		}
		var printed strings.Builder
		for _, b := range bindings {
			if !ValidName(b.Name) {
				t.Errorf("got name %q", b.Name)
			}
			if strings.ContainsAny(b.Value.String(), "'\n\r") {
				return // cannot stand in single quotes
			}
			printed.WriteString(b.Name + "='" + b.Value.String() + "'\n")
		}
		again, err := Parse("m", []byte(printed.String()))
		if err != nil || len(again) != len(bindings) {
			t.Fatalf("%q is printed as %q, which is read as %v, %v", s, &printed, again, err)
		}
		for i := range again {
			if again[i].Name != bindings[i].Name || again[i].Value.String() != bindings[i].Value.String() {
				t.Errorf("got %v, want %v", again[i], bindings[i])
			}
		}
	})
}

func FuzzSelectField(f *testing.F) {
	f.Add(`{"a":{"b":[1,"x",true,null]}}`, "/a/b/1")
	f.Add(`{"":1,"~":2,"/":3}`, "/~0")
	f.Add(`[1]`, "/0")
	f.Add(`{"a":"\ud800"}`, "a")
	f.Fuzz(func(t *testing.T, value, field string) {
		_, _ = selectField(value, field)
		_, _ = decodeBase64(value)
		if got, err := url.PathUnescape(percentEncode(value)); err != nil || got != value {
			t.Errorf("%q is percent-encoded as %q", value, percentEncode(value))
		}
		var got string
		inside, err := jsonString(value)
		if err == nil {
			err = json.Unmarshal([]byte(`"`+inside+`"`), &got)
		}
		if (err != nil || got != value) && utf8.ValidString(value) {
			t.Errorf("%q is in JSON %q, which is %q, %v", value, inside, got, err)
		}
	})
}
