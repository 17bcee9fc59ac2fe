package main

import (
	"errors"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// section is what the README has under a heading.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(readText(t, "README.md"), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("no section %s", heading)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// local runs a script with the secrets of examples/local.
func local(t *testing.T, mapping string, environ []string, script string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "ass-devvault"), "--seed", "../../examples/local/vault.json", "--",
		filepath.Join(bin, "ass-exec"), "--mapping", mapping, "--", "sh", "-c", script)
	cmd.Env = append(environ, "PATH="+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestMappingOfTheReadmeWorks(t *testing.T) {
	m := regexp.MustCompile("(?s)```dotenv\n(.*?)```").FindStringSubmatch(section(t, "The mapping"))
	if m == nil {
		t.Fatal("no example")
	}
	dir := t.TempDir()
	text, err := os.ReadFile("../../examples/local/nginx.conf.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"ass.env": m[1], "nginx.conf.tmpl": string(text)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := local(t, filepath.Join(dir, "ass.env"), nil, `echo "$GEMINI_API_KEY $DATABASE_URL $PGPASSWORD ${SENTRY_DSN-unset}"; head -n 1 "$TLS_KEY_FILE"; grep Bearer "$NGINX_CONF"`)
	const want = `AIza-development-only postgres://app:pg-development-only@db:5432/app pg-json-development-only unset
-----BEGIN DEVELOPMENT KEY-----
    proxy_set_header Authorization "Bearer AIza-development-only";
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestInheritedReferenceOfTheReadmeWorks(t *testing.T) {
	m := regexp.MustCompile("`(DATABASE_URL=ass://[^`]*)`").FindStringSubmatch(section(t, "The mapping"))
	if m == nil {
		t.Fatal("no example")
	}
	const want = "postgres://app:database-development-only@db:5432/app?sslmode=require&x=a%20b\n"
	if got := local(t, os.DevNull, m[1:], `echo "$DATABASE_URL"`); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The example has every option of the README's table, and every line works.
func TestExampleShowsEveryForm(t *testing.T) {
	const file = "../../examples/local/ass.env"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	options := regexp.MustCompile("(?m)^\\| (`.*`) \\|").FindAllStringSubmatch(section(t, "The mapping"), -1)
	if len(options) < 7 {
		t.Fatalf("got %d rows of options", len(options))
	}
	for _, row := range options {
		for _, option := range regexp.MustCompile("`([a-z]+(=[a-z0-9]+|=/)?)").FindAllStringSubmatch(row[1], -1) {
			if !strings.Contains(string(text), option[1]) {
				t.Errorf("%s has no %s", file, option[1])
			}
		}
	}
	got := local(t, file, nil, `echo "$GEMINI_API_KEY
$STRIPE_SECRET_KEY
$SLACK_BOT_TOKEN
$DATABASE_URL
$REPLICA_URL
$APP_CONFIG
$AUTHORIZATION
$PGPASSWORD
$PGHOST
${SENTRY_DSN-unset}
$LOG_LEVEL"
head -n 1 "$TLS_KEY_FILE"
od -An -tx1 "$KEYSTORE_FILE"
stat -Lc %a "$KEYSTORE_FILE" /proc/$$/fd/70
grep Bearer "$NGINX_CONF"`)
	const want = `AIza-development-only
sk_dev_development-only
xoxb-development-only
postgres://app:pg-development-only@db:5432/app
postgres://app:pg-development-only@replica:5432/app
{"key": "AIza-development-only", "syntax": "${ass://"}
Basic c2tfZGV2X2RldmVsb3BtZW50LW9ubHk=
pg-json-development-only
db1
unset
info
-----BEGIN DEVELOPMENT KEY-----
 00 01 02 03 04 05 06 07
444
444
    proxy_set_header Authorization "Bearer AIza-development-only";
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// The error that the README begins with, from a mapping elsewhere.
func TestFirstErrorOfTheReadmeIsPrinted(t *testing.T) {
	m := regexp.MustCompile("(?s)```\n(ass-exec: error: .*?)```").FindStringSubmatch(readText(t, "README.md"))
	if m == nil {
		t.Fatal("no example")
	}
	mapping := filepath.Join(t.TempDir(), "ass.env")
	if err := os.WriteFile(mapping, []byte("\n\nDATABASE_URL=production/database/DATABASE_ULR\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, env := vaultServer(t, devvault.Config{})
	status, _, got := assExec(t, append(env, "ASS_MAPPING="+mapping), "true")
	if want := strings.ReplaceAll(m[1], "/etc/ass-exec/ass.env", mapping); status != 66 || got != want {
		t.Errorf("got status %d and\n%swant 66 and\n%s", status, got, want)
	}
}

// The picture of the demo shows what the demo prints, but for process ids.
func TestPictureShowsTheDemo(t *testing.T) {
	root := t.TempDir()
	if err := errors.Join(os.CopyFS(filepath.Join(root, "examples"), os.DirFS("../../examples")), os.Symlink(bin, filepath.Join(root, "bin"))); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(root, "examples/local/demo.sh"))
	cmd.Env = append(os.Environ(), "CI=", "ASS_RESOLVE=all")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	picture := regexp.MustCompile("<text[^>]*>.*?</text>").FindAllString(readText(t, "examples/internal/demo/demo.svg"), -1)
	drawn := html.UnescapeString(regexp.MustCompile("<[^>]*>").ReplaceAllString(strings.Join(picture, "\n"), "")) + "\n"
	anyPID := func(s string) string {
		return regexp.MustCompile(`pid \d+|TLS_KEY_FILE: \d+`).ReplaceAllString(s, "…")
	}
	if got, want := anyPID(drawn), anyPID(string(out)); got != want {
		t.Errorf("got\n%swant\n%srun go run ./examples/internal/demo examples/internal/demo/demo.svg", got, want)
	}
}
