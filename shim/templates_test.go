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
