package vault

import (
	"encoding/json"
	"testing"
)

func TestStringIsRefusedWhereDecodingAltersIt(t *testing.T) {
	for _, tt := range []struct {
		raw, want string
		ok        bool
	}{
		{`"a\ufffd\uFFFD` + "\uFFFD\"", "a\uFFFD\uFFFD\uFFFD", true},
		{`"\\ufffd\ufffd"`, `\ufffd` + "\uFFFD", true},
		{`"\ud83d\ude00"`, "😀", true},
		{`"a\ud800"`, "", false},
		{`"\ude00\ud83d"`, "", false},
		{`"\\ufffd\ud800"`, "", false}, // the text of an escape is none
		{`"\\\\ufffd\ud800"`, "", false},
	} {
		if got, ok := (object{"value": json.RawMessage(tt.raw)}).text("value"); got != tt.want || ok != tt.ok {
			t.Errorf("%s: got %q, %t; want %q, %t", tt.raw, got, ok, tt.want, tt.ok)
		}
	}
}

func TestNumberIsTakenAsAStringToo(t *testing.T) {
	for raw, want := range map[string]int64{
		`7`: 7, `"7"`: 7, `-1`: -1, `9223372036854775807`: 9223372036854775807,
		`9223372036854775808`: 0, `7.5`: 0, `1e3`: 0, `"x"`: 0, `""`: 0, `null`: 0, `true`: 0, `[7]`: 0, `{"n":7}`: 0,
	} {
		if got := (object{"n": json.RawMessage(raw)}).integer("n"); got != want {
			t.Errorf("%s: got %d, want %d", raw, got, want)
		}
	}
	if got := (object{}).integer("n"); got != 0 {
		t.Errorf("nothing: got %d", got)
	}
}
