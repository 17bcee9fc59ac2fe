package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed managers.tmpl
var managers string

// release is what the entries for package managers are made of.
type release struct {
	Version string // such as v1.0.0
	sums    map[string]string
}

// writeManagers writes Homebrew's formula and mise's entry of a release into its
// folder, with the sums that stand there in SHA256SUMS.
func writeManagers(dir, version string) error {
	sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		return err
	}
	r := release{version, map[string]string{}}
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		r.sums[name] = sum
	}
	t, err := template.New("").Parse(managers)
	if err != nil {
		return err
	}
	for _, name := range []string{"ass-exec.rb", "mise.toml"} {
		var b bytes.Buffer
		if err := t.ExecuteTemplate(&b, name, r); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Number is the version as package managers count it.
func (r release) Number() string { return strings.TrimPrefix(r.Version, "v") }

// URL is where a file of the release is.
func (r release) URL(name string) string {
	return "https://github.com/agent-secret-store/ass-exec/releases/download/" + r.Version + "/" + name
}

// Mise are the files of mise's platforms.
func (release) Mise() map[string]string {
	return map[string]string{
		"linux-x64": "ass-exec-linux-amd64", "linux-arm64": "ass-exec-linux-arm64",
		"macos-x64": "ass-exec-darwin-amd64", "macos-arm64": "ass-exec-darwin-arm64",
	}
}

// Sum is the SHA-256 of a file, without which there is no entry.
func (r release) Sum(name string) (string, error) {
	sum := r.sums[name]
	if len(sum) != 64 {
		return "", fmt.Errorf("SHA256SUMS has no sum of %s", name)
	}
	return sum, nil
}
