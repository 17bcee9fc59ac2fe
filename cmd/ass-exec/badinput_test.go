package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const (
	hintLine    = `a line is NAME=namespace/KEY or NAME="text ${ass://namespace/KEY}", like DATABASE_URL=production/database/DATABASE_URL`
	hintText    = "in a template file ${ass://namespace/KEY} stands for a secret, $${ass:// for a literal ${ass://, and everything else for itself"
	hintSpelled = "take encode=url, unless the vault holds the secret percent-encoded already: then encode=none"
	hintNumber  = "take another number from 64 to 255, below the limit of open files (ulimit -n)"
	hintRead    = "the name after @ is relative to the mapping's folder; the file must be readable by the user the container runs as"
	hintValue   = "name the path of a secret, like production/app/KEY; a credential that stood in a file for others to read must be replaced"
	spelled     = "a secret in the user or password of a URL must say how it is spelled there: "
	noPath      = "a path has a namespace and a key, like production/app/DEBUG"
)

// badInput is a mapping, the text of its template file f, and what --lint says.
var badInput = []struct{ mapping, text, msg, hint string }{
	{"A=debug", "", `m:1: A: "debug" is not a secret path; ` + noPath, hintLine},
	{"A", "", "m:1: the line has no =", hintLine},
	{"A=", "", "m:1: A has no value", hintLine},
	{"A=a/B\nA=a/C", "", "m:2: A is already mapped on line 1", hintLine},
	{"A=a/B#c", "", "m:1: A: a quote or a # inside a word needs quotes around the whole value: NAME='value'", hintLine},
	{"A=`a/B`", "", "m:1: A: a backtick is a quote to other dotenv readers; a value that holds one needs quotes around the whole of it: NAME='value'", hintLine},
	{"A=production/AKIAIOSFODNN7EXAMPLE", "", "m:1: A: this looks like a value; plain values belong in the environment, not in the mapping", hintValue},
	{"A=a/B?optinal", "", `m:1: A: unknown option "optinal"; did you mean optional?`, hintLine},
	{"A=a/B?Optional=1", "", "m:1: A: unknown option; did you mean optional?", hintLine},
	{"A=a/B?field", "", "m:1: A: option field needs a name or a JSON pointer (of 256 steps and 4 KiB at most), as in field=password or field=/db/password", hintLine},
	{"A=a/B?encode=hex", "", "m:1: A: option encode supports url, json, base64 and none, as in encode=url", hintLine},
	{"A=a/B?fd=70", "", "m:1: A: option fd requires as=file", hintLine},
	{"A=a/B?as=file&fd=3", "", "m:1: A: option fd needs a number from 64 to 255, as in fd=70", hintLine},
	{"A=a/B?as=file&fd=070", "", "m:1: A: option fd needs a number from 64 to 255, as in fd=70", hintLine},
	{"A=a/B?as=file&fd=70\nB=a/B?as=file&fd=70", "", "m:2: B: fd=70 is already used by A (m:1)", hintNumber},
	{"A='x ${ass://a/B?as=file}'", "", "m:1: A: as=file is not allowed in a template: the file holds only the secret", hintLine},
	{"A='x://u:${ass://a/B}@h'", "", "m:1: A: " + spelled + "${ass://a/B?encode=url} or ${ass://a/B?encode=none}", hintSpelled},
	{"A='$${ass://a/B}'", "", "m:1: A: it holds no reference: $${ass:// stands for a literal ${ass://", hintLine},
	{"A=@", "", "m:1: A: @ stands before the name of a template file, as in NAME=@nginx.conf.tmpl", hintLine},
	{"A=@no", "", "m:1: A: template file: open no: no such file or directory", hintRead},
	{"A=@f?optional", "", "m:1: A: a template file takes only the options mode and fd, as in @nginx.conf.tmpl?fd=70; the others belong to the references in it", hintLine},
	{"A=@f", "no reference", "m:1: A: f holds no reference", hintText},
	{"A=@f", "\n${ass://a/B", "f:2: A: a ${ass:// is not closed by }", hintText},
	{"A=@f", "x\n${ass://a}", "f:2: A: a ${ass://…} in it holds no secret path; " + noPath, hintText},
	{"A=@f", "${ass://a/B?optional}", "f:1: A: optional is not allowed in a template file: use default=TEXT for what replaces a missing secret", hintText},
	{"A=@f", "${ass://a/B?as=file}", "f:1: A: as=file is not allowed in a template: the file holds only the secret", hintText},
	{"A=@f", "${ass://a/B?mode=0444}", "f:1: A: option mode requires as=file", hintText},
	{"A=@f", "${ass://a/B}\n\n\xff", "f:3: A: the text is not UTF-8", hintText},
	{"A=@f", "${ass://a/ghp_0123456789abcdefABCDEF}", "f:1: A: this looks like a value; plain values belong in the environment, not in the mapping", hintValue},
}

func TestEveryBadInputIsToldWithItsPlaceAndAHint(t *testing.T) {
	for _, tt := range badInput {
		dir := t.TempDir()
		for name, content := range map[string]string{"m": tt.mapping, "f": tt.text} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(filepath.Join(bin, "ass-exec"), "--lint", "--mapping", "m")
		cmd.Dir, cmd.Env = dir, []string{}
		out, _ := cmd.CombinedOutput()
		want := "ass-exec: error: " + tt.msg + "\nass-exec: hint: " + tt.hint + "\n"
		if status := cmd.ProcessState.ExitCode(); status != 78 || string(out) != want {
			t.Errorf("%q, %q: got status %d\n%swant\n%s", tt.mapping, tt.text, status, out, want)
		}
	}
}
