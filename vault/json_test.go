package vault

import (
	"strings"
	"testing"
)

// A body that parsers read in different ways, or that this one would mend, is
// not a reply.
func TestAmbiguousJSONIsNoReply(t *testing.T) {
	for _, tt := range []struct{ claim, body string }{
		{"a key twice", `{"value":"a","value":"a"}`},
		{"a key twice, once with an escape", `{"value":"a","v\u0061lue":"b"}`},
		{"another key twice", `{"value":"a","path":"a/B","path":"a/C"}`},
		{"two objects", `{"value":"a"}{"value":"b"}`},
		{"an object and more", `{"value":"a"}x`},
		{"an object and a NUL", `{"value":"a"}` + "\x00"},
		{"a byte order mark", "\ufeff" + `{"value":"a"}`},
		{"UTF-16", "{\x00\"\x00v\x00\"\x00:\x001\x00}\x00"},
		{"a NUL in a string", `{"value":"a` + "\x00" + `"}`},
		{"a line end in a string", `{"value":"a` + "\n" + `"}`},
		{"a byte that is not UTF-8", `{"value":"a` + "\xc0\x80" + `"}`},
		{"a surrogate as bytes", `{"value":"a` + "\xed\xa0\x80" + `"}`},
		{"a comma at the end", `{"value":"a",}`},
		{"a comment", `{"value":"a"/* b */}`},
		{"single quotes", `{'value':'a'}`},
		{"null", `null`},
		{"a string", `"value"`},
		{"arrays, deeper than a parser goes", `{"value":"a","x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`},
		{"objects, deeper than a parser goes", `{"value":"a","x":` + strings.Repeat(`{"x":`, 20000) + "1" + strings.Repeat("}", 20000) + `}`},
	} {
		if o := parseObject([]byte(tt.body)); o != nil {
			t.Errorf("%s: got %d keys", tt.claim, len(o))
		}
	}
}

func TestKeysAreCountedInTheirOwnObjectAlone(t *testing.T) {
	for _, body := range []string{
		`{}`, `{"a":{"a":1,"b":{"a":1}},"b":[{"a":1},{"a":1}]}`, `{"a:\"b\":":"c:\\","b":":{"}`, "\n{ \"a\" : 1 , \"b\" : 2 }\n",
	} {
		if parseObject([]byte(body)) == nil {
			t.Errorf("%s is no object", body)
		}
	}
}

// What stands twice in an item, or in what may tell of more pages, is as wrong
// as in the reply itself.
func TestKeyTwiceInAnInnerObjectIsAnError(t *testing.T) {
	if items, err := parseList("ns", parseObject([]byte(`{"items":[{"key":"A","key":"B"}]}`))); err == nil {
		t.Errorf("got %v", items)
	}
	if !paged(&reply{200, nil, parseObject([]byte(`{"meta":{"a":1,"a":2}}`))}, 0) {
		t.Error("an inner object that cannot be read shows no sign of paging")
	}
	if got := parseObject([]byte(`{"error":{"message":"a","message":"b"}}`)).message(); got != "" {
		t.Errorf("got message %q", got)
	}
}

// Keys are exact: encoding/json by itself would take these.
func TestKeysInOtherCaseAreOtherKeys(t *testing.T) {
	for _, key := range []string{"Value", "VALUE", "vaLue", "value ", "\u017falue", "token", "Token", "TO\u212aEN"} {
		o := parseObject([]byte(`{"` + key + `":"x"}`))
		if r, err := parseSecret("a/B", o); err == nil {
			t.Errorf("%q: got %q for a value", key, r.Value.Reveal())
		}
		if token, err := parseToken(o, Secret{}); (err == nil) != (key == "token") {
			t.Errorf("%q: got token %q, %v", key, token.Reveal(), err)
		}
	}
	if items, err := parseList("ns", parseObject([]byte(`{"Items":[{"key":"A"}]}`))); err == nil {
		t.Errorf("got %v", items)
	}
	if items, err := parseList("ns", parseObject([]byte(`{"items":[{"Key":"A"}]}`))); err == nil {
		t.Errorf("got %v", items)
	}
}
