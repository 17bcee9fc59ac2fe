package process

import "testing"

func TestFirstOfTwoVariablesIsFound(t *testing.T) {
	environ := []string{"=C:=x", "BARE", "A=1=2", "A=second", "EMPTY=", "AB=3"}
	for _, tt := range []struct {
		name, want string
		ok         bool
	}{
		{"A", "1=2", true},
		{"EMPTY", "", true},
		{"AB", "3", true},
		{"B", "", false},
		{"BARE", "", false},
		{"a", "", false},
		{"", "", false}, // "=C:=x" has no name
	} {
		if got, ok := LookupEnv(environ, tt.name); got != tt.want || ok != tt.ok {
			t.Errorf("%q: got %q, %v; want %q, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}
