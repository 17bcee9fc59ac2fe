// Package pins looks at what workflows, Dockerfiles and manifests name by
// something that can be moved: a tag of an action, a tag of an image.
package pins

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../../.."

// actions are the commits of the releases that are used, each found so in the
// workflows of several repositories that have nothing to do with each other: a
// commit that exists nowhere looks like any other until the workflow runs.
var actions = map[string]string{
	"actions/attest-build-provenance v4.1.0": "a2bbfa25375fe432b6a289bc6b6cd05ecd0c4c32",
	"actions/checkout v5.0.0":                "08c6903cd8c0fde910a37f88322edcfb5dd907a8",
	"actions/setup-go v6.0.0":                "44694675825211faa026b3c33043df3e48a5fa00",
}

var uses = regexp.MustCompile(`(?m)^ *(?:- )?uses: +([^ @]+)@(\S+)(?: +# +(\S+))?`)

func TestActionsArePinnedToKnownCommits(t *testing.T) {
	used := map[string]bool{}
	for _, file := range files(t, ".github/workflows") {
		for _, m := range uses.FindAllStringSubmatch(read(t, file), -1) {
			release := m[1] + " " + m[3]
			used[release] = true
			if want := actions[release]; m[2] != want {
				t.Errorf("%s: %s: got commit %q, want %q", file, release, m[2], want)
			}
		}
	}
	for release := range actions {
		if !used[release] {
			t.Errorf("nothing uses %s any more", release)
		}
	}
}

// files are those below folders of the repository, by their names there.
func files(t *testing.T, folders ...string) (names []string) {
	t.Helper()
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				names = append(names, strings.TrimPrefix(path, root+"/"))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
