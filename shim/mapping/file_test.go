package mapping

import (
	"reflect"
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

func TestFileOfAVariableIsATemplateOrASecretAsAFile(t *testing.T) {
	for _, tt := range []struct {
		line    string
		want    *File
		lenient string
	}{
		{"F=@f.tmpl", &File{Template: "f.tmpl", Mode: 0o400}, "?default=TEXT"},
		{"F=@f.tmpl?mode=0444&fd=70", &File{Template: "f.tmpl", Mode: 0o444, FD: 70}, "?default=TEXT"},
		{"F=a/B?as=file", &File{Mode: 0o400}, "?optional"},
		{"F=a/B?as=file&mode=0440&fd=255", &File{Mode: 0o440, FD: 255}, "?optional"},
		{"F=a/B", nil, "?optional"},
		{"F='x ${ass://a/B}'", nil, "?optional"},
	} {
		bindings, err := Parse("ass.env", []byte(tt.line))
		if err != nil {
			t.Fatal(err)
		}
		if got := bindings[0].File(); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, want %+v", tt.line, got, tt.want)
		}
		if got := bindings[0].Lenient(); got != tt.lenient {
			t.Errorf("%s: got %s, want %s", tt.line, got, tt.lenient)
		}
	}
}

func TestPartHasTheLineOfItsTemplateFileOrThatOfTheMapping(t *testing.T) {
	b := Binding{Name: "F", Origin: "ass.env:3", Value: Template{File: &File{Template: "f.tmpl"}}}
	for line, want := range map[int]string{0: "ass.env:3", 1: "f.tmpl:1", 2: "f.tmpl:2"} {
		if got := b.At(Part{Line: line}).Origin; got != want {
			t.Errorf("line %d: got %s, want %s", line, got, want)
		}
	}
	if b.Origin != "ass.env:3" {
		t.Errorf("got %s, which the binding does not have", b.Origin)
	}
}

func TestDescriptorIsAPlainNumberFrom64To255(t *testing.T) {
	for value, want := range map[string]int{
		"64": 64, "255": 255,
		"63": 0, "256": 0, "0": 0, "-70": 0, "+70": 0, "070": 0, " 70": 0, "": 0, "x": 0, "99999999999999999999": 0,
	} {
		got, err := parseFD(value)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: got %d, %v; want %d", value, got, err, want)
		}
	}
}

func TestTextIsCutIntoNoEmptyParts(t *testing.T) {
	b, err := fileOf("F=@f.tmpl", "${ass://a/B}${ass://a/C}\n\n${ass://a/D}")
	var got []string
	for _, p := range b.Value.Parts {
		got = append(got, p.Text)
	}
	if want := []string{"", "", "\n", "\n", ""}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got texts %q, %v; want %q", got, err, want)
	}
}

func TestLineIsCutBehindItsBreak(t *testing.T) {
	for _, tt := range []struct{ text, line, rest string }{
		{"", "", ""},
		{"a", "a", ""},
		{"\n", "\n", ""},
		{"\na", "\n", "a"},
		{"a\nb\nc", "a\n", "b\nc"},
	} {
		if line, rest := cutLine(tt.text); line != tt.line || rest != tt.rest {
			t.Errorf("%q: got %q, %q; want %q, %q", tt.text, line, rest, tt.line, tt.rest)
		}
	}
}
