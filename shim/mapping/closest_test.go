package mapping

import (
	"strings"
	"testing"
)

func TestClosestKnowsWhatWasMeant(t *testing.T) {
	known := []string{"optional", "default", "field", "decode", "encode", "as", "mode", "fd"}
	for word, want := range map[string]string{
		"optinal": "optional", "Optional": "optional", "filed": "field", "defalt": "default", "encod": "encode", "decod": "decode",
		"mod": "mode", "fds": "fd", "raw": "", "nope": "", "": "", "x": "", strings.Repeat("optional", 3): "",
	} {
		if got := Closest(word, known); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
