// Ass-exec starts a command with secrets from Agent Secret Store in its
// environment. It is made to be the ENTRYPOINT of a container:
//
//	ENTRYPOINT ["/ass-exec"]
//	CMD ["node", "dist/server.js"]
//
// It reads the agent key, resolves which variable comes from which secret,
// fetches the secrets over HTTPS and becomes the command by execve. If
// anything at all is missing it does not start the command, and says what is
// wrong and what to do. Run ass-exec --help for the flags and variables.
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"runtime/debug"

	"github.com/agent-secret-store/ass-exec/shim"
	"github.com/agent-secret-store/ass-exec/shim/process"
)

// version is set by the linker in released builds.
var version string

func main() {
	// net/http logs what a server sends behind a reply: a value, or a token.
	log.SetOutput(io.Discard)
	setDumpable(false)
	os.Exit(run(&signalWatch{}, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run does not return if all goes well: the command takes over.
func run(watch *signalWatch, args, environ []string, stdout io.Writer, stderr *os.File) (status int) {
	environ, parent, handoverErr := takeHandover(environ)
	cfg, err := shim.ParseConfig(args, environ)
	cfg.Stderr = parent.stderrOr(stderr)
	report := newReporter(cfg.Stderr, cfg.JSON, cfg.Verbose)
	defer func() {
		if recover() != nil {
			status = report.bug(debug.Stack())
		}
	}()
	switch {
	case handoverErr != nil:
		return report.failure(handoverErr)
	case cfg.Help:
		fmt.Fprint(stdout, shim.Help())
		return 0
	case cfg.Version:
		fmt.Fprintln(stdout, "ass-exec", versionString())
		return 0
	case err != nil:
		return report.failure(err)
	case cfg.Install != "":
		return report.failure(install(cfg.Install))
	case cfg.Lint:
		return lint(watch, cfg, stdout, report)
	case cfg.Check:
		return check(watch, cfg, stdout, report)
	case cfg.Watch == 0 && (cfg.Init || cfg.Mask):
		status, err = runInit(cfg, args, report)
	default:
		status, err = start(watch, cfg, parent, report)
	}
	if err != nil {
		return report.failure(err)
	}
	return status
}

// start prepares the command and becomes it, or stays with it to watch its
// secrets. Without an error the status is the command's.
func start(watch *signalWatch, cfg shim.Config, parent *parent, report *reporter) (int, error) {
	allowCores := process.DisableCoreDumps()
	report.showApprovals(&cfg)
	cmd, watcher, err := shim.Prepare(watch.start, cfg, versionString(), report.log)
	if sig := watch.received(); sig != 0 {
		report.printStopped(sig)
		watch.die(sig)
	}
	report.wait.stop()
	if err != nil {
		return 0, err
	}
	allowCores()
	if watcher != nil {
		return stay(watch, cfg, cmd, watcher, report)
	}
	if err := parent.sendSecrets(cmd.Secrets); err != nil {
		return 0, initError(err)
	}
	parent.passOn()
	watch.release()
	return 0, cmd.Exec()
}

func versionString() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
