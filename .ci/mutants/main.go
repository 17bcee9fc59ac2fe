// Mutants says which mistakes in the code no test would notice.
//
//	go run ./.ci/mutants                  all of it: hours
//	go run ./.ci/mutants process mask     these packages
//	go run ./.ci/mutants shim/watch.go    this file
//	go run ./.ci/mutants by-hand          what by-hand lists
//	go run ./.ci/mutants by-hand key.go   of which only those with this word
//
// Gremlins' own figure leaves out what no test reaches and what ran out of
// time. The one here is killed / all.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const gremlins = "github.com/go-gremlins/gremlins/cmd/gremlins@v0.6.0"

// targets is how many of a hundred mutants have to be killed, smallest package
// first.
var targets = []struct {
	name, dir string
	percent   int
}{
	{"exit", "shim/exit", 85},
	{"process", "shim/process", 90},
	{"mapping", "shim/mapping", 90},
	{"mask", "shim/mask", 90},
	{"vault", "vault", 85},
	{"shim", "shim", 85},
	{"supervise", "shim/supervise", 85},
}

func main() {
	ok, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

func run(args []string) (ok bool, err error) {
	// Tools and what they make stay out of it: gremlins copies the whole root.
	root, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(root)
	if err := copyTree(filepath.Join(root, "src")); err != nil {
		return false, err
	}
	if len(args) > 0 && args[0] == "by-hand" {
		return byHand(filepath.Join(root, "src"), args[1:])
	}
	ok = true
	for _, target := range targets {
		files := filesIn(target.dir, args)
		if len(args) > 0 && len(files) == 0 && !slices.Contains(args, target.name) {
			continue
		}
		report, err := unleash(root, target.dir, files)
		if err != nil {
			return false, fmt.Errorf("%s: %w", target.name, err)
		}
		percent := report.print(target.name, target.dir)
		if percent < target.percent {
			fmt.Printf("%s: %d %% killed, where %d are due\n", target.name, percent, target.percent)
			ok = false
		}
	}
	if len(args) > 0 {
		return ok, nil
	}
	all, err := byHand(filepath.Join(root, "src"), nil)
	return ok && all, err
}

// filesIn returns the arguments that are files of the package, without its
// folder.
func filesIn(dir string, args []string) (files []string) {
	for _, arg := range args {
		if filepath.Dir(arg) == dir && filepath.Ext(arg) == ".go" {
			files = append(files, filepath.Base(arg))
		}
	}
	return files
}

// copyTree copies what git knows or would add.
func copyTree(to string) error {
	list, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		info, err := os.Stat(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // removed, and git does not know yet
		}
		if err != nil {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), content, info.Mode()); err != nil {
			return err
		}
	}
	return nil
}

// goScript stands before the go command. Gremlins tries only what a block of
// the coverage profile holds, and the conditions of a switch are in none: this
// has it try everything.
const goScript = `#!/bin/sh
%q "$@" || exit
while [ $# -gt 1 ]; do
	[ "$1" != -coverprofile ] || sed -i.all -E 's/:[0-9.]+,[0-9.]+ .*/:1.1,99999.1 1 1/' "$2"
	shift
done
`

// report is what gremlins writes.
type report struct {
	Files []struct {
		Name      string `json:"file_name"`
		Mutations []mutation
	}
}

type mutation struct {
	Type, Status string
	Line, Column int
}

// unleash has gremlins change a package, or these files of it.
func unleash(root, dir string, files []string) (*report, error) {
	tool, err := exec.LookPath("go")
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(root, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(bin, "go"), fmt.Appendf(nil, goScript, tool), 0o755); err != nil {
		return nil, err
	}
	// Not by go run, which puts the go command's own folder before ours.
	install := exec.Command(tool, "install", gremlins)
	install.Env = append(os.Environ(), "GOBIN="+bin)
	if out, err := install.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go install: %w\n%s", err, out)
	}
	result := filepath.Join(root, "result.json")
	args := append([]string{"unleash", "--output", result}, exclude(dir, files)...)
	cmd := exec.Command(filepath.Join(bin, "gremlins"), append(args, "./"+dir)...)
	cmd.Dir = filepath.Join(root, "src")
	// Not from a cache, or a mutant would have no time to be found in.
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "TMPDIR="+root, "GOFLAGS=-ldflags=-checklinkname=0 -count=1")
	cmd.Stderr = os.Stderr
	if out, err := cmd.Output(); err != nil {
		return nil, fmt.Errorf("gremlins: %w\n%s", err, out)
	}
	text, err := os.ReadFile(result)
	if err != nil {
		return nil, err
	}
	r := &report{}
	return r, json.Unmarshal(text, r)
}

// exclude has gremlins leave out the files of a package that are not chosen.
func exclude(dir string, chosen []string) (args []string) {
	if dir == "shim" || dir == "vault" { // the packages below have their own turn, or are no part of the program
		args = append(args, "--exclude-files", "/")
	}
	all, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	for _, file := range all {
		if name := filepath.Base(file); len(chosen) > 0 && !slices.Contains(chosen, name) {
			args = append(args, "--exclude-files", "^"+regexp.QuoteMeta(name)+"$")
		}
	}
	return args
}

// print lists what was not killed, without what MUTANTS.md explains, and
// returns the killed of a hundred.
func (r *report) print(name, dir string) (percent int) {
	notes, _ := os.ReadFile(".ci/mutants/MUTANTS.md")
	counts := make(map[string]int)
	all, explained := 0, 0
	for _, file := range r.Files {
		source, _ := os.ReadFile(filepath.Join(dir, file.Name))
		lines := strings.Split(string(source), "\n")
		for _, m := range file.Mutations {
			if m.Status == "NOT VIABLE" { // does not compile
				continue
			}
			all++
			counts[m.Status]++
			if m.Status == "KILLED" {
				continue
			}
			line := ""
			if m.Line <= len(lines) {
				line = strings.TrimSpace(lines[m.Line-1])
			}
			if strings.Contains(string(notes), fmt.Sprintf("%s/%s `%s`", name, file.Name, line)) {
				explained++
				continue
			}
			fmt.Printf("%s/%s:%d:%d: %s %s: %s\n", dir, file.Name, m.Line, m.Column, m.Status, m.Type, line)
		}
	}
	if all > 0 {
		percent = 100 * counts["KILLED"] / all
	}
	fmt.Printf("%s: killed %d of %d, %d %% (lived %d, timed out %d, not covered %d; %d explained)\n",
		name, counts["KILLED"], all, percent, counts["LIVED"], counts["TIMED OUT"], counts["NOT COVERED"], explained)
	return percent
}
