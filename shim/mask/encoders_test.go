package mask

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The encoders themselves, as far as this machine has them.
func TestEncodedSecretsAreMasked(t *testing.T) {
	values := []string{
		`p/w"<ä+ö>&?%41 x~!(=)'$` + "`\\{a,b}[c]|;*^#",
		"first 'line'\n\tsecond\\line: $x\x1b[0m \"ü😀\"",
		strings.Repeat(`long<'&"é`, 100),
	}
	python := func(expression string) []string {
		return []string{"python3", "-c", `import os, sys, html, json, shlex; v = os.environ["V"]; sys.stdout.buffer.write((` + expression + `).encode())`}
	}
	bash := func(script string) []string { return []string{"bash", "-c", script} }
	node := func(expression string) []string {
		return []string{"node", "-e", `const v = process.env.V; process.stdout.write(` + expression + `)`}
	}
	for _, tt := range []struct {
		name    string
		command []string
		around  string // characters that may be left
	}{
		{"html.escape", python("html.escape(v)"), ""},
		{"html.escape without quotes", python("html.escape(v, quote=False)"), ""},
		{"JSON", python("json.dumps(v)"), `"`},
		{"JSON twice", python("json.dumps(json.dumps(v))"), `"\`},
		{"JSON twice in UTF-8", python("json.dumps(json.dumps(v, ensure_ascii=False), ensure_ascii=False)"), `"\`},
		{"JSON in UTF-8, then in ASCII", python("json.dumps(json.dumps(v, ensure_ascii=False))"), `"\`},
		{"shlex.quote", python("shlex.quote(v)"), `'`},
		{"hex", python("v.encode().hex()"), ""},
		{"printf %q", bash(`printf %q "$V"`), `$'\`},
		{"printf %q in C", bash(`LC_ALL=C; printf %q "$V"`), `$'\`},
		{"printf %q in UTF-8", bash(`LC_ALL=C.UTF-8; printf %q "$V"`), `$'\`},
		{"@Q", bash(`printf %s "${V@Q}"`), `$'`},
		{"declare -p", bash(`declare -p V | sed '1s/^declare -x V=//'`), `$"'` + "\n"},
		{"set -x", bash(`PS4=; exec 2>&1; set -x; : "$V"`), ": $'\n"},
		{"set -x of sh", []string{"sh", "-c", `PS4=; exec 2>&1; set -x; : "$V"`}, ": $'\n"},
		{"od", bash(`printf %s "$V" | od -An -v -tx1 | tr -d " \n"`), "\n"},
		{"JSON.stringify twice", node("JSON.stringify(JSON.stringify(v))"), `"\`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			needTool(t, tt.command[0])
			for _, v := range values {
				cmd := exec.Command(tt.command[0], tt.command[1:]...)
				cmd.Env = append(os.Environ(), "V="+v)
				text, err := cmd.Output()
				if err != nil {
					t.Fatal(err)
				}
				got := strings.Join(play(t, []string{v}, []string{string(text)}), "")
				if strings.Trim(got, tt.around) != replacement {
					t.Errorf("%.90q: got %.300q of %.300q", v, got, text)
				}
			}
		})
	}
}

// needTool skips the test where a tool is missing, and fails it in CI, which
// installs every tool.
func needTool(t *testing.T, name string) {
	t.Helper()
	_, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("CI needs %s", name)
	default:
		t.Skipf("needs %s", name)
	}
}
