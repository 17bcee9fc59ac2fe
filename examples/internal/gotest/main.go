// Gotest runs go test and prints what it prints. It adds why each test was
// skipped, a line a test, to the file that its first argument names. In CI a
// skipped test is a failure.
//
//	gotest FILE [flags and packages of go test]
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: gotest FILE [flags and packages of go test]")
		os.Exit(64)
	}
	status, err := run(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(1)
	}
	os.Exit(status)
}

func run(file string, args []string) (status int, err error) {
	test := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	test.Stderr = os.Stderr
	events, err := test.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := test.Start(); err != nil {
		return 0, err
	}
	skipped, err := follow(events, os.Stdout)
	if err != nil {
		return 0, err
	}
	_ = test.Wait() // its status is what counts
	status = test.ProcessState.ExitCode()
	if status == 0 && len(skipped) > 0 && os.Getenv("CI") != "" {
		reasons := slices.Compact(slices.Sorted(slices.Values(skipped)))
		fmt.Printf("%d skipped, which CI forbids: %s\n", len(skipped), strings.Join(reasons, "; "))
		status = 1
	}
	return status, note(file, skipped)
}

// event is one of go test -json.
type event struct{ Action, Package, Test, Output string }

// follow prints what go test without -v would, and returns the reason of each
// skipped test.
func follow(events io.Reader, w io.Writer) (skipped []string, err error) {
	output := map[[2]string]string{} // of the tests that have not passed
	in := json.NewDecoder(events)
	for {
		var e event
		if err := in.Decode(&e); err == io.EOF {
			return skipped, nil
		} else if err != nil {
			return nil, err
		}
		test := [2]string{e.Package, e.Test}
		switch {
		case e.Test == "" && e.Action == "fail":
			// A panic ends the package, and not the tests that run.
			for running, text := range output {
				if running[0] == e.Package {
					io.WriteString(w, text)
				}
			}
		case e.Test == "" && e.Output != "PASS\n":
			io.WriteString(w, e.Output)
		case e.Action == "output" && !strings.HasPrefix(e.Output, "=== "):
			output[test] += e.Output
		case e.Action == "fail":
			io.WriteString(w, output[test])
			delete(output, test)
		case e.Action == "skip":
			skipped = append(skipped, reason(output[test]))
			delete(output, test)
		case e.Action == "pass":
			delete(output, test)
		}
	}
}

// reason is what a test said when it was skipped, behind its file and line.
func reason(output string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(output), "\n")
	if _, text, ok := strings.Cut(line, ".go:"); ok {
		_, line, _ = strings.Cut(text, ": ")
	}
	return line
}

func note(file string, skipped []string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	for _, why := range skipped {
		fmt.Fprintln(f, why)
	}
	return f.Close()
}
