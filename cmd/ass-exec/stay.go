package main

import (
	"context"
	"errors"
	"os"

	"github.com/agent-secret-store/ass-exec/shim"
	"github.com/agent-secret-store/ass-exec/shim/supervise"
)

// stay runs the command as a child, to forward signals, to filter its output
// or to renew its secrets, and returns its status.
func stay(watch *signalWatch, cfg shim.Config, cmd *shim.Command, watcher *shim.Watcher, report *reporter) (int, error) {
	opts := supervise.Options{Group: cfg.Group, StopTimeout: cfg.StopTimeout, Warn: func(msg string) { report.log.Warn(msg) }}
	opts.Ignored, opts.Blocked = shim.InheritedSignals()
	var filter *outputFilter
	if cfg.Mask {
		var err error
		if filter, err = newOutputFilter(cmd.Secrets, cfg.Environ); err != nil {
			return 0, err
		}
		opts.Stdout, opts.Stderr = filter.stdout(), filter.stderr()
	}
	var files shim.OpenFiles
	if err := files.Open(cmd); err != nil {
		return 0, err
	}
	// The supervisor takes over the signals before the watch lets go of them.
	supervisor := supervise.New(opts)
	watch.release()
	allowProc()
	if !cfg.KeepAgentKey {
		if err := supervise.WipeEnviron("ASS_AGENT_KEY", "ASS_API_KEY"); err != nil {
			report.log.Warn("the agent key stays readable in /proc for this user: " + err.Error())
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if watcher != nil {
		go watcher.Run(ctx, func(fresh *shim.Command) {
			filter.add(fresh.Secrets)
			if err := files.Open(fresh); err != nil {
				report.failure(err)
				return
			}
			change(supervisor, cfg.OnChange, fresh, report)
		})
	}
	started := cmd.ByShell()
	*cmd = shim.Command{Path: cmd.Path, Argv: cmd.Argv} // holds no secret any longer
	status, err := supervisor.Run(started)
	filter.finish()
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return 0, cmd.Failure(pathErr.Err)
	}
	return status, err
}

// change does what new secrets are to lead to.
func change(s *supervise.Supervisor, what string, fresh *shim.Command, report *reporter) {
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
