package shim

import (
	"slices"
	"testing"
)

func TestWordsAreThoseOfAShell(t *testing.T) {
	for text, want := range map[string][]string{
		"":                         nil,
		" \t\n":                    nil,
		"pass show ass/key":        {"pass", "show", "ass/key"},
		" a \t b\r\n c ":           {"a", "b", "c"},
		`a 'b c' "d e"`:            {"a", "b c", "d e"},
		`a'b'"c"d`:                 {"abcd"},
		`'' ""`:                    {"", ""},
		`'a\b"c'`:                  {`a\b"c`},
		`"a\"b\\c\$d\` + "`" + `"`: {"a\"b\\c$d`"},
		`"a\nb'c"`:                 {`a\nb'c`},
		`a\ b \'c\" \\`:            {"a b", `'c"`, `\`},
		"a\\\nb \"c\\\nd\"":        {"ab", "cd"},
		`$HOME *|;&< #x`:           {"$HOME", "*|;&<", "#x"},
		"~/bin/x a~/b ~ ~user/x":   {"/home/me/bin/x", "a~/b", "~", "~user/x"},
		`'~/x' "~/x" \~/x`:         {"~/x", "~/x", "~/x"},
		"grüße '世界 🔑'":             {"grüße", "世界 🔑"},
	} {
		got, err := splitWords(text, "/home/me/")
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestWordsWithoutAnEndAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`a 'b`: `a quote ' is not closed`, `a "b\"`: `a quote " is not closed`, `"`: `a quote " is not closed`, `"a\`: `a quote " is not closed`,
		`a\`: "a backslash at the end has nothing to escape", "~/x": "~/ needs HOME, which is not set",
	} {
		if got, err := splitWords(text, ""); err == nil || err.Error() != want {
			t.Errorf("%q: got %q, %v, want %s", text, got, err, want)
		}
	}
}
