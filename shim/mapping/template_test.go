package mapping

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

// Whether a secret stands in the user or password of a URL is decided by the
// text around it, in a mapping and in an inherited variable alike.
func TestSecretInAURLMustSayHow(t *testing.T) {
	for _, tt := range []struct {
		value string
		want  bool // it must
	}{
		{"postgres://app:${ass://a/B}@db:5432/app", true},
		{"postgres://${ass://a/B}@db", true},
		{"postgresql+asyncpg://u:x${ass://a/B}y@db", true},
		{"HTTP://${ass://a/U?encode=url}:${ass://a/B}@h", true},
		{"https://${ass://a/B?field=user}:${ass://a/B?encode=url}@h", true},
		{"amqp://u:${ass://a/B?optional}@h1,h2", true},
		{"x://u:${ass://a/B}${ass://a/C?encode=none}@h", true},
		{"redis://:${ass://a/B}@${ass://a/HOST}:6379", true},
		{"x://u@corp:${ass://a/B}@h", true},
		{"postgres://app:${ass://a/B?encode=json}@db", true},
		{"postgres://app:${ass://a/B?encode=base64}@db", true},
		{"x://${ass://a/B}@h;o=1", true},
		{"x://${ass://a/B}@${ass://a/H}", true},

		{"postgres://app:${ass://a/B?encode=url}@db", false},
		{"postgres://app:${ass://a/B?encode=none}@db", false},
		{"postgres://${ass://a/HOST}/app", false},
		{"https://h/${ass://a/B}@x", false},
		{"https://h?k=${ass://a/B}@x", false},
		{"https://h#${ass://a/B}@x", false},
		{"https://${ass://a/HOST}?mail=a@b", false},
		{"https://${ass://a/HOST}#a@b", false},
		{"https://${ass://a/HOST}", false},
		{"user:${ass://a/B}@tcp(db:3306)/app", false},
		{" postgres://u:${ass://a/B}@db", false},
		{"see postgres://u:${ass://a/B}@db", false},
		{"1a://u:${ass://a/B}@db", false},
		{"://u:${ass://a/B}@db", false},
		{"x://h a ${ass://a/B}@db", false},
		{"x://u@${ass://a/HOST}", false},
		{"x://u@${ass://a/HOST}/p@q", false},
		{"x://h;p=${ass://a/B}@db", false},
		{"${ass://a/URL}://u:${ass://a/B}@db", false},
		{"x://$${ass://u}:${ass://a/B}@db", false},
	} {
		_, err := ParseValue(tt.value)
		_, _, inherited := ParseInherited(tt.value)
		var hinted *hintedError
		if got := errors.As(err, &hinted) && errors.As(inherited, &hinted); got != tt.want || !got && (err != nil || inherited != nil) {
			t.Errorf("%s: got %v, %v", tt.value, err, inherited)
		}
	}
}

func TestURLErrorPrintsBothFormsAndNoDefault(t *testing.T) {
	_, err := Parse("m", []byte(`A="x://u:${ass://a/B?default=hunter2&field=/p}@h"`))
	want := "m:1: A: a secret in the user or password of a URL must say how it is spelled there: " +
		"${ass://a/B?default=TEXT&field=/p&encode=url} or ${ass://a/B?default=TEXT&field=/p&encode=none}"
	const hint = "take encode=url, unless the vault holds the secret percent-encoded already: then encode=none"
	if es := exit.AsErrors(err); len(es) != 1 || es[0].Msg != want || es[0].Hint != hint || es[0].Code != exit.Config {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// Each copied all text before it: a file of 1 MiB took half a minute.
func TestEscapedReferencesCostNoMoreThanTheirLength(t *testing.T) {
	allocated := func(n int) uint64 {
		s := "${ass://a/B}" + strings.Repeat(escaped, n)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ParseValue(s)
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(1)
	if few, many := allocated(1000), allocated(10_000); many > 20*few {
		t.Errorf("got %d bytes for ten times the %d", many, few)
	}
}
