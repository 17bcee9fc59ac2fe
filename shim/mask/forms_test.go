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

func TestFormsAreReplaced(t *testing.T) {
	const value = `p/w"<ä+ö>&?%41 x~!(=)` + "`"
	const pem = "-----BEGIN KEY-----\r\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKB\r\nxyz\r\n  indented: \"quoted\"\r\n\r\n-----END KEY-----\r\n"
	std, web := base64.StdEncoding, base64.URLEncoding
	for _, tt := range []struct{ name, value, text, want string }{
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
		{"query", value, "?q=" + url.QueryEscape(value) + "&", "?q=***&"},
		{"query, lower case", value, "?q=" + lowerHex(url.QueryEscape(value)) + "&", "?q=***&"},
		{"path", value, "/" + url.PathEscape(value) + "/", "/***/"},
		{"path, lower case", value, "/" + lowerHex(url.PathEscape(value)) + "/", "/***/"},
		{"curl --data-urlencode", value, "p%2Fw%22%3C%C3%A4%2B%C3%B6%3E%26%3F%2541%20x~%21%28%3D%29%60", "***"},
		{"JavaScript's encodeURIComponent", value, "p%2Fw%22%3C%C3%A4%2B%C3%B6%3E%26%3F%2541%20x~!(%3D)%60", "***"},
		{"Python's quote", value, "p/w%22%3C%C3%A4%2B%C3%B6%3E%26%3F%2541%20x~%21%28%3D%29%60", "***"},
		{"Go's JSON", value, `["p/w\"\u003cä+ö\u003e\u0026?%41 x~!(=)` + "`" + `"]`, `["***"]`},
		{"JSON", value, `["p/w\"<ä+ö>&?%41 x~!(=)` + "`" + `"]`, `["***"]`},
		{"PHP's JSON", value, `["p\/w\"<ä+ö>&?%41 x~!(=)` + "`" + `"]`, `["***"]`},
		{"Python's JSON", value, `["p/w\"<\u00e4+\u00f6>&?%41 x~!(=)` + "`" + `"]`, `["***"]`},
		{"JSON of JSON", value, `"[\"p/w\\\"<ä+ö>&?%41 x~!(=)` + "`" + `\"]"`, `"[\"***\"]"`},
		{"Go's JSON of JSON", value, `"[\"p/w\\\"\\u003cä+ö\\u003e\\u0026?%41 x~!(=)` + "`" + `\"]"`, `"[\"***\"]"`},
		{"Python's JSON of JSON", value, `"[\"p/w\\\"<\\u00e4+\\u00f6>&?%41 x~!(=)` + "`" + `\"]"`, `"[\"***\"]"`},
		{"Python's JSON, rare characters", "ü\x1b😀!", `"\u00fc\u001b\ud83d\ude00!"`, `"***"`},
		{"Go's %q", "ü\x1b\xff!", `"ü\x1b\xff!"`, `"***"`},
		{"HTML by Go", `'"<a>&b`, "<b>&#39;&#34;&lt;a&gt;&amp;b</b>", "<b>***</b>"},
		{"HTML by Python", `'"<a>&b`, "<b>&#x27;&quot;&lt;a&gt;&amp;b</b>", "<b>***</b>"},
		{"HTML by JavaScript", `'"<a>&b`, "<b>&#39;&quot;&lt;a&gt;&amp;b</b>", "<b>***</b>"},
		{"HTML by PHP", `'"<a>&b`, "<b>&#039;&quot;&lt;a&gt;&amp;b</b>", "<b>***</b>"},
		{"XML", `'"<a>&b`, "<b>&apos;&quot;&lt;a&gt;&amp;b</b>", "<b>***</b>"},
		{"HTML, quotes left", `'"<a>&b`, `<b>'"&lt;a&gt;&amp;b</b>`, "<b>***</b>"},
		{"single quotes", "it's $1", `+ echo 'it'\''s $1'`, "+ echo '***'"},
		{"single quotes of dash", "it's $1", `+ echo 'it'"'"'s $1'`, "+ echo '***'"},
		{"double quotes", "\"$1`\\", `declare -x V="\"\$1` + "\\`" + `\\"`, `declare -x V="***"`},
		{"printf %q", "it's $1 & a;b", `it\'s\ \$1\ \&\ a\;b`, "***"},
		{"printf %q with a control character", "it's\x1b\t\x01ü", `$'it\'s\E\t\001ü'`, "$'***'"},
		{"printf %q in ASCII", "it's ü", `$'it\'s \303\274'`, "$'***'"},
		{"hexadecimal", value, hex.EncodeToString([]byte("a" + value + "b")), "61***62"},
		{"hexadecimal, upper case", "hunter2-", "68756E746572322D", "***"},
		{"xxd -p", pem, wrap(hex.EncodeToString([]byte(strings.Trim(pem, "\r\n"))), 60), "***"},
		{"xxd -p, with three bytes on the last line", "a value of thirty-three bytes 2030", wrap(hex.EncodeToString([]byte("a value of thirty-three bytes 2030")), 60) + "\n", "***\n"},
		{"hexadecimal of less than four bytes", "a value of thirty-two bytes:: 20", "3230 in 2026", "3230 in 2026"},
		{"lines", pem, pem, "***\r\n"},
		{"lines, without CR", pem, strings.ReplaceAll(pem, "\r", ""), "***\n***\nxyz\n  ***\n\n***\n"},
		{"one line", pem, "key: MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKB.", "key: ***."},
		{"lines as JSON", pem, toJSON(t, pem), `"***\r\n"`},
		{"one line as JSON", pem, toJSON(t, "indented: \"quoted\""), `"***"`},
		{"line break at the end", "hunter2\n", "hunter2\nnext\n", "***\nnext\n"},
		{"blank line", "hunter2\n        \nhunter3", "        x", "        x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(play(t, []string{tt.value}, []string{tt.text}), ""); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
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
