package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// arrows are all the imports there may be between our packages. A new one is a
// decision, and so is a package.
var arrows = map[string]string{
	"cmd/ass-exec":            "shim shim/exit shim/mask shim/process shim/supervise vault",
	"cmd/ass-devvault":        "vault/devvault",
	"shim":                    "shim/exit shim/mapping shim/process vault",
	"shim/exit":               "",
	"shim/mapping":            "shim/exit vault",
	"shim/mask":               "",
	"shim/process":            "shim/exit",
	"shim/supervise":          "shim/process",
	"vault":                   "",
	"vault/devvault":          "", // nor anything else but the standard library
	"examples/internal/bench": "examples/internal/link vault vault/devvault",
	// what its manuals and completions are made of
	"examples/internal/packaging": "shim",
}

func TestEveryImportIsInTheTable(t *testing.T) {
	const module = "github.com/agent-secret-store/ass-exec/"
	unused := make(map[string]bool)
	for pkg, allowed := range arrows {
		for _, imported := range strings.Fields(allowed) {
			unused[pkg+" → "+imported] = true
		}
	}
	for _, goos := range []string{"linux", "darwin"} {
		list := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, module+"...")
		list.Env = append(list.Environ(), "GOOS="+goos)
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			pkg, imports, _ := strings.Cut(strings.TrimSpace(line), " ")
			pkg = strings.TrimPrefix(pkg, module)
			for _, imported := range strings.Fields(imports) {
				own, ours := strings.CutPrefix(imported, module)
				host, _, _ := strings.Cut(imported, "/")
				switch {
				case ours && !slices.Contains(strings.Fields(arrows[pkg]), own):
					t.Errorf("%s: %s → %s is not allowed", goos, pkg, own)
				case !ours && pkg == "vault/devvault" && strings.Contains(host, "."):
					t.Errorf("%s: %s → %s is not the standard library", goos, pkg, imported)
				}
				delete(unused, pkg+" → "+own)
			}
		}
	}
	for arrow := range unused {
		t.Errorf("%s is allowed, and not there", arrow)
	}
}
