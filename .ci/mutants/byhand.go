package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// cut is a mutant of the list by-hand.
type cut struct {
	why        string   // the mistake it is
	file       string   // that has it
	old, fresh string   // text, and what is in its place; old stands once in the file
	test       []string // arguments of go test, which must fail
}

// parse reads the list: paragraphs of a comment and of lines that begin with
// file, cut, with or test.
func parse(list string) ([]cut, error) {
	var cuts []cut
	for paragraph := range strings.SplitSeq(list, "\n\n") {
		var c cut
		for line := range strings.SplitSeq(strings.TrimSpace(paragraph), "\n") {
			key, value, _ := strings.Cut(line, " ")
			value = strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(strings.TrimSpace(value))
			switch key {
			case "#":
				c.why = strings.TrimSpace(c.why + " " + value)
			case "file":
				c.file = value
			case "cut":
				c.old = value
			case "with":
				c.fresh = value
			case "test":
				c.test = strings.Fields(value)
			default:
				return nil, fmt.Errorf("by-hand: %q is none of #, file, cut, with and test", line)
			}
		}
		switch {
		case c.file == "" && c.old == "" && c.test == nil: // the head of the list
		case c.file == "" || c.old == "" || c.test == nil:
			return nil, fmt.Errorf("by-hand: %q lacks file, cut or test", c.why)
		default:
			cuts = append(cuts, c)
		}
	}
	return cuts, nil
}

// byHand tries the mutants that hold one of the words, or all.
func byHand(src string, words []string) (ok bool, err error) {
	list, err := os.ReadFile(filepath.Join(src, ".ci/mutants/by-hand"))
	if err != nil {
		return false, err
	}
	cuts, err := parse(string(list))
	if err != nil {
		return false, err
	}
	killed, tried := 0, 0
	for _, c := range cuts {
		if !c.has(words) {
			continue
		}
		tried++
		verdict, err := c.try(src)
		if err != nil {
			return false, err
		}
		fmt.Printf("%s: %s: %s\n", verdict, c.file, c.why)
		if verdict == "killed" {
			killed++
		}
	}
	fmt.Printf("by hand: killed %d of %d\n", killed, tried)
	return killed == tried, nil
}

func (c *cut) has(words []string) bool {
	for _, word := range words {
		if !strings.Contains(c.file+" "+c.why+" "+c.old+" "+strings.Join(c.test, " "), word) {
			return false
		}
	}
	return true
}

// try says what became of a mutant. Only a test that has passed before, and
// then fails, kills.
func (c *cut) try(src string) (verdict string, err error) {
	path := filepath.Join(src, c.file)
	source, err := os.ReadFile(path)
	if err != nil {
		return "PATTERN NOT FOUND (no such file)", nil
	}
	if n := strings.Count(string(source), c.old); n != 1 {
		return fmt.Sprintf("PATTERN NOT FOUND (%d times in the file, want 1)", n), nil
	}
	if out, err := c.run(src); err != nil || bytes.Contains(out, []byte("no tests to run")) || bytes.Contains(out, []byte("no test files")) {
		return "TEST DOES NOT PASS WITHOUT IT: " + lastLines(out), nil
	}
	mutant := strings.Replace(string(source), c.old, c.fresh, 1)
	if err := os.WriteFile(path, []byte(mutant), 0o644); err != nil {
		return "", err
	}
	defer os.WriteFile(path, source, 0o644)
	out, err := c.run(src)
	switch {
	case err == nil:
		return "LIVED", nil
	case bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]")):
		return "DOES NOT COMPILE: " + lastLines(out), nil
	}
	return "killed", nil
}

func (c *cut) run(src string) ([]byte, error) {
	cmd := exec.Command("go", append([]string{"test", "-vet=off", "-count=1"}, c.test...)...)
	cmd.Dir = src
	cmd.Env = append(os.Environ(), "GOFLAGS=-ldflags=-checklinkname=0")
	return cmd.CombinedOutput()
}

func lastLines(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}
