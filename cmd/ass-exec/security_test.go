package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testSources is the text of all test files.
func testSources(t *testing.T) string {
	t.Helper()
	var tests strings.Builder
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
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
	return tests.String()
}

// The threat model and the README name, for each promise, a test that is there.
func TestPromisesNameTestsThatExist(t *testing.T) {
	tests := testSources(t)
	for file, least := range map[string]int{"SECURITY.md": 20, "README.md": 5} {
		text := readText(t, file)
		named := regexp.MustCompile("`(Test|Fuzz)[A-Za-z0-9]+`").FindAllString(text, -1)
		if len(named) < least {
			t.Errorf("%s: got only %d tests named", file, len(named))
		}
		for _, name := range named {
			if !strings.Contains(tests, "func "+strings.Trim(name, "`")+"(") {
				t.Errorf("%s: %s does not exist", file, name)
			}
		}
		for _, script := range regexp.MustCompile("`testdata/script/[a-z]+.txtar`").FindAllString(text, -1) {
			if _, err := os.Stat(strings.Trim(script, "`")); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}
