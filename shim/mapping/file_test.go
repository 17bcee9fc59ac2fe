package mapping

import (
	"strings"
	"testing"
)

// fileOf reads a mapping line and the text of the file it names.
func fileOf(line, text string) (Binding, error) {
	bindings, err := Parse("ass.env", []byte(line))
	if err != nil {
		return Binding{}, err
	}
	return bindings[0], bindings[0].ReadText(text)
}

// filled is the text with each reference in brackets, behind its line.
func filled(b Binding) string {
	var s strings.Builder
	for _, p := range b.Value.Parts {
		if p.Ref == nil {
			s.WriteString(p.Text)
		} else {
			at := b.At(p)
			s.WriteString("<" + strings.TrimPrefix(at.Origin, b.Value.File.Template+":") + " " + p.Ref.String() + ">")
		}
	}
	return s.String()
}

func TestTextOfATemplateFileIsLeftAloneButForReferences(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"${ass://a/B}", "<1 a/B>"},
		{"$host\n\r\n\t`'\"\\ ${HOME} $(x) # $$\n${ass://a/B}\n", "$host\n\r\n\t`'\"\\ ${HOME} $(x) # $$\n<4 a/B>\n"},
		{"\n\n${ass://a/B}${ass://c/D?field=x}\n$${ass://a/B} ${ass://a/B?encode=json}", "\n\n<3 a/B><3 c/D?field=x>\n${ass://a/B} <4 a/B?encode=json>"},
		{"\uFEFF\x00${ass://a/B?default=x}", "\uFEFF\x00<1 a/B?default=x>"},
		{"url = postgres://u:${ass://a/B}@host/", "url = postgres://u:<1 a/B>@host/"},
		{"x://u:${ass://a/B}@host/", "x://u:<1 a/B>@host/"},
		{"a/B ass://a/B\n${ass://a/B}\nNAME=value", "a/B ass://a/B\n<2 a/B>\nNAME=value"},
	} {
		b, err := fileOf("F=@f.tmpl", tt.text)
		if got := filled(b); err != nil || got != tt.want {
			t.Errorf("%q: got %q, %v; want %q", tt.text, got, err, tt.want)
		}
	}
}

func TestBadTextsAreErrorsWithTheirOwnLine(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "ass.env:1: F: f.tmpl holds no reference"},
		{"plain $host\n", "ass.env:1: F: f.tmpl holds no reference"},
		{"$${ass://a/B}", "ass.env:1: F: f.tmpl holds no reference"},
		{"x\n${ass://a/B\n}", "f.tmpl:2: F: a ${ass:// is not closed by }"},
		{"${ass://a/B}\n\xff", "f.tmpl:2: F: the text is not UTF-8"},
		{"\n${ass://a}\n${ass://b/C?optional} ${ass://a/B?nope}", "f.tmpl:2: F: a ${ass://…} in it holds no secret path; a path has a namespace and a key, like production/app/DEBUG\n" +
			`f.tmpl:3: F: unknown option "nope"; known are optional, default, field, decode, encode, as, mode and fd`},
		{"${ass://b/C?optional}", "f.tmpl:1: F: optional is not allowed in a template file: use default=TEXT for what replaces a missing secret"},
		{"${ass://b/C?as=file}", "f.tmpl:1: F: as=file is not allowed in a template: the file holds only the secret"},
		{"${ass://b/C?fd=70}", "f.tmpl:1: F: option fd requires as=file"},
		{"${ass://b/C?mode=0444}", "f.tmpl:1: F: option mode requires as=file"},
		{"${ass://b/AKIAIOSFODNN7EXAMPLE}", "f.tmpl:1: F: this looks like a value; plain values belong in the environment, not in the mapping"},
	} {
		if _, err := fileOf("F=@f.tmpl", tt.text); err == nil || err.Error() != tt.want {
			t.Errorf("%q:\ngot  %v\nwant %s", tt.text, err, tt.want)
		}
	}
}

func TestLineOfATemplateFile(t *testing.T) {
	for _, tt := range []struct{ line, file, wantErr string }{
		{"F=@nginx.conf.tmpl", "@nginx.conf.tmpl", ""},
		{"F='@../with space?mode=0444'", "@../with space?mode=0444", ""},
		{"F=@/etc/x?mode=400", "@/etc/x", ""},
		{"F=@x?fd=70&mode=0444", "@x?mode=0444&fd=70", ""},
		{"F=@x?fd=63", "", "ass.env:1: F: option fd needs a number from 64 to 255, as in fd=70"},
		{"F=@", "", "ass.env:1: F: @ stands before the name of a template file, as in NAME=@nginx.conf.tmpl"},
		{"F=@x?mode=0777", "", "ass.env:1: F: option mode needs an octal mode that lets the owner read and nobody execute, as in mode=0444"},
		{"F=@x?as=file", "", "ass.env:1: F: a template file takes only the options mode and fd, as in @nginx.conf.tmpl?fd=70; the others belong to the references in it"},
		{"F=@x?mode=0444&optional", "", "ass.env:1: F: a template file takes only the options mode and fd, as in @nginx.conf.tmpl?fd=70; the others belong to the references in it"},
	} {
		bindings, err := Parse("ass.env", []byte(tt.line))
		switch {
		case tt.wantErr != "":
			if err == nil || err.Error() != tt.wantErr {
				t.Errorf("%s: got %v, want %s", tt.line, err, tt.wantErr)
			}
		case err != nil || bindings[0].Value.String() != tt.file:
			t.Errorf("%s: got %v, %v; want %s", tt.line, bindings, err, tt.file)
		}
	}
	if _, ok, _ := ParseInherited("@nginx.conf.tmpl"); ok {
		t.Error("an inherited variable names a template file")
	}
}
