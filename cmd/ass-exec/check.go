package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/agent-secret-store/ass-exec/shim"
	"github.com/agent-secret-store/ass-exec/shim/process"
)

// check reports what a run would do, to stdout, and what is wrong to stderr as
// well. Its status is a real run's.
func check(watch *signalWatch, cfg shim.Config, stdout io.Writer, report *reporter) int {
	process.DisableCoreDumps() // for good: no command follows
	report.showApprovals(&cfg)
	result, err := shim.Check(watch.start, cfg, versionString(), report.log)
	if sig := watch.received(); sig != 0 {
		report.printStopped(sig)
		watch.die(sig)
	}
	report.wait.stop()
	watch.release() // a full stdout would leave nobody to act on a signal
	if cfg.JSON {
		out := json.NewEncoder(markEscaper{stdout})
		out.SetIndent("", "  ")
		_ = out.Encode(result)
	} else {
		writeTable(stdout, result)
	}
	annotate(stdout, cfg, err)
	report.printErrors(err, result.ExitCode)
	return result.ExitCode
}

func writeTable(w io.Writer, result shim.Report) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VARIABLE\tSECRET\tVERSION\tTIER\tMAPPED\tPROBLEM")
	for _, v := range result.Variables {
		versions := make([]string, len(v.Versions))
		for i, n := range v.Versions {
			versions[i] = fmt.Sprint(n)
		}
		cells := []string{v.Name, v.Path, strings.Join(versions, ", "), v.Tier, v.Origin, v.Problem}
		for i, cell := range cells {
			if cells[i] = printable(cell); cell == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	_ = table.Flush()
	if result.Command != "" {
		fmt.Fprintln(w, "command:", printable(result.Command))
	}
}
