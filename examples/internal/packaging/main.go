// Packaging writes what the packages hold beside the binary into a folder: the
// manual pages and the completions for bash, zsh and fish, made of the settings
// that ass-exec knows. With a version it writes what Homebrew and mise want to know
// of a release into the folder that has it.
//
//	packaging FOLDER [VERSION]
package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/agent-secret-store/ass-exec/shim"
)

//go:embed files.tmpl
var source string

//go:embed ass.env.5
var mappingPage []byte

func main() {
	var err error
	switch len(os.Args) {
	case 2:
		err = write(os.Args[1])
	case 3:
		err = writeManagers(os.Args[1], os.Args[2])
	default:
		fmt.Fprintln(os.Stderr, "usage: packaging FOLDER [VERSION]")
		os.Exit(64)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "packaging:", err)
		os.Exit(1)
	}
}

// The names are those under which the shells look for a command's completion.
var files = map[string]string{"ass-exec.1": "page", "ass-exec": "bash", "_ass-exec": "zsh", "ass-exec.fish": "fish"}

func write(dir string) error {
	t, err := template.New("").Funcs(template.FuncMap{
		"roff":   roff,
		"quote":  func(s string) string { return strings.ReplaceAll(s, "'", `'\''`) },
		"zsh":    strings.NewReplacer("'", `'\''`, "[", `\[`, "]", `\]`, ":", `\:`).Replace,
		"isFile": func(arg string) bool { return arg == "FILE" || arg == "PATH" },
	}).Parse(source)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for name, part := range files {
		var b strings.Builder
		if err := t.ExecuteTemplate(&b, part, shim.Docs()); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "ass.env.5"), mappingPage, 0o644)
}

// roff is text that roff takes for nothing else. A dot or an apostrophe that
// begins a line would be a request.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
