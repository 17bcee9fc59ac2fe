package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/agent-secret-store/ass-exec/shim"
	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/process"
)

// lint reports what is wrong with the mapping and with what it names.
func lint(watch *signalWatch, cfg shim.Config, stdout io.Writer, report *reporter) int {
	err := shim.Lint(watch.start, cfg, report.log)
	if sig := watch.received(); sig != 0 {
		report.printStopped(sig)
		watch.die(sig)
	}
	annotate(stdout, cfg, err)
	return report.failure(err)
}

// maxAnnotations is how many errors GitHub shows of one step.
const maxAnnotations = 10

// annotate has GitHub Actions show each problem at its line.
func annotate(w io.Writer, cfg shim.Config, err error) {
	if v, _ := process.LookupEnv(cfg.Environ, "GITHUB_ACTIONS"); v != "true" || cfg.JSON {
		return
	}
	workspace, _ := process.LookupEnv(cfg.Environ, "GITHUB_WORKSPACE")
	n := 0
	for _, e := range exit.AsErrors(err) {
		where, what, _ := strings.Cut(e.Msg, ": ")
		i := max(0, strings.LastIndexByte(where, ':'))
		file, line := where[:i], strings.TrimPrefix(where[i:], ":")
		if _, err := strconv.ParseUint(line, 10, 31); err != nil || n == maxAnnotations {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			continue // a host and its port
		}
		n++
		fmt.Fprintf(w, "::error file=%s,line=%s::%s\n", commandProperty.Replace(inWorkspace(file, workspace)), line, commandText.Replace(printable(what)))
	}
}

// inWorkspace names a file as the repository has it, if it is in there.
func inWorkspace(file, workspace string) string {
	abs, err := filepath.Abs(file)
	if err != nil || workspace == "" {
		return file
	}
	rel, err := filepath.Rel(workspace, abs)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return file
	}
	return rel
}

// How workflow commands spell what would end them.
var (
	commandText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)
