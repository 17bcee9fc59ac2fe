package vault

import "testing"

func TestPathsAreReadSegmentBySegment(t *testing.T) {
	const empty = "a path cannot have an empty segment: no slash at its start or end, and no two in a row"
	for path, want := range map[string]string{
		"a/B": "a/B", "a/b/c/D": "a/b/c/D", "sp%20ace/%25%23": "sp ace/%#", "gr%C3%BC%C3%9Fe/K": "grüße/K",
		"a": "a path has a namespace and a key, like production/app/DEBUG",
		"":  empty, "/a/B": empty, "a/B/": empty, "a//B": empty,
		"a/../B": "a path cannot have a . or .. segment", "a/%2e/B": "a path cannot have a . or .. segment",
		"a/%zz": "a % in a path must be followed by two hex digits; write a literal one as %25",
		"a/%ff": "a path must be UTF-8",
		"a/*":   "a segment of a path cannot contain '*'", "a/b:c": "a segment of a path cannot contain ':'", "a/b%2Fc": "a segment of a path cannot contain '/'",
		"a/b%0A": "a path cannot contain the unprintable character U+000A",
	} {
		ref, err := ParseRef(path)
		got := string(ref)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}

func TestNamespaceMayHaveOneSegment(t *testing.T) {
	for path, want := range map[string]string{"a": "a", "a%20b/c": "a b/c"} {
		if got, err := ParseNamespace(path); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", path, got, err, want)
		}
	}
	if _, err := ParseNamespace("a/../b"); err == nil {
		t.Error("a way out is taken for a namespace")
	}
}

func TestRefIsNamespaceAndKey(t *testing.T) {
	ref := Ref("a b/c/D")
	if ref.Namespace() != "a b/c" || ref.Key() != "D" || ref.Escaped() != "a%20b/c/D" {
		t.Errorf("got %q, %q, %q", ref.Namespace(), ref.Key(), ref.Escaped())
	}
}
