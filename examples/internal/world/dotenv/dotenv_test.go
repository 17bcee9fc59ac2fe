//go:build world

// Package dotenv compares how we read a line with how others read it. It
// wants motdotla's dotenv in .tools/dotenv, of .ci/install-world-tools.
package dotenv

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	compose "github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/joho/godotenv"

	"github.com/agent-secret-store/ass-exec/shim/mapping"
)

// differences are why a line that we take has another value elsewhere, by the
// reader and a text that the line holds; none other may come up. Where readers
// disagree, we read as a shell does.
var differences = []struct{ reader, holds, why string }{
	{"compose-go", "\t#", "a comment begins behind a blank of any kind"},
	{"godotenv", "\t#", "a comment begins behind a blank of any kind"},
	{"godotenv", " # #", "a comment begins at the first # behind a blank, not at the last"},
	{"compose-go", `\'`, "between single quotes a backslash is one, and the next quote ends the value"},
	{"godotenv", `\'`, "between single quotes a backslash is one, and the next quote ends the value"},
	{"motdotla", `\'`, "between single quotes a backslash is one, and the next quote ends the value"},
	{"godotenv", `\"`, `between double quotes \" is a quote, to compose-go too`},
	{"motdotla", `\"`, `between double quotes \" is a quote, to compose-go too`},
}

// A line that we take for a reference means the same to the readers of others,
// or they refuse it: a mapping never says one thing here and another there.
func TestReferencesAreReadAsOthersReadThem(t *testing.T) {
	const n = 30000
	random := rand.New(rand.NewPCG(1, 2))
	type taken struct {
		line  string
		value mapping.Template
	}
	var lines []taken
	texts := []string{}
	for range n {
		line := randomLine(random)
		if bindings, err := mapping.Parse("ass.env", []byte(line)); err == nil && len(bindings) == 1 {
			lines = append(lines, taken{line, bindings[0].Value})
			texts = append(texts, line)
		}
	}
	readers := map[string][]*string{
		"compose-go": readAll(texts, compose.UnmarshalBytesWithLookup),
		"godotenv":   readAll(texts, func(b []byte, _ compose.LookupFn) (map[string]string, error) { return godotenv.UnmarshalBytes(b) }),
		"motdotla":   readByNode(t, texts),
	}
	seen := make([]int, len(differences))
	for _, reader := range slices.Sorted(maps.Keys(readers)) {
		refused, same := 0, 0
		other := make(map[string]int)
		for i, l := range lines {
			got := readers[reader][i]
			if got == nil {
				refused++
				continue
			}
			value, err := mapping.ParseValue(*got)
			if err == nil && reflect.DeepEqual(value, l.value) {
				same++
				continue
			}
			d := slices.IndexFunc(differences, func(d struct{ reader, holds, why string }) bool {
				return d.reader == reader && strings.Contains(l.line, d.holds)
			})
			if d < 0 {
				other[fmt.Sprintf("%q: %s reads %q", l.line, reader, *got)]++
				continue
			}
			seen[d]++
		}
		t.Logf("%s: of %d lines that we take %d are the same, %d refused", reader, len(lines), same, refused)
		for i, text := range slices.Sorted(maps.Keys(other)) {
			if i < 10 {
				t.Error(text)
			}
		}
		if len(other) > 10 {
			t.Errorf("%s: and %d more", reader, len(other)-10)
		}
	}
	for i, d := range differences {
		if t.Logf("%s, %q: %d lines: %s", d.reader, d.holds, seen[i], d.why); seen[i] == 0 {
			t.Errorf("%s: %q makes no difference any more", d.reader, d.holds)
		}
	}
}

// randomLine is made of what lines are made of, in an order that often is
// nearly right.
func randomLine(r *rand.Rand) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	seldom := func(of ...string) string {
		if r.IntN(4) > 0 {
			return ""
		}
		return pick(of...)
	}
	quote := pick("", "", "", `"`, "'", "`")
	path := pick("a/B", "production/app/KEY", "ass://a/B", "ass://a/b/C", "a/B%20C", "a/B-C", "a/B.C", "ä/Ö")
	options := seldom("?optional", "?default=x", "?default=a%20b", "?field=name", "?field=/a/b", "?as=file&mode=0444", "?default=a b", "?default=it's", `?default=\n`, `?default=\"`, "?default=x#y", "?default=a=b", "?default=a:b")
	return seldom(" ", "\t", "\ufeff") + seldom("export ", "export  ", "export\t", "export") + pick("A", "A", "A_B", "a.b", "A1") +
		seldom(" ", "\t") + pick("=", "=", "=", "=", ":", ": ", "==") + seldom(" ", "  ", "\t", "\u00a0") +
		quote + seldom(" ") + path + options + seldom(" ", `\`, `\n`, "#", " #", "\t#") + quote +
		seldom(" ", "\t", " # comment", "# comment", "#", ` # "it's"`, " x", " #'", "\t# c", ` "`, "\r", ";") + seldom("\n", "\r\n", "\n\n")
}

// readAll returns the value of each line; nil where it is refused.
func readAll(lines []string, read func([]byte, compose.LookupFn) (map[string]string, error)) []*string {
	values := make([]*string, len(lines))
	for i, line := range lines {
		got, err := read([]byte(line), nil)
		if err == nil && len(got) == 1 {
			for _, value := range got {
				values[i] = &value
			}
		}
	}
	return values
}

const byNode = `
const { parse } = require(process.argv[1]);
const lines = JSON.parse(require('node:fs').readFileSync(0));
process.stdout.write(JSON.stringify(lines.map((line) => Object.values(parse(line))[0] ?? null)));`

func readByNode(t *testing.T, lines []string) (values []*string) {
	t.Helper()
	module, err := filepath.Abs("../../../../.tools/dotenv/node_modules/dotenv")
	if err != nil {
		t.Fatal(err)
	}
	input, err := json.Marshal(lines)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "-e", byNode, module)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node: %v: %s (run .ci/install-world-tools)", err, out)
	}
	if err := json.Unmarshal(out, &values); err != nil || len(values) != len(lines) {
		t.Fatalf("node: %v: %d values of %d lines", err, len(values), len(lines))
	}
	return values
}
