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
	"actions/checkout v4.3.1":                "34e114876b0b11c390a56381ad16ebd13914f8d5",
	"actions/setup-go v6.0.0":                "44694675825211faa026b3c33043df3e48a5fa00",
	"actions/setup-node v4.4.0":              "49933ea5288caeca8642d1e84afbd3f7d6820020",
	"actions/setup-python v5.6.0":            "a26af69be951a213d495a4c3e4e4022e16d87065",
	"actions/upload-artifact v4.6.2":         "ea165f8d65b6e75b540449e92b4886f43607fa02",
	"actions/download-artifact v4.3.0":       "d3f86a106a0bac45b974a628896c90dbdf5c8093",
}

// unpinned is all that the examples and the workflows name by what can be
// moved, with the reason.
var unpinned = map[string]string{
	"agent-secret-store/ass-exec@v1":             released,
	"ghcr.io/agent-secret-store/ass-exec:v1":     released,
	"ghcr.io/agent-secret-store/ass-exec:v1.0.0": released,

	"node:22-alpine":                                  official,
	"golang:1.26-alpine":                              official,
	"postgres:18":                                     official,
	"public.ecr.aws/lambda/nodejs:22":                 official,
	"node:22":                                         official,
	"cimg/node:22.12":                                 official,
	"registry.example.com/example:1":                  yours,
	"registry.example.com/example:1.0.0":              yours,
	"europe-docker.pkg.dev/PROJECT/example/example:1": yours,
	"123456789012.dkr.ecr.eu-central-1.amazonaws.com/example:1": yours,
}

const (
	released = "ours: the digest and the commit are known once it is released, and stand in its notes"
	official = "gets its security updates under this tag: examples/README.md says how to pin it to the digest of the day"
	yours    = "stands for the reader's image"
)

var uses = regexp.MustCompile(`(?m)^ *(?:- )?uses: +([^ @]+)@(\S+)(?: +# +(\S+))?`)

func TestActionsArePinnedToKnownCommits(t *testing.T) {
	used := map[string]bool{}
	for _, file := range files(t, ".github/workflows", "examples/github-actions") {
		for _, m := range uses.FindAllStringSubmatch(read(t, file), -1) {
			if unpinned[m[1]+"@"+m[2]] != "" {
				continue
			}
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

// named is how files of each kind name an image, an action or an orb.
var named = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^(?:FROM(?: --platform=\S+)?|ARG \w+_IMAGE=) *(\S+)`),
	regexp.MustCompile(`COPY --from=(\S+)`),
	regexp.MustCompile(`(?mi)^[ -]*"?image"? *[:=] *"?([^\s"{}]+)`),
	regexp.MustCompile(`(?:reference: "|BUILDKIT: |SCANNER: )([^\s",]+)`),
	regexp.MustCompile(`(?m)^ *(?:- )?uses: +(\S+)`),
	regexp.MustCompile(`(?m): (circleci/\S+)`),
}

var pinned = regexp.MustCompile(`@sha256:[0-9a-f]{64}$|@[0-9a-f]{40}$|^circleci/\w+@\d+\.\d+\.\d+$`)

func TestWhatIsNotPinnedHasAReason(t *testing.T) {
	found := map[string]bool{}
	for _, file := range files(t, "examples", ".github", "Dockerfile", "action.yml") {
		if strings.HasPrefix(file, "examples/internal/") {
			continue
		}
		for _, kind := range named {
			for _, m := range kind.FindAllStringSubmatch(read(t, file), -1) {
				// Without one of these it is a stage, or built beside.
				if !strings.ContainsAny(m[1], "/:@") || strings.ContainsAny(m[1], "$%") || pinned.MatchString(m[1]) {
					continue
				}
				found[m[1]] = true
				if unpinned[m[1]] == "" {
					t.Errorf("%s: %s is not pinned, and nothing says why", file, m[1])
				}
			}
		}
	}
	for name := range unpinned {
		if !found[name] {
			t.Errorf("nothing names %s any more", name)
		}
	}
}

// A sum, digest or commit that somebody made up would be taken for one.
func TestNoSumIsMadeUp(t *testing.T) {
	madeUp := regexp.MustCompile(`\b(?:0{40}|0{64}|(?:0123456789abcdef){4})\b`)
	for _, file := range files(t, "examples", ".github", "README.md", "SECURITY.md", "Dockerfile", "action.yml") {
		if sum := madeUp.FindString(read(t, file)); sum != "" {
			t.Errorf("%s: %s is the sum of nothing", file, sum)
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
