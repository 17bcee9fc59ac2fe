package mapping

import (
	"strings"
	"testing"
	"unicode"

	"github.com/hashicorp/go-envparse"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

func TestMappingReadsEveryForm(t *testing.T) {
	in := "\uFEFF# comment\r\n" +
		"A=production/app/A\r\n" +
		"\r\n" +
		"export B=ass://production/app/B # comment\n" +
		"  C = 'production/my app/C#1'\n" +
		`D="postgres://u:${ass://production/pg/PW?encode=url}@h/d?x=1"` + "\n" +
		"E=production/app/E?optional&field=/a/b&decode=base64&encode=json&as=file&mode=0444\n" +
		"F=production/app/F?default=a%26b%3D+c\n" +
		"G='$${ass:// ${ass://production/app/G}'\n" +
		"H.x=production/sp%20ace/H%2525\n" +
		"I=production/é/I # é\n" +
		"J='`${ass://production/%60/J}`' # `\n"
	want := `A = production/app/A (m:2)
B = production/app/B (m:4)
C = production/my%20app/C%231 (m:5)
D = postgres://u:${ass://production/pg/PW?encode=url}@h/d?x=1 (m:6)
E = production/app/E?optional&field=/a/b&decode=base64&encode=json&as=file&mode=0444 (m:7)
F = production/app/F?default=a%26b%3D%2Bc (m:8)
G = $${ass:// ${ass://production/app/G} (m:9)
H.x = production/sp%20ace/H%2525 (m:10)
I = production/%C3%A9/I (m:11)
J = ` + "`${ass://production/%60/J}`" + ` (m:12)
`
	bindings, err := Parse("m", []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, b := range bindings {
		got.WriteString(b.Name + " = " + b.Value.String() + " (" + b.Origin + ")\n")
	}
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &got, want)
	}
}

