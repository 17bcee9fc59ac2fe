package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/shim"
)

func written(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// shell runs a program, and returns the words that it prints.
func shell(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip("needs " + name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(cmd.Environ(), "PATH=/usr/bin:/bin")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

func TestManualPagesAreWithoutWarnings(t *testing.T) {
	dir := written(t)
	for _, page := range []string{"ass-exec.1", "ass.env.5"} {
		if got := shell(t, "mandoc", "-T", "lint", "-W", "warning", filepath.Join(dir, page)); got != "" {
			t.Error(got)
		}
	}
	page := shell(t, "mandoc", "-T", "ascii", filepath.Join(dir, "ass-exec.1"))
	page = regexp.MustCompile(`.\x08`).ReplaceAllString(page, "") // bold
	for _, doc := range shim.Docs() {
		if want := "--" + doc.Flag; doc.Flag != "" && !strings.Contains(page, want) {
			t.Errorf("no %s in the page", want)
		}
		if !strings.Contains(page, doc.Env) {
			t.Errorf("no %s in the page", doc.Env)
		}
	}
}

func TestBashCompletes(t *testing.T) {
	file := filepath.Join(written(t), "ass-exec")
	for words, want := range map[string]string{
		"ass-exec --to":                       "--token-ttl",
		"ass-exec --init --ma":                "--mapping --mask",
		"ass-exec --init = group --ma":        "--mapping --mask",
		"ass-exec --mapping /etc/passw":       "/etc/passwd /etc/passwd-",
		"ass-exec --mapping = /etc/hostnam":   "/etc/hostname",
		"ass-exec --timeout ":                 "",
		"ass-exec mkfif":                      "mkfifo",
		"ass-exec --mapping x -- mkfif":       "mkfifo",
		"ass-exec -- cat --to":                "",
		"ass-exec --mask cat /etc/hostnam":    "/etc/hostname",
		"ass-exec --mapping=x cat /etc/hostn": "/etc/hostname",
	} {
		got := shell(t, "bash", "-c", `. "$0"; IFS=" " read -ra COMP_WORDS <<<"$1"
			[[ $1 == *" " ]] && COMP_WORDS+=("")
			COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _ass_exec; printf "%s\n" "${COMPREPLY[@]}" | sort -u`, file, words)
		if got != want {
			t.Errorf("%q: got %q, want %q", words, got, want)
		}
	}
}

// In a terminal, with the tab key.
func TestZshCompletes(t *testing.T) {
	dir := written(t)
	for typed, want := range map[string]string{
		"ass-exec --tok":                   "--token-ttl",
		"ass-exec --init mkfif":            "mkfifo",
		"ass-exec --mapping=/etc/hostnam":  "/etc/hostname",
		"ass-exec --mask cat /etc/hostnam": "/etc/hostname",
	} {
		got := shell(t, "zsh", "-fc", `zmodload zsh/zpty
			zpty z zsh -fi
			zpty -w z "PS1=; fpath=($1 \$fpath); autoload -U compinit; compinit -u -D; echo rea''dy"
			zpty -r -m z x "*ready*"
			zpty -w -n z "$2"$'\t'
			zpty -r -m z x "*$3*" && print -r -- found
			zpty -d z`, "zsh", dir, typed, want)
		if !strings.HasSuffix(got, "found") {
			t.Errorf("%q: got %q, want %s", typed, got, want)
		}
	}
}

// With the file where fish looks for it, which it does for a command that is there.
func TestFishCompletes(t *testing.T) {
	dir, home := written(t), t.TempDir()
	if err := os.Symlink("/bin/true", filepath.Join(home, "ass-exec")); err != nil {
		t.Fatal(err)
	}
	for typed, want := range map[string]string{
		"ass-exec --to":                       "--token-ttl",
		"ass-exec --init --ma":                "--mapping --mask",
		"ass-exec --mapping /etc/hostnam":     "/etc/hostname",
		"ass-exec --mapping=/etc/hostnam":     "--mapping=/etc/hostname",
		"ass-exec --timeout ":                 "",
		"ass-exec --init mkfif":               "mkfifo",
		"ass-exec --mapping x mkfif":          "mkfifo",
		"ass-exec --mapping x -- mkfif":       "mkfifo",
		"ass-exec --mapping x -- ls --alm":    "--almost-all",
		"ass-exec ls --almo":                  "--almost-all",
		"ass-exec cat --tok":                  "",
		"ass-exec --mask cat /etc/hostnam":    "/etc/hostname",
		"ass-exec --mapping=x cat /etc/hostn": "/etc/hostname",
	} {
		got := shell(t, "fish", "--private", "-c", `set -x HOME $argv[1]; set -e XDG_CONFIG_HOME XDG_DATA_HOME
			set -p PATH $argv[1]; set -p fish_complete_path $argv[2]
			complete -C $argv[3] | string replace -r "\t.*" ""; true`, home, dir, typed)
		if got != want {
			t.Errorf("%q: got %q, want %q", typed, got, want)
		}
	}
}
