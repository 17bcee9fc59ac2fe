package mapping

import (
	"runtime"
	"strings"
	"testing"
)

func TestFieldErrorsNameNoOtherField(t *testing.T) {
	for _, tt := range []struct{ value, field, want string }{
		{`{"s3cret":1,"b":2}`, "c", `the secret has no field "c"; it has 2 fields`},
		{`{"Password":1,"b":2}`, "password", `the secret has no field "password"; it has 2 fields, and one of them differs from this by case alone`},
		{`{"a":{"s3cret":1}}`, "/a/b", `the secret has no field "b"; it has 1 field`},
		{`{}`, "a", `the secret has no field "a"; it has 0 fields`},
		{`["s3cret"]`, "/1", `the secret has no field "1"; it is an array of 1`},
		{`["s3cret"]`, "/01", `the secret has no field "01"; it is an array of 1`},
		{`{"a":"s3cret"}`, "/a/b", `the secret has no field "b" there, only a single value`},
		{`{"a":{"s3cret":1}}`, "a", `the field is not a single value; it has 1 field`},
		{`{"a":[1,2]}`, "a", `the field is not a single value; it is an array of 2`},
		{`{"a":null}`, "a", "the field is null"},
		{`{"a":"\ud800"}`, "a", "the field holds half of a surrogate pair"},
		{`{"a":"\\ufffd\ud800"}`, "a", "the field holds half of a surrogate pair"},
		{"s3cret", "a", "the secret is not JSON, so it has no fields"},
		{"{\"a\":\"\xff\"}", "a", "the secret is not JSON, so it has no fields"},
	} {
		if got, err := selectField(tt.value, tt.field); err == nil || err.Error() != tt.want {
			t.Errorf("%s of %s: got %q, %v; want %s", tt.field, tt.value, got, err, tt.want)
		}
	}
}

func TestFieldIsWhatRFC6901SaysItIs(t *testing.T) {
	for _, tt := range []struct{ value, field, want string }{
		{`{"a":"x","b":{"a":"y"}}`, "a", "x"},
		{`{"a/b":"x"}`, "a/b", "x"},
		{`{"a/b":{"~":"x"}}`, "/a~1b/~0", "x"},
		{`{"":{"":"x"}}`, "//", "x"},
		{` [ {"a": 1.50e3 } , [true] ] `, "/0/a", "1.50e3"},
		{`[0,[true]]`, "/1/0", "true"},
		{`{"a":"1","a":{"b":"2"}}`, "/a/b", "2"},
		{`{"a":{"c":1},"x":1e999,"a":{"b":[3]}}`, "/a/b/0", "3"},
		{`[1e999,"x"]`, "/1", "x"},
		{`{"a":1e999}`, "a", "1e999"},
		{`{"a":{"b":"1"},"a":"2"}`, "a", "2"},
		{`{"a":"\u00e9\ud83d\ude00\ufffd"}`, "a", "é😀\ufffd"},
		{`{"a":"\\ufffd\ufffd"}`, "a", `\ufffd` + "\ufffd"},
	} {
		if got, err := selectField(tt.value, tt.field); err != nil || got != tt.want {
			t.Errorf("%s of %s: got %q, %v; want %q", tt.field, tt.value, got, err, tt.want)
		}
	}
}

// A document is read once, not once for each step: that took half a minute for
// a deep one.
func TestPointerOfManyStepsCostsNoMoreThanOneOfFew(t *testing.T) {
	const depth = 9000
	deep := strings.Repeat(`{"a":`, depth) + `"x"` + strings.Repeat("}", depth)
	allocated := func(steps int) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = selectField(deep, strings.Repeat("/a", steps))
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(1)
	if few, many := allocated(2), allocated(maxPointerSteps); many > 2*few {
		t.Errorf("got %d bytes for %d steps, %d for 2", many, maxPointerSteps, few)
	}
	for _, p := range []string{strings.Repeat("/a", maxPointerSteps+1), "/" + strings.Repeat("a", maxPointer)} {
		if _, err := ParseReference("a/B?field=" + p); err == nil {
			t.Errorf("a pointer of %d bytes is taken", len(p))
		}
	}
	if _, err := ParseReference("a/B?field=" + strings.Repeat("/a", maxPointerSteps)); err != nil {
		t.Error(err)
	}
}
