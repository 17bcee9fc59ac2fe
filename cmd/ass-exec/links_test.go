package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A link within the repository leads to a file, or to a heading of one.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]*))?\)`)
	for _, name := range append(guides(t), "ARCHITECTURE.md", "CHANGELOG.md", ".ci/mutants/MUTANTS.md", "examples/internal/bench/bench.md", "examples/internal/world/inits.md") {
		for _, m := range link.FindAllStringSubmatch(readText(t, name), -1) {
			path, heading := m[1], m[2]
			if strings.Contains(path, "://") {
				continue
			}
			target := name
			if path != "" {
				target = filepath.Join(filepath.Dir(name), path)
			}
			if _, err := os.Stat(filepath.Join("../..", target)); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if heading != "" && !headings(readText(t, target))[heading] {
				t.Errorf("%s: %s has no heading for #%s", name, target, heading)
			}
		}
	}
}

// headings are those of a text, as GitHub makes anchors of them.
func headings(text string) map[string]bool {
	anchors := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		plain := regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		anchors[strings.ReplaceAll(plain, " ", "-")] = true
	}
	return anchors
}
