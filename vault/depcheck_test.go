package vault

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/agent-secret-store/ass-exec"

// The packages depend on each other in one direction only.
func TestNothingPointsBack(t *testing.T) {
	for pkg, allowed := range map[string]string{
		"vault":            "",
		"vault/devvault":   "",
		"shim/mask":        "",
		"shim":             "vault shim/exit shim/mapping shim/process",
		"cmd/ass-devvault": "vault/devvault",
	} {
		out, err := exec.Command("go", "list", "-deps", module+"/"+pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, dep := range strings.Fields(string(out)) {
			own, ours := strings.CutPrefix(dep, module+"/")
			if ours && own != pkg && !strings.Contains(" "+allowed+" ", " "+own+" ") {
				t.Errorf("%s imports %s", pkg, own)
			}
			if pkg == "vault/devvault" && !ours && strings.Contains(strings.SplitN(dep, "/", 2)[0], ".") {
				t.Errorf("%s imports %s, which is not of the standard library", pkg, dep)
			}
		}
	}
}