// Each line is refused with exactly this message behind "m:1: ".
var badLines = []struct{ line, want string }{
	{"A", "the line has no ="},
	{"=a/b", "the name before = can hold only letters, digits, _ and dots, and begins with a letter or _"},
	{"A-B=a/b", "the name before = can hold only letters, digits, _ and dots, and begins with a letter or _"},
	{"1A=a/b", "the name before = can hold only letters, digits, _ and dots, and begins with a letter or _"},
	{"A B=a/b", "the name before = can hold only letters, digits, _ and dots, and begins with a letter or _"},
	{"A=", "A has no value"},
	{"A= # a/b", "A has no value"},
	{"A=debug", `A: "debug" is not a secret path; a path has a namespace and a key, like production/app/DEBUG`},
	{"A=Tr0ub4dor", `A: the value is not a secret path; a path has a namespace and a key, like production/app/DEBUG`},
	{"A=https://example.com/x", "A: the value is not a secret path; a segment of a path cannot contain ':'"},
	{"A=/a/b", "A: the value is not a secret path; a path cannot have an empty segment: no slash at its start or end, and no two in a row"},
	{"A=a//b", "A: the value is not a secret path; a path cannot have an empty segment: no slash at its start or end, and no two in a row"},
	{"A=a/b/", "A: the value is not a secret path; a path cannot have an empty segment: no slash at its start or end, and no two in a row"},
	{"A=a/../b", "A: the value is not a secret path; a path cannot have a . or .. segment"},
	{"A=a/%2e%2e/b", "A: the value is not a secret path; a path cannot have a . or .. segment"},
	{"A=a/b%2Fc", "A: the value is not a secret path; a segment of a path cannot contain '/'"},
	{"A=a/*", "A: the value is not a secret path; a segment of a path cannot contain '*'"},
	{"A=a/%zz", "A: the value is not a secret path; a % in a path must be followed by two hex digits; write a literal one as %25"},
	{"A=a/%00", "A: the value is not a secret path; a path cannot contain the unprintable character U+0000"},
	{"A=a/%ff", "A: the value is not a secret path; a path must be UTF-8"},
	{"A=a/b#c", "A: a quote or a # inside a word needs quotes around the whole value: NAME='value'"},
	{`A=a/b"c"`, "A: a quote or a # inside a word needs quotes around the whole value: NAME='value'"},
	{`A={"k":"v"}`, "A: a quote or a # inside a word needs quotes around the whole value: NAME='value'"},
	{"A=`production/app/X?default=info`", "A: a backtick is a quote to other dotenv readers; a value that holds one needs quotes around the whole of it: NAME='value'"},
	{"A=`pre-${ass://a/b}-post`", "A: a backtick is a quote to other dotenv readers; a value that holds one needs quotes around the whole of it: NAME='value'"},
	{"A=a/`b`", "A: a backtick is a quote to other dotenv readers; a value that holds one needs quotes around the whole of it: NAME='value'"},
	{"A='`a/b`'", "A: a backtick is a quote to other dotenv readers; a reference that holds one writes it as %60"},
	{"A='x ${ass://a/`b`}'", "A: a backtick is a quote to other dotenv readers; a reference that holds one writes it as %60"},
	{`A="a/b`, "A: an unclosed quote, or an invalid escape in double quotes; in single quotes every character is literal"},
	{`A="a/b"#c`, "A: only a comment, after a space, may follow the closing quote"},
	{`A="a/b" "c"`, "A: only a comment, after a space, may follow the closing quote"},
	{`A="C:\temp ${ass://a/b}"`, `A: \t, \b and \f in double quotes are control characters; in single quotes a backslash is literal`},
	{"A=a/b\x00", "the line holds a control character"},
	{"A=\xff/b", "the line is not UTF-8"},
	{"A='x ${ass://a/b'", "A: a ${ass:// is not closed by }"},
	{"A='x ${ass://ass://a/b}'", "A: a ${ass://…} in it holds no secret path; a segment of a path cannot contain ':'"},
	{"A='x ${ass://b}'", "A: a ${ass://…} in it holds no secret path; a path has a namespace and a key, like production/app/DEBUG"},
	{"A='x ${ass://a/b?as=file}'", "A: as=file is not allowed in a template: the file holds only the secret"},
	{"A='$${ass://a/b}'", "A: it holds no reference: $${ass:// stands for a literal ${ass://"},
	{"A=a/b?", "A: unknown option; known are optional, default, field, decode, encode, as, mode and fd"},
	{"A=a/b?raw", `A: unknown option "raw"; known are optional, default, field, decode, encode, as, mode and fd`},
	{"A=a/b?optional=1", "A: option optional takes no value"},
	{"A=a/b?optional&optional", `A: option "optional" is given twice`},
	{"A=a/b?default", "A: option default needs a text, as in default=none; it may be empty"},
	{"A=a/b?default=%2", "A: a % in an option must be followed by two hex digits; write a literal one as %25"},
	{"A=a/b?default=%00", "A: option default holds a NUL byte, which no variable can"},
	{"A='x ${ass://a/b?default=%00}'", "A: option default holds a NUL byte, which no variable can"},
	{"A=a/b?field=", "A: option field needs a name or a JSON pointer (of 256 steps and 4 KiB at most), as in field=password or field=/db/password"},
	{"A=a/b?field=/a~2", "A: option field needs a name or a JSON pointer (of 256 steps and 4 KiB at most), as in field=password or field=/db/password"},
	{"A=a/b?decode=hex", "A: option decode supports only base64, as in decode=base64"},
	{"A=a/b?encode=hex", "A: option encode supports url, json, base64 and none, as in encode=url"},
	{"A=a/b?encode", "A: option encode supports url, json, base64 and none, as in encode=url"},
	{"A='x://u:${ass://a/b}@h'", "A: a secret in the user or password of a URL must say how it is spelled there: ${ass://a/b?encode=url} or ${ass://a/b?encode=none}"},
	{"A=a/b?as=env", "A: option as supports only file, as in as=file"},
	{"A=a/b?as=file&mode=0777", "A: option mode needs an octal mode that lets the owner read and nobody execute, as in mode=0444"},
	{"A=a/b?as=file&mode=0", "A: option mode needs an octal mode that lets the owner read and nobody execute, as in mode=0444"},
	{"A=a/b?mode=0444", "A: option mode requires as=file"},
	{"A=" + strings.Repeat("a", 70000), "the line is longer than 65536 bytes"},
}

func TestMappingRefusesEveryMalformedLine(t *testing.T) {
	for _, tt := range badLines {
		name := tt.line
		if len(name) > 40 {
			name = name[:40]
		}
		t.Run(name, func(t *testing.T) {
			_, err := Parse("m", []byte(tt.line))
			if err == nil {
				t.Fatal("got no error")
			}
			if got, want := err.Error(), "m:1: "+tt.want; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if got := exit.Status(err); got != 78 {
				t.Errorf("got exit code %d, want 78", got)
			}
		})
	}
}

func TestMappingListsEveryBadLineAndNamesBothDuplicates(t *testing.T) {
	_, err := Parse("ass.env", []byte("A=a/b\nB\nA=c/d\nC=debug\n"))
	want := "ass.env:2: the line has no =\n" +
		"ass.env:3: A is already mapped on line 1\n" +
		`ass.env:4: C: "debug" is not a secret path; a path has a namespace and a key, like production/app/DEBUG`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// A value that go-envparse would not change does not pass through it.
func TestPlainValueIsWhatGoEnvparseReads(t *testing.T) {
	for c := rune(' '); c < 0x250; c++ {
		if strings.ContainsRune("\"'`#\x7f", c) || unicode.Is(unicode.Cc, c) {
			continue
		}
		raw := "a" + string(c) + "b"
		parsed, err := envparse.Parse(strings.NewReader("V=" + raw))
		got, gotErr := parseQuoted(raw)
		if err != nil || gotErr != nil || got != parsed["V"] {
			t.Errorf("%q: got %q, %v; go-envparse %q, %v", raw, got, gotErr, parsed["V"], err)
		}
	}
}
