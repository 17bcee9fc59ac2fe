package shim

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/shim/process"
	"github.com/agent-secret-store/ass-exec/vault"
)

// The kernel takes 128 KiB of NAME=value and its NUL.
func TestOneByteMoreThanAVariableHoldsIsRefused(t *testing.T) {
	const fit = 128<<10 - len("VAR=") - 1
	for _, tt := range []struct {
		ref  string
		size int
		want int
	}{
		{"a/B", fit, 0},
		{"a/B", fit + 1, 65},
		{"a/B?as=file", fit + 1, 0},
		{"${ass://a/B}x", fit - 1, 0},
		{"${ass://a/B}x", fit, 65},
	} {
		value, err := mapping.ParseValue(tt.ref)
		if err != nil {
			t.Fatal(err)
		}
		results := map[vault.Ref]vault.Result{"a/B": {Value: vault.NewSecret(strings.Repeat("s", tt.size)), Version: 1}}
		got := resolve([]mapping.Binding{{Name: "VAR", Value: value, Origin: "m:1"}}, results)
		if status := exit.Status(got[0].errs.OrNil()); status != tt.want || len(got) != 1 {
			t.Errorf("%s, %d bytes: got %d, %v; want %d", tt.ref, tt.size, status, got[0].errs, tt.want)
		}
	}
}

// The kernel counts every string with its NUL and its pointer, and the path of
// the program once more.
func TestOneByteMoreThanTheKernelTakesIsRefused(t *testing.T) {
	p := plan{cfg: Config{Argv: []string{"sh", "-c", "true"}, Environ: []string{"A=1", "ASS_AGENT_KEY=" + strings.Repeat("k", 100)}}, path: "/bin/sh"}
	left := process.ArgLimit() - len("/bin/sh.") - len("sh.-c.true.") - 3*8 - len("A=1.") - 8
	var resolutions []resolution
	for i := 0; left > 0; i++ {
		name := fmt.Sprintf("V%03d", i)
		overhead := len(name) + len("=.") + 8
		size := min(100_000, left-overhead)
		if rest := left - overhead - size; rest > 0 && rest < 100 {
			size -= 100 // for a last one
		}
		resolutions = append(resolutions, resolution{Binding: mapping.Binding{Name: name, Value: mapping.Template{Parts: []mapping.Part{{}}}}, value: strings.Repeat("x", size)})
		left -= overhead + size
	}
	if _, err := build(p, resolutions); err != nil {
		t.Errorf("got %v", err)
	}
	resolutions[0].value += "x"
	if _, err := build(p, resolutions); exit.Status(err) != 65 {
		t.Errorf("one byte more: got %v", err)
	}
}

func TestOneByteMoreThanAFileMayHaveIsRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(size int, text string) {
		if err := os.WriteFile("f", []byte(text+strings.Repeat("\n", size-len(text))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(1<<20, "A=a/B")
	cfg := Config{MappingFile: "f"}
	if bindings, _, problems := readMapping(cfg, newBudget(0, nil)); len(bindings) != 1 || len(problems) > 0 {
		t.Errorf("got %v, %v", bindings, problems)
	}
	write(1<<20+1, "A=a/B")
	if _, _, problems := readMapping(cfg, newBudget(0, nil)); problems.OrNil() == nil || problems[0].Msg != "mapping: read f: larger than 1048576 bytes" {
		t.Errorf("got %v", problems)
	}
	write(64<<10, "key")
	cfg = Config{KeyFile: "./f"}
	if key, err := agentKey(cfg, newBudget(0, nil)); err != nil || key.Reveal() != "key" {
		t.Errorf("got %v", err)
	}
	write(64<<10+1, "key")
	if _, err := agentKey(cfg, newBudget(0, nil)); err == nil || err.Msg != "ASS_AGENT_KEY_FILE ./f: larger than 65536 bytes" {
		t.Errorf("got %v", err)
	}
}
