package mapping

import (
	"strings"
	"testing"
)

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	numbers = "0123456789"
)

// eachByte compares what holds for a byte with the bytes it should hold for.
func eachByte(t *testing.T, what, want string, holds func(c string) bool) {
	t.Helper()
	for c := range 256 {
		s := string([]byte{byte(c)})
		if got, want := holds(s), strings.Contains(want, s); got != want {
			t.Errorf("%s: %q: got %v, want %v", what, s, got, want)
		}
	}
}

func TestOnlyUnreservedBytesAreNotPercentEncoded(t *testing.T) {
	eachByte(t, "encode=url", letters+numbers+"-._~", func(c string) bool { return percentEncode(c) == c })
	if got, want := percentEncode("/\xff\n"), "%2F%FF%0A"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNamesAreOfLettersDigitsDotsAndUnderscores(t *testing.T) {
	eachByte(t, "first", letters+"_", ValidName)
	eachByte(t, "second", letters+"_"+numbers+".", func(c string) bool { return ValidName("A" + c) })
	if ValidName("") {
		t.Error("a name is empty")
	}
}

func TestSchemeBeginsAURL(t *testing.T) {
	is := func(scheme string) bool {
		start, end := userinfo(scheme + "://user@host")
		if start == 0 && end == -1 {
			return false
		}
		if start != len(scheme)+3 || end != start+4 {
			t.Errorf("%q: got %d to %d", scheme, start, end)
		}
		return true
	}
	eachByte(t, "first", letters, is)
	eachByte(t, "second", letters+numbers+"+.-", func(c string) bool { return is("a" + c) })
	for _, text := range []string{"://user@host", "user@host", "a://host", "a:/user@host"} {
		if start, end := userinfo(text); start != 0 || end != -1 {
			t.Errorf("%q: got %d to %d, want none", text, start, end)
		}
	}
	// A text that begins like a URL ends with the first character of none.
	if start, end := userinfo("a://'user@host"); start != 4 || end != 4 {
		t.Errorf("got %d to %d, want 4 to 4", start, end)
	}
}

func TestPointersAreThoseOfRFC6901(t *testing.T) {
	for p, want := range map[string]bool{
		"/a": true, "/~0": true, "/~1": true, "/~0~1x": true, "/~": false, "/~2": false, "/a~": false, "/~a0": false,
		"/" + strings.Repeat("a", maxPointer-1): true, "/" + strings.Repeat("a", maxPointer): false,
		strings.Repeat("/", maxPointerSteps): true, strings.Repeat("/", maxPointerSteps+1): false,
	} {
		if got := validPointer(p); got != want {
			t.Errorf("%.20q of %d bytes: got %v, want %v", p, len(p), got, want)
		}
	}
}

func TestCommentBeginsBehindABlankOrTheClosingQuote(t *testing.T) {
	for raw, want := range map[string]string{
		"": "", "# all": "", "a # b": "a", "a\t# b": "a", "a#b": "a#b", "a# b": "a# b", "a": "a", "a ##": "a",
		`"a" # b`: `"a"`, `"a # b"`: `"a # b"`, `"a\" # b" # c`: `"a\" # b"`, `"a`: `"a`, `"a\"`: `"a\"`,
		`'a' # b`: `'a'`, `'a\' # b`: `'a\'`, `'a" # b' # c`: `'a" # b'`, `'a`: `'a`, `"`: `"`,
	} {
		if got, err := cutComment(raw); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{`"a"b`, `"a"#b`, `'a' b`} {
		if got, err := cutComment(raw); err == nil {
			t.Errorf("%q: got %q and no error", raw, got)
		}
	}
}

func TestLongestLineIsExact(t *testing.T) {
	if err := checkLine(strings.Repeat("a", maxLine-1)); err != nil {
		t.Errorf("got %v", err)
	}
	if err := checkLine(strings.Repeat("a", maxLine)); err == nil {
		t.Error("got no error of one byte more")
	}
}

func TestRandomTextIsToldByItsLengthAndWords(t *testing.T) {
	// runs is a text of so many words.
	runs := func(words, length int) string {
		s := strings.Repeat("a", length-words+1)
		return s + "B" + strings.Repeat("1c", words)[:words-2]
	}
	for _, tt := range []struct {
		claim, text string
		want        bool
	}{
		{"long enough", runs(shortestRandom, shortestRandom), true},
		{"too short", runs(shortestRandom-1, shortestRandom-1), false},
		{"a word in 2.5 characters", runs(13, 30), true}, // the first is not counted
		{"fewer", runs(12, 30), false},
		{"no capital", strings.Repeat("a1", 20), false},
		{"no small letter", strings.Repeat("A1", 20), false},
		{"no digit", strings.Repeat("aB", 20), false},
		{"a key of AWS", "abc/" + strings.Repeat("a", 34) + "B1", true},
		{"beside an id", "a1b2c3d4/" + runs(shortestRandom, shortestRandom), true},
		{"an id beside a key", "a1b2c3d4e5f6a1b2/K1d2E", false},
		{"what is too short for one", "a1b2c3d/K1d2e3f4g5h6i", true},
		{"with a word in it", "abcd/" + strings.Repeat("a", 33) + "B1", false},
		{"longer than a key of AWS", "abc/" + strings.Repeat("a", 35) + "B1", false},
	} {
		if got := isRandom(tt.text); got != tt.want {
			t.Errorf("%s: %q: got %v, want %v", tt.claim, tt.text, got, tt.want)
		}
	}
}

func TestFieldOfNothingIsNothing(t *testing.T) {
	for _, tt := range []struct {
		ref     Reference
		in, out string
		ok      bool
	}{
		{Reference{}, `{"a":"YQ"}`, `{"a":"YQ"}`, true},
		{Reference{Field: "a"}, `{"a":"YQ"}`, "YQ", true},
		{Reference{Field: "a", Base64: true}, `{"a":"YQ"}`, "a", true},
		{Reference{Field: "a"}, "", "", true},
		{Reference{Base64: true}, "", "", true},
		{Reference{Field: "b"}, `{"a":"YQ"}`, "", false},
		{Reference{Field: "b", Base64: true}, `{"a":"YQ"}`, "", false},
		{Reference{Base64: true}, "!", "", false},
	} {
		got, err := tt.ref.Extract(tt.in)
		if got != tt.out || (err == nil) != tt.ok {
			t.Errorf("%v of %q: got %q, %v; want %q", tt.ref, tt.in, got, err, tt.out)
		}
	}
}

// Anything else may be a value in the wrong place.
func TestOnlyAShortPlainWordIsQuoted(t *testing.T) {
	for word, want := range map[string]bool{
		"a": true, "z": true, "`": false, "{": false, "a-z_": true, "A": false,
		strings.Repeat("a", 16): true, strings.Repeat("a", 17): false,
	} {
		_, err := ParseReference("a/B?" + word)
		if err == nil {
			t.Errorf("%q is an option", word)
		} else if got := strings.Contains(err.Error(), `"`+word+`"`); got != want {
			t.Errorf("%q: got %v", word, err)
		}
	}
}
