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
