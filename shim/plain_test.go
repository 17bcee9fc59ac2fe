package shim

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestPlainPathIsToldFromOtherText(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        bool
	}{
		{"X", "production/a/B", true},
		{"X", "production/API_KEY", true},
		{"X", "production/a/B?optional", true},
		{"TOKEN", "production/TOKEN", true},
		{"X", `"ass://production/a/B"`, true},
		{"X", "'ass://production/a/B'", true},
		{"X", " ass://production/a/B", true},
		{"X", "ASS://production/a/B", true},
		{"X", "see ass://production/a/B", false},
		{"X", "ass://production/a/B", false},
		{"TZ", "Europe/Berlin", false},
		{"TZ", "Etc/UTC", false},
		{"TZ", "America/Argentina/Ushuaia", false},
		{"ACCEPT", "text/html", false},
		{"PWD", "/production/a/B", false},
		{"IMAGE", "registry/team/app:1.0", false},
		{"ASS_NAMESPACE", "production/a/B", false},
		{"LC_X", "production/a/B", false},
		{"X", "", false},
	} {
		if got := looksLikePath(tt.name, tt.value); got != tt.want {
			t.Errorf("%s=%s: got %t, want %t", tt.name, tt.value, got, tt.want)
		}
	}
}

func TestPlainPathsAreWarnedOfOnce(t *testing.T) {
	environ := []string{"A=production/a/A", "MAPPED=production/a/B", "KEPT=production/a/C", "A=production/a/D", "Z=production/a/Z", "TZ=Europe/Berlin", "PATH=/bin"}
	cfg := configFor(t, "MAPPED=a/B\n", environ, "--lint")
	var log strings.Builder
	if err := Lint(func() context.Context { t.Error("the network is used"); return t.Context() }, cfg, logTo(&log, slog.LevelWarn)); err != nil {
		t.Fatal(err)
	}
	const want = `level=WARN msg="what looks like a secret's path is passed on as text in A, KEPT, Z: an inherited reference must begin with ass://"` + "\n"
	if log.String() != want {
		t.Errorf("got\n%swant\n%s", &log, want)
	}
}

func TestMessageListsTenNames(t *testing.T) {
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprint("V", i))
	}
	const ten = "V0, V1, V2, V3, V4, V5, V6, V7, V8, V9"
	for n, want := range map[int]string{0: "", 1: "V0", 10: ten, 11: ten + " and 1 more", 12: ten + " and 2 more"} {
		if got := listNames(names[:n]); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
