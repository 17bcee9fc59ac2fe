//go:build container

package containers

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

func TestSystemdKnowsEverySettingOfTheUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("SKIPPED, NOT TESTED:", err)
	}
	unit, err := os.ReadFile("../../systemd/example.service")
	if err != nil {
		t.Fatal(err)
	}
	// Its programs are not on this machine.
	unit = regexp.MustCompile(`/usr/local/bin/[\w-]+`).ReplaceAll(unit, []byte("/bin/true"))
	verify := func(unit []byte) string {
		file := filepath.Join(t.TempDir(), "example.service")
		if err := os.WriteFile(file, unit, 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("systemd-analyze", "verify", file).CombinedOutput()
		if err != nil {
			return string(out) + err.Error()
		}
		return string(out)
	}
	if got := verify(unit); got != "" {
		t.Errorf("got %s", got)
	}
	if got := verify(regexp.MustCompile("LoadCredential=").ReplaceAll(unit, []byte("LoadCredentials="))); got == "" {
		t.Error("a misspelt setting is not found")
	}
}
