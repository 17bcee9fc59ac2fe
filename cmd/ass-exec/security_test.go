package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The threat model names, for each promise, a test that is there.
func TestThreatModelNamesTestsThatExist(t *testing.T) {
	model, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != "../.." {
			return filepath.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		tests.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test|Fuzz)[A-Za-z0-9]+`").FindAllString(string(model), -1)
	if len(named) < 20 {
		t.Errorf("got only %d tests named", len(named))
	}
	for _, name := range named {
		if !strings.Contains(tests.String(), "func "+strings.Trim(name, "`")+"(") {
			t.Errorf("%s does not exist", name)
		}
	}
	for _, script := range regexp.MustCompile("`testdata/script/[a-z]+.txtar`").FindAllString(string(model), -1) {
		if _, err := os.Stat(strings.Trim(script, "`")); err != nil {
			t.Error(err)
		}
	}
}
