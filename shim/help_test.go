package shim

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/mapping"
)

// readmeTable is the cells of the table in the README with this heading,
// without its first two lines.
func readmeTable(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(readme), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("no table begins with %s", heading)
	}
	for _, line := range strings.Split(table, "\n")[1:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(line, "|")
		for i, cell := range cells {
			cells[i] = strings.TrimSpace(cell)
		}
		rows = append(rows, cells[1:])
	}
	return rows
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// The meaning ends with the default, if there is one.
var defaultOf = regexp.MustCompile(`\(([^()]+)\)$`)

func TestREADMEListsEverySetting(t *testing.T) {
	var got, want []string
	for _, row := range readmeTable(t, "| flag | variable | meaning (default) |") {
		plain := strings.NewReplacer("`", "", " PATH", "")
		flag, variable, def := plain.Replace(row[0]), plain.Replace(row[1]), ""
		if m := defaultOf.FindStringSubmatch(row[2]); m != nil {
			def = plain.Replace(m[1])
		}
		got = append(got, flag+" "+variable+" "+def)
	}
	for _, s := range settings {
		s.arg = ""
		want = append(want, s.flags()+" "+s.env+" "+s.def)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestREADMEListsEveryOption(t *testing.T) {
	var got, want []string
	for _, row := range readmeTable(t, "| option, after `?`, joined by `&` | meaning |") {
		for _, span := range codeSpan.FindAllStringSubmatch(row[0], -1) {
			name, _, _ := strings.Cut(span[1], "=")
			got = append(got, name)
		}
	}
	for _, o := range mapping.Options() {
		want = append(want, o.Name)
	}
	if got := slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestHelpListsEverySettingAndOption(t *testing.T) {
	help := Help()
	for _, s := range settings {
		if line := s.flags() + " "; s.help == "" || !strings.Contains(help, "\n  "+line) || !strings.Contains(help, " "+s.describe()+"\n") {
			t.Errorf("no line for %s%s", line, s.env)
		}
	}
	for _, o := range mapping.Options() {
		if !strings.HasPrefix(o.Usage, o.Name) || !strings.Contains(help, "\n  "+o.Usage+" ") || !strings.Contains(help, " "+o.Help+"\n") {
			t.Errorf("no line for %s", o.Name)
		}
	}
}

func TestHelpOfASettingHasFlagVariableAndDefault(t *testing.T) {
	help := Help()
	for _, line := range []string{
		"                               ASS_AGENT_KEY: the agent key; or",
		"  --ca-file FILE               ASS_CA_FILE: PEM bundle to trust instead of the system's",
		"  --timeout TIME               ASS_TIMEOUT: for everything before the command starts; 0 = for ever (60s)",
		"  -v, --verbose                ASS_VERBOSE: say what is done: names, paths, durations; never a value",
		"  --install PATH               copy this binary to PATH, run nothing",
	} {
		if !strings.Contains(help, "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, help)
		}
	}
}
