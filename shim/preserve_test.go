package shim

import "testing"

func TestPreserveEnvTakesASwitchOrNames(t *testing.T) {
	environ := []string{"A=1", "B=2", "EMPTY=", "REF=ass://a/B"}
	for _, tt := range []struct {
		args []string
		want string // of the variables, those that keep their value
	}{
		{nil, ""},
		{[]string{"--preserve-env"}, "AB"},
		{[]string{"--preserve-env=on"}, "AB"},
		{[]string{"--preserve-env=off"}, ""},
		{[]string{"--preserve-env=A"}, "A"},
		{[]string{"--preserve-env=B, C,EMPTY,REF"}, "B"},
		{[]string{"--preserve-env=A", "--preserve-env=B"}, "AB"},
		{[]string{"--preserve-env=A", "--preserve-env"}, "AB"},
		{[]string{"--preserve-env=A", "--preserve-env=false"}, ""},
	} {
		cfg, err := ParseConfig(append(tt.args, "true"), environ)
		got := ""
		for _, name := range []string{"A", "B", "EMPTY", "REF"} {
			if preserved(cfg)[name] {
				got += name
			}
		}
		if err != nil || got != tt.want {
			t.Errorf("%q: got %s, %v; want %s", tt.args, got, err, tt.want)
		}
	}
	cfg, err := ParseConfig([]string{"true"}, append(environ, "ASS_PRESERVE_ENV=B"))
	if err != nil || preserved(cfg)["A"] || !preserved(cfg)["B"] {
		t.Errorf("the variable: got %t, %t, %v", preserved(cfg)["A"], preserved(cfg)["B"], err)
	}
	_, err = ParseConfig([]string{"--preserve-env=A,", "true"}, nil)
	const want = "--preserve-env: must be true, false, or names of variables separated by commas"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
