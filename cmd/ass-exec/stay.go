package main

import (
	"context"
	"errors"
	"os"
	"runtime/debug"

	"github.com/agent-secret-store/ass-exec/shim"
	"github.com/agent-secret-store/ass-exec/shim/process"
	"github.com/agent-secret-store/ass-exec/shim/supervise"
)

// stay runs the command as a child, to renew its secrets, and returns its
// status.
func stay(watch *signalWatch, cfg shim.Config, cmd *shim.Start, watcher *shim.Watcher, report *reporter) (int, error) {
	opts, filter, err := initOptions(cfg, cmd.Secrets, report)
	if err != nil {
		return 0, err
	}
	var files process.OpenFiles
	if err := files.Open(&cmd.Command); err != nil {
		return 0, err
	}
	// The supervisor takes over the signals before the watch lets go of them.
	supervisor := supervise.New(opts)
	watch.release()
	setDumpable(true)      // or the next step needs root
	if !cfg.KeepAgentKey { // else its memory is that of the command's environment
		wipeKey(report)
	}
	// Paths of files in memory lead through our /proc.
	setDumpable(len(cmd.Files) > 0)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go watcher.Run(ctx, func(fresh *shim.Start) {
		filter.change(fresh.Secrets)
		if err := files.Open(&fresh.Command); err != nil {
			report.failure(err)
			return
		}
		setDumpable(len(fresh.Files) > 0)
		change(supervisor, cfg.OnChange, fresh, report)
	})
	started := cmd.ByShell()
	// Drops the secrets, and with them what it took to fetch them.
	*cmd = shim.Start{Command: process.Command{Path: cmd.Path, Argv: cmd.Argv, SecretPath: cmd.SecretPath}}
	debug.FreeOSMemory()
	status, err := supervisor.Run(started)
	filter.finish(supervisor)
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return 0, cmd.Failure(pathErr.Err)
	}
	return status, err
}

// change does what --on-change says once the secrets are new.
func change(s *supervise.Supervisor, what string, fresh *shim.Start, report *reporter) {
	report.log.Warn("the secrets have changed: " + what)
	switch what {
	case "restart":
		s.Restart(fresh.ByShell())
	case "exit":
		s.Stop()
	default:
		s.Signal(shim.SignalNumber(what))
	}
}
