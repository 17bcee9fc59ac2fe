package shim

import "testing"

func TestPlainPathIsToldFromOtherText(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        bool
	}{
		{"X", "production/a/B", true},
		{"X", "production/API_KEY", true},
		{"X", "production/a/B?optional", true},
		{"TOKEN", "production/TOKEN", true},
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
