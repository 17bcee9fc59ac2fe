package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// released makes a folder of a release, with programs that know their version.
func released(t *testing.T) string {
	t.Helper()
	dir, sums := t.TempDir(), ""
	share := exec.Command("tar", "-C", written(t), "-czf", filepath.Join(dir, "ass-exec-share.tar.gz"), ".")
	if out, err := share.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"ass-exec-darwin-amd64", "ass-exec-darwin-arm64", "ass-exec-linux-amd64", "ass-exec-linux-arm64", "ass-exec-share.tar.gz"} {
		file := filepath.Join(dir, name)
		if filepath.Ext(name) == "" {
			if err := os.WriteFile(file, []byte("#!/bin/sh\necho ass-exec v1.2.3 # "+name+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sums += fmt.Sprintf("%x  %s\n", sha256.Sum256(b), name)
	}
	if err := os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(sums), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestManagersGetTheSumsOfTheRelease(t *testing.T) {
	dir := released(t)
	if err := writeManagers(dir, "v1.2.3"); err != nil {
		t.Fatal(err)
	}
	// Its sum is another with each version of tar and gzip.
	share, err := os.ReadFile(filepath.Join(dir, "ass-exec-share.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ass-exec.rb", "mise.toml"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.ReplaceAll(string(want), "SUM OF SHARE", fmt.Sprintf("%x", sha256.Sum256(share))); string(got) != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestNoEntryWithoutASum(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "SHA256SUMS"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	err := writeManagers(dir, "v1.2.3")
	if err == nil || !strings.Contains(err.Error(), "SHA256SUMS has no sum of ass-exec-darwin-arm64") {
		t.Errorf("got %v, want an error that names the file", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.*")); len(left) > 0 {
		t.Errorf("%s was written", left)
	}
}

func TestFormulaInstalls(t *testing.T) {
	dir, prefix := released(t), t.TempDir()
	if err := writeManagers(dir, "v1.2.3"); err != nil {
		t.Fatal(err)
	}
	shell(t, "ruby", "-w", "testdata/homebrew.rb", filepath.Join(dir, "ass-exec.rb"), dir, prefix)
	var got []string
	err := filepath.WalkDir(prefix, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			got = append(got, strings.TrimPrefix(path, prefix+"/"))
		}
		return err
	})
	want := []string{
		"bin/ass-exec", "etc/bash_completion.d/ass-exec", "share/fish/vendor_completions.d/ass-exec.fish",
		"share/man/man1/ass-exec.1", "share/man/man5/ass.env.5", "share/zsh/site-functions/_ass-exec",
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	info, err := os.Stat(filepath.Join(prefix, "bin/ass-exec"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o755 {
		t.Errorf("got mode %v, want 0755", info.Mode())
	}
	if err := os.WriteFile(filepath.Join(dir, "ass-exec-share.tar.gz"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ruby", "testdata/homebrew.rb", filepath.Join(dir, "ass-exec.rb"), dir, t.TempDir()).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "ass-exec-share.tar.gz: another SHA-256") {
		t.Errorf("got %v and %q, want that another file is refused", err, out)
	}
}
