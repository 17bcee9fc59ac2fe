package shim

import (
	"os"
	"testing"
)

func TestTemplateFileIsReadBesideItsMapping(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("conf", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"conf/m": "A=@there\nB=@gone\n", "conf/there": "x ${ass://a/B}\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bindings, _, problems := readMapping(Config{MappingFile: "conf/m"}, newBudget(0, nil))
	if len(bindings) == 0 || len(distinctRefs(bindings)) != 1 || distinctRefs(bindings)[0] != "a/B" {
		t.Errorf("got %v", bindings)
	}
	const want = "conf/m:2: B: template file: open conf/gone: no such file or directory"
	if len(problems) != 1 || problems[0].Msg != want {
		t.Errorf("got %v, want %s", problems, want)
	}
}

// What looks like one is a template file all the same, if there is a file.
func TestCredentialInThePlaceOfATemplateFileIsNotPrinted(t *testing.T) {
	t.Chdir(t.TempDir())
	const token, odd = "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ"
	for name, text := range map[string]string{
		"m": "A=@" + token + "\nB='@conf/" + token + "?mode=0444'\nC=@" + odd + "\n", odd: "x ${ass://a/B}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bindings, _, problems := readMapping(Config{MappingFile: "m"}, newBudget(0, nil))
	const want = "m:1: A: template file: no such file or directory\nm:2: B: template file: no such file or directory"
	if got := problems.OrNil(); got == nil || got.Error() != want || len(distinctRefs(bindings)) != 1 {
		t.Errorf("got %v and %v, want %s", got, bindings, want)
	}
}
