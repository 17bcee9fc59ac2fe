package mapping

import "testing"

// RFC 6901, section 6: the pointers as they are written in a URI, which is how
// a reference writes them, but for that of the whole document.
func TestPointersOfRFC6901(t *testing.T) {
	const document = `{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8}`
	for _, tt := range []struct{ pointer, want string }{
		{"/foo/0", "bar"},
		{"/", "0"},
		{"/a~1b", "1"},
		{"/c%25d", "2"},
		{"/e%5Ef", "3"},
		{"/g%7Ch", "4"},
		{"/i%5Cj", "5"},
		{"/k%22l", "6"},
		{"/%20", "7"},
		{"/m~0n", "8"},
	} {
		r, err := ParseReference("a/B?field=" + tt.pointer)
		if err != nil {
			t.Errorf("%s: %v", tt.pointer, err)
			continue
		}
		if got, err := r.Extract(document); err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v; want %q", tt.pointer, got, err, tt.want)
		}
	}
	if r, err := ParseReference("a/B?field=/foo"); err != nil {
		t.Error(err)
	} else if got, err := r.Extract(document); err == nil {
		t.Errorf("/foo: got %q, want an error", got)
	}
	// Section 4: the order in which ~ is decoded, and numbers of an array.
	for _, tt := range []struct{ document, pointer, want string }{
		{`{"~1": "x", "/": "y"}`, "/~01", "x"},
		{`["a", "b"]`, "/1", "b"},
		{`{"01": "x"}`, "/01", "x"},
		{`["a", "b"]`, "/01", ""},
		{`["a", "b"]`, "/-", ""},
		{`["a", "b"]`, "/+1", ""},
		{`["a", "b"]`, "/2", ""},
		{`{"foo": {}}`, "/foo/", ""},
	} {
		if got, err := selectField(tt.document, tt.pointer); got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s of %s: got %q, %v; want %q", tt.pointer, tt.document, got, err, tt.want)
		}
	}
	for _, bad := range []string{"/a~", "/a~2b", "/~~"} {
		if _, err := ParseReference("a/B?field=" + bad); err == nil {
			t.Errorf("%s is taken for a pointer", bad)
		}
	}
}

// RFC 4648, section 10; and the bytes in which its two alphabets differ.
func TestBase64OfRFC4648(t *testing.T) {
	for _, tt := range []struct{ decoded, encoded string }{
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"},
		{"\xfb\xff\xbf", "+/+/"},
	} {
		if got, err := (Reference{Encode: encodeBase64}).Encoded(tt.decoded); err != nil || got != tt.encoded {
			t.Errorf("%q: got %q, %v; want %q", tt.decoded, got, err, tt.encoded)
		}
		if got, err := decodeBase64(tt.encoded); err != nil || got != tt.decoded {
			t.Errorf("%q: got %q, %v; want %q", tt.encoded, got, err, tt.decoded)
		}
	}
	// In the last, bits that nobody reads are set: section 3.5 leaves it open.
	for _, also := range []string{"-_-_", "Zg", "Zm8", "Zh=="} {
		if _, err := decodeBase64(also); err != nil {
			t.Errorf("%q: %v", also, err)
		}
	}
	for _, bad := range []string{"Zg=", "Zg===", "Z", "Zm9v=", "Zm9vYg=", "Z*==", "=", "+_+_"} {
		if got, err := decodeBase64(bad); err == nil {
			t.Errorf("%q: got %q, want an error", bad, got)
		}
	}
}
