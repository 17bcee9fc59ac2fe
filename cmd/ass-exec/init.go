package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/agent-secret-store/ass-exec/shim"
	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/process"
	"github.com/agent-secret-store/ass-exec/shim/supervise"
	"github.com/agent-secret-store/ass-exec/vault"
)

// runInit stays as the parent of an ass-exec that fetches the secrets and
// becomes the command, and returns the command's status. This process holds no
// secret but those that it masks, and no agent key once the child has it: the
// command may read the memory of its parent.
func runInit(cfg shim.Config, args []string, report *reporter) (int, error) {
	opts, filter, err := initOptions(cfg, nil, report)
	if err != nil {
		return 0, err
	}
	var reports *os.File
	if opts.Stderr != nil {
		reports = os.Stderr
	}
	self, err := selfPath()
	if err != nil {
		return 0, initError(err)
	}
	supervisor := supervise.New(opts)
	env, socket, err := handOver(cfg.Environ, cfg.Mask, slices.Contains(opts.Ignored, syscall.SIGCHLD), reports)
	if err != nil {
		return 0, initError(err)
	}
	setDumpable(true) // or the next step needs root
	wiped := wipeKey(report)
	// A mask holds the secrets, and /proc/1/fd/1 would lead past it.
	setDumpable(wiped && !cfg.Mask)
	if cfg.Mask {
		go receiveSecrets(socket, filter.change)
	}
	argv := append([]string{os.Args[0]}, shim.ExecArgs(args)...)
	status, err := supervisor.Run(process.Command{Path: self, Argv: argv, Env: env})
	filter.finish(supervisor)
	if err != nil {
		return 0, initError(err)
	}
	return status, nil
}

// initOptions are the options of every process that stays, and the filter that
// the command's output goes through; nil without --mask.
func initOptions(cfg shim.Config, secrets []vault.Secret, report *reporter) (opts supervise.Options, filter *outputFilter, err error) {
	opts = supervise.Options{
		Group: cfg.Group, StopTimeout: cfg.StopTimeout,
		Warn: func(msg string) { report.log.Warn(msg) }, Info: func(msg string) { report.log.Info(msg) },
	}
	opts.Ignored, opts.Blocked = process.InheritedSignals()
	if cfg.Mask {
		if filter, err = newOutputFilter(cfg, secrets); err != nil {
			return opts, nil, err
		}
		filter.warn(report)
		opts.Stdout, opts.Stderr = filter.stdout, filter.stderr
	}
	return opts, filter, nil
}

func wipeKey(report *reporter) (wiped bool) {
	err := supervise.WipeEnviron(keyVariables...)
	if err != nil {
		report.log.Warn("the agent key cannot be wiped from the environment of ass-exec: " + err.Error())
	}
	return err == nil
}

// selfPath is the file of this program: under a link of /proc, which leads to
// it even after an upgrade, or without /proc as it was called.
func selfPath() (string, error) {
	const link = "/proc/self/exe"
	if _, err := os.Stat(link); err == nil {
		return link, nil
	}
	if strings.Contains(os.Args[0], "/") {
		return os.Args[0], nil
	}
	if path, err := os.Executable(); err == nil {
		return path, nil
	}
	return "", errors.New("without /proc it must be called by its path, such as /ass-exec")
}

func initError(err error) error {
	return &exit.Error{
		Code: exit.CannotRun, Msg: fmt.Sprintf("ass-exec cannot start itself as the command's parent: %v", err), Err: err,
		Hint: "check the limits of processes and open files, or do without --init and --mask",
	}
}
