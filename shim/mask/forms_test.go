package mask

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
)

const formsValue = `p/w"<ä+ö>&?%41 x~!(=)` + "`"

const formsPEM = "-----BEGIN KEY-----\r\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKB\r\nxyz\r\n  indented: \"quoted\"\r\n\r\n-----END KEY-----\r\n"

// maskTest is a secret, a text that holds it in some form, and the text masked.
type maskTest struct{ name, value, text, want string }

func checkMasked(t *testing.T, tests []maskTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(play(t, []string{tt.value}, []string{tt.text}), ""); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPlainAndBase64OfASecretAreMasked(t *testing.T) {
	const value = formsValue
	const pem = formsPEM
	std, web := base64.StdEncoding, base64.URLEncoding
	checkMasked(t, []maskTest{
		{"plain", value, "(" + value + ")", "(***)"},
		{"base64", value, std.EncodeToString([]byte(value)), "***"},
		{"base64 unpadded", value, base64.RawStdEncoding.EncodeToString([]byte(value)) + ".", "***."},
		{"base64 for URLs", value, web.EncodeToString([]byte(value)), "***"},
		{"base64 for URLs unpadded", value, base64.RawURLEncoding.EncodeToString([]byte(value)) + ".", "***."},
		{"base64 with a line break", value, std.EncodeToString([]byte(value + "\n")), "***"},
		{"base64 after 1 byte", value, std.EncodeToString([]byte(":" + value)), "On***"},
		{"base64 after 2 bytes", value, std.EncodeToString([]byte("a:" + value)), "YTp***"},
		{"base64 after 3 bytes", value, std.EncodeToString([]byte("me:" + value)), "bWU6***"},
		{"base64 within a text", value, std.EncodeToString([]byte("user:" + value + "@host")), "dXNlcjp***BAaG9zdA=="},
		{"base64 of four bytes", "Zq7~", "Basic " + std.EncodeToString([]byte("me:Zq7~")), "Basic bWU6***"},
		{"base64 in lines of 64", pem, wrap(std.EncodeToString([]byte(strings.Trim(pem, "\r\n"))), 64), "***"},
		{"base64 in lines of 76", pem, wrap(std.EncodeToString([]byte(strings.Trim(pem, "\r\n"))), 76), "***"},
		{"base64 in lines that are indented", pem, strings.ReplaceAll(wrap(std.EncodeToString([]byte(strings.Trim(pem, "\r\n"))), 64), "\n", "\n  "), "***\n  ***\n  ***"},
		{"base64 with four characters on its last line", "a value of fifty-one bytes, with three on a line: 1", "YSBsaW5l\n  OiAx OiA", "YSBsaW5l\n  *** OiA"},
	})
}

func TestURLFormsOfASecretAreMasked(t *testing.T) {
	const value = formsValue
	checkMasked(t, []maskTest{
		{"query", value, "?q=" + url.QueryEscape(value) + "&", "?q=***&"},
		{"query, lower case", value, "?q=" + lowerHex(url.QueryEscape(value)) + "&", "?q=***&"},
		{"path", value, "/" + url.PathEscape(value) + "/", "/***/"},
		{"path, lower case", value, "/" + lowerHex(url.PathEscape(value)) + "/", "/***/"},
		{"curl --data-urlencode", value, "p%2Fw%22%3C%C3%A4%2B%C3%B6%3E%26%3F%2541%20x~%21%28%3D%29%60", "***"},
		{"JavaScript's encodeURIComponent", value, "p%2Fw%22%3C%C3%A4%2B%C3%B6%3E%26%3F%2541%20x~!(%3D)%60", "***"},
		{"Python's quote", value, "p/w%22%3C%C3%A4%2B%C3%B6%3E%26%3F%2541%20x~%21%28%3D%29%60", "***"},
	})
}

func TestJSONFormsOfASecretAreMasked(t *testing.T) {
	const value = formsValue
	checkMasked(t, []maskTest{
		{"Go's JSON", value, `["p/w\"\u003cä+ö\u003e\u0026?%41 x~!(=)` + "`" + `"]`, `["***"]`},
		{"JSON", value, `["p/w\"<ä+ö>&?%41 x~!(=)` + "`" + `"]`, `["***"]`},
		{"PHP's JSON", value, `["p\/w\"<ä+ö>&?%41 x~!(=)` + "`" + `"]`, `["***"]`},
		{"Python's JSON", value, `["p/w\"<\u00e4+\u00f6>&?%41 x~!(=)` + "`" + `"]`, `["***"]`},
		{"JSON of JSON", value, `"[\"p/w\\\"<ä+ö>&?%41 x~!(=)` + "`" + `\"]"`, `"[\"***\"]"`},
		{"Go's JSON of JSON", value, `"[\"p/w\\\"\\u003cä+ö\\u003e\\u0026?%41 x~!(=)` + "`" + `\"]"`, `"[\"***\"]"`},
		{"Python's JSON of JSON", value, `"[\"p/w\\\"<\\u00e4+\\u00f6>&?%41 x~!(=)` + "`" + `\"]"`, `"[\"***\"]"`},
		{"Python's JSON, rare characters", "ü\x1b😀!", `"\u00fc\u001b\ud83d\ude00!"`, `"***"`},
		{"Go's %q", "ü\x1b\xff!", `"ü\x1b\xff!"`, `"***"`},
	})
}

func TestHTMLOfASecretIsMasked(t *testing.T) {
	checkMasked(t, []maskTest{
		{"HTML by Go", `'"<a>&b`, "<b>&#39;&#34;&lt;a&gt;&amp;b</b>", "<b>***</b>"},
		{"HTML by Python", `'"<a>&b`, "<b>&#x27;&quot;&lt;a&gt;&amp;b</b>", "<b>***</b>"},
		{"HTML by JavaScript", `'"<a>&b`, "<b>&#39;&quot;&lt;a&gt;&amp;b</b>", "<b>***</b>"},
		{"HTML by PHP", `'"<a>&b`, "<b>&#039;&quot;&lt;a&gt;&amp;b</b>", "<b>***</b>"},
		{"XML", `'"<a>&b`, "<b>&apos;&quot;&lt;a&gt;&amp;b</b>", "<b>***</b>"},
		{"HTML, quotes left", `'"<a>&b`, `<b>'"&lt;a&gt;&amp;b</b>`, "<b>***</b>"},
	})
}

func TestShellQuotingOfASecretIsMasked(t *testing.T) {
	checkMasked(t, []maskTest{
		{"single quotes", "it's $1", `+ echo 'it'\''s $1'`, "+ echo '***'"},
		{"single quotes of dash", "it's $1", `+ echo 'it'"'"'s $1'`, "+ echo '***'"},
		{"double quotes", "\"$1`\\", `declare -x V="\"\$1` + "\\`" + `\\"`, `declare -x V="***"`},
		{"printf %q", "it's $1 & a;b", `it\'s\ \$1\ \&\ a\;b`, "***"},
		{"printf %q with a control character", "it's\x1b\t\x01ü", `$'it\'s\E\t\001ü'`, "$'***'"},
		{"printf %q in ASCII", "it's ü", `$'it\'s \303\274'`, "$'***'"},
	})
}

func TestHexadecimalOfASecretIsMasked(t *testing.T) {
	const value = formsValue
	const pem = formsPEM
	checkMasked(t, []maskTest{
		{"hexadecimal", value, hex.EncodeToString([]byte("a" + value + "b")), "61***62"},
		{"hexadecimal, upper case", "hunter2-", "68756E746572322D", "***"},
		{"xxd -p", pem, wrap(hex.EncodeToString([]byte(strings.Trim(pem, "\r\n"))), 60), "***"},
		{"xxd -p, with three bytes on the last line", "a value of thirty-three bytes 2030", wrap(hex.EncodeToString([]byte("a value of thirty-three bytes 2030")), 60) + "\n", "***\n"},
		{"xxd -p, with four bytes on the last line", "a value of thirty-four bytes: 34.!", "33342e21, 33342e", "***, 33342e"},
		{"hexadecimal of less than four bytes", "a value of thirty-two bytes:: 20", "3230 in 2026", "3230 in 2026"},
	})
}

func TestLinesOfASecretAreMasked(t *testing.T) {
	const pem = formsPEM
	checkMasked(t, []maskTest{
		{"lines", pem, pem, "***\r\n"},
		{"lines, without CR", pem, strings.ReplaceAll(pem, "\r", ""), "***\n***\nxyz\n  ***\n\n***\n"},
		{"one line", pem, "key: MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKB.", "key: ***."},
		{"lines as JSON", pem, toJSON(t, pem), `"***\r\n"`},
		{"one line as JSON", pem, toJSON(t, "indented: \"quoted\""), `"***"`},
		{"line break at the end", "hunter2\n", "hunter2\nnext\n", "***\nnext\n"},
		{"line of four bytes", "hunter2\nZ<7~\nhunter3", "Z<7~ Z%3C7~", "*** ***"},
		{"line of three bytes", "hunter2\nZ<7\nhunter3", "Z<7 Z%3C7", "Z<7 Z%3C7"},
		{"blank line", "hunter2\n        \nhunter3", "        x", "        x"},
	})
}

func TestPercentEncodingIsWrittenInLowerCase(t *testing.T) {
	for in, want := range map[string]string{"%C3%A4+A%2Fb%AB": "%c3%a4+A%2fb%ab", "ABC": "ABC", "A%A": "A%A", "": ""} {
		if got := lowerHex(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestOnlyASCIIIsLeftInJSON(t *testing.T) {
	for in, want := range map[string]string{"\x7f": "\x7f", "\u0080": `\u0080`, "a\x7f\u0080é": "a\x7f" + `\u0080\u00e9`, "é": `\u00e9`} {
		if got := jsonASCII(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestControlCharactersAreQuotedAsBashDoes(t *testing.T) {
	const in = "\a\b\x1b\f\n\r\t\v\\'aE \x1f\x7e\x7f\x80\xff"
	const names = `\a\b\E\f\n\r\t\v\\\'aE \037~\177`
	for ascii, want := range map[bool]string{false: names + "\x80\xff", true: names + `\200\377`} {
		if got := ansiC(in, ascii); got != want {
			t.Errorf("ASCII %v: got %q, want %q", ascii, got, want)
		}
	}
}

func TestChunksAreFullButTheLast(t *testing.T) {
	for in, want := range map[string][]string{"": {""}, "ab": {"ab"}, "abc": {"abc"}, "abcd": {"abc", "d"}, "abcdef": {"abc", "def"}} {
		if got := chunks(in, 3); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestValueIsLargeFromMoreThan32Blocks(t *testing.T) {
	value := strings.Repeat("x", 32*8)
	if isLarge(value, 8) || !isLarge(value+"x", 8) {
		t.Errorf("got %v of 32 blocks, %v of a byte more; want false, true", isLarge(value, 8), isLarge(value+"x", 8))
	}
}

func wrap(s string, width int) string {
	var lines []string
	for len(s) > width {
		lines = append(lines, s[:width])
		s = s[width:]
	}
	return strings.Join(append(lines, s), "\n")
}

func toJSON(t *testing.T, s string) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestUsualValuesHaveFewPatterns(t *testing.T) {
	var got []string
	patterns([]string{"hunter2", "abc", "", "hunter2\n"}, blockSize, func(p string) { got = append(got, p) })
	want := []string{
		"hunter2",
		"aHVudGVyM", "aHVudGVyMg", "aHVudGVyMg==",
		"h1bnRlcj", "h1bnRlcjI", "h1bnRlcjI=",
		"odW50ZXIy",
		"aHVudGVyMgo", "aHVudGVyMgo=",
		"h1bnRlcjIK",
		"odW50ZXIyC", "odW50ZXIyCg", "odW50ZXIyCg==",
		"68756e74657232", "68756E74657232",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
