package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// failures drives every exit status of the table: what goes wrong, and the
// first message of it, exactly.
var failures = []struct {
	code  exit.Code
	fault string // of the dev vault
	env   []string
	args  []string
	want  string
}{
	{code: exit.Usage, args: []string{"--" + canaryValue}, want: "unknown flag --" + canaryValue},
	{code: exit.Data, fault: "endpoint=secrets,kind=empty", args: []string{"true"}, want: "environment: X: a/B: the secret is empty"},
	{code: exit.NotFound, env: []string{"Y=ass://a/NO"}, args: []string{"true"}, want: "environment: Y: a/NO does not exist"},
	{code: exit.Unavailable, fault: "endpoint=tokens,kind=status,status=503,retry-after=90", args: []string{"true"}, want: "HOST answered Service Unavailable (503): Service Unavailable"},
	{code: exit.Pending, env: []string{"Y=ass://a/SENSITIVE", "ASS_APPROVAL_TIMEOUT=0"}, args: []string{"true"}, want: "a human must approve secrets:read:a/B secrets:read:a/SENSITIVE: approval apr_3: a human's approval is needed"},
	{code: exit.Protocol, fault: "endpoint=secrets,kind=html", args: []string{"true"}, want: "environment: X: a/B: the reply is not JSON (200)"},
	{code: exit.Denied, fault: "endpoint=tokens,kind=status,status=401", args: []string{"true"}, want: "the vault refuses the agent key: not authorized (401): Unauthorized"},
	{code: exit.Config, env: []string{"Y=ass://" + canaryValue}, args: []string{"true"}, want: "environment: Y: the value is not a secret path; a path has a namespace and a key, like production/app/DEBUG"},
	{code: exit.CannotRun, args: []string{"/"}, want: `command "/" cannot run: / is a directory`},
	{code: exit.NoCommand, args: []string{"/no/such"}, want: `command "/no/such": no such file`},
}

func TestEveryExitCodeHasItsMessageAndPrintsNoSecret(t *testing.T) {
	for _, tt := range failures {
		for _, more := range [][]string{nil, {"-v"}, {"--log-format=json"}, {"-v", "--log-format=json"}} {
			t.Run(fmt.Sprint(tt.code, more), func(t *testing.T) {
				v, env := vaultServer(t, devvault.Config{AgentKey: canaryKey})
				v.Put("a/B", canaryValue)
				v.PutTier("a/SENSITIVE", canaryValue, "sensitive")
				if tt.fault != "" {
					f, err := devvault.ParseFault(tt.fault)
					if err != nil {
						t.Fatal(err)
					}
					v.Inject(f)
				}
				env = append(append(env, "X=ass://a/B"), tt.env...)
				host := strings.TrimPrefix(env[1], "ASS_API_URL=https://")
				status, stdout, stderr := assExec(t, env, append(more, tt.args...)...)
				if status != int(tt.code) || stdout != "" {
					t.Errorf("got status %d, stdout %q; want %d and silence", status, stdout, tt.code)
				}
				if tt.code != exit.Usage && strings.Contains(stderr, canaryValue) || strings.Contains(stderr, canaryKey) || strings.Contains(stderr, "eyJkZXY") {
					t.Errorf("a secret is printed: %s", stderr)
				}
				want := strings.ReplaceAll(tt.want, "HOST", host)
				line := "ass-exec: error: " + want
				if strings.Contains(strings.Join(more, " "), "json") {
					line = `"level":"ERROR","msg":` + strings.ReplaceAll(fmt.Sprintf("%q", want), "\\u0026", "&")
					line = line[:len(line)-1]
				}
				if !strings.Contains(stderr, line) {
					t.Errorf("got  %swant %s", stderr, line)
				}
				if !strings.Contains(stderr, "hint") {
					t.Errorf("no hint in %s", stderr)
				}
			})
		}
	}
}

// The table of the README has exactly the codes that exist.
func TestReadmeListsEveryExitCode(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	_, table, _ := strings.Cut(string(readme), "## Exit status")
	for _, line := range strings.Split(table, "\n") {
		if strings.HasPrefix(line, "## ") {
			break
		}
		if cells := strings.Split(line, "|"); len(cells) > 3 && strings.Trim(cells[1], " 0123456789+n") == "" {
			listed = append(listed, strings.TrimSpace(cells[1]))
		}
	}
	want := "64 65 66 69 70 75 76 77 78 126 127 128+n"
	if got := strings.Join(listed, " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	driven := make(map[exit.Code]bool)
	for _, f := range failures {
		driven[f.code] = true
	}
	for _, code := range exit.Codes() {
		if !driven[code] && code != exit.Internal && code != exit.Signal {
			t.Errorf("no failure drives %d", code)
		}
	}
}

// A secret that is refused because of what it holds must not be shown either.
func TestUnusableSecretsAreNotPrinted(t *testing.T) {
	v, env := vaultServer(t, devvault.Config{AgentKey: canaryKey})
	v.Put("a/BIG", strings.Repeat(canaryValue, 10000))
	v.Put("a/NUL", canaryValue+"\x00")
	v.Put("a/JSON", `{"k":{"`+"inner"+`":"`+canaryValue+`"}}`)
	v.Put("a/TEXT", canaryValue+" is not base64")
	v.Put("a/B64", base64.StdEncoding.EncodeToString([]byte(canaryValue+"\x00")))
	mapping := filepath.Join(t.TempDir(), "m.env")
	lines := "BIG=a/BIG\nNUL=a/NUL\nJSON=a/JSON?field=k\nTEXT=a/TEXT?decode=base64\nNOFIELD=a/TEXT?field=x\nB64=a/B64?decode=base64\n"
	if err := os.WriteFile(mapping, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"true"}, {"-v", "true"}, {"-v", "--log-format=json", "true"}, {"--check"}} {
		status, stdout, stderr := assExec(t, append(env, "ASS_MAPPING="+mapping), args...)
		if status != 65 || strings.Contains(stdout+stderr, canaryValue) || strings.Contains(stdout+stderr, canaryKey) {
			t.Errorf("%q: got status %d and %s%s", args, status, stdout, stderr)
		}
		if !strings.Contains(stderr, "BIG: the value is too large for a variable: 210000 bytes, where 131067 fit") {
			t.Errorf("got %s", stderr)
		}
	}
}
