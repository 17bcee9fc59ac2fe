// Ass-devvault serves Agent Secret Store from memory, for development: by
// itself, or around a command that is given its URL and keys.
//
//	ass-devvault --seed vault.json
//	ass-devvault --seed vault.json -- ass-exec -- node server.js
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

const exitUsage = 64

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

// options are what the flags say.
type options struct {
	listen      string
	allowRemote bool
	seed        string
	tls         bool
	caIn, caOut string
	hosts       []string
	verbose     bool
	vault       devvault.Config
	faults      []devvault.Fault
	command     []string
}

func run(args, environ []string, stdout, stderr io.Writer) int {
	opts, err := parseOptions(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "ass-devvault: error:", err)
		return exitUsage
	}
	status, err := serve(opts, environ, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "ass-devvault: error:", err)
		return 1
	}
	return status
}

func parseOptions(args []string, stdout io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("ass-devvault", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.listen, "listen", "", "`address`; 127.0.0.1:8787, or with a command any free port")
	fs.BoolVar(&o.allowRemote, "allow-remote", false, "allow an address that is not loopback")
	fs.StringVar(&o.seed, "seed", "", "JSON `file` of secrets to begin with")
	fs.BoolVar(&o.tls, "tls", false, "serve https with a certificate of an authority of its own")
	fs.StringVar(&o.caIn, "tls-ca-in", "", "PEM `file` with certificate and key of an authority to use instead")
	fs.StringVar(&o.caOut, "tls-ca-out", "", "`file` for the authority's certificate, in PEM")
	fs.Func("tls-host", "one more `name` or address in the certificate (repeatable)", func(v string) error { o.hosts = append(o.hosts, v); return nil })
	fs.BoolVar(&o.verbose, "v", false, "log each request to stderr; never a value, token or key")
	fs.StringVar(&o.vault.AgentKey, "agent-key", "", "the agent `key`; generated if not given")
	fs.StringVar(&o.vault.UserKey, "user-key", "", "a `key` that stands for the login of a human")
	fs.BoolVar(&o.vault.Lenient, "lenient", false, "let the agent key do everything")
	fs.StringVar(&o.vault.Envelope, "envelope", "", "only this envelope of errors: error or detail")
	fs.BoolVar(&o.vault.TokenInStatus, "token-in-status", false, "show the token in the state of an approved approval")
	fs.DurationVar(&o.vault.ApprovalTTL, "approval-ttl", 0, "how long an approval may take (10m)")
	fs.BoolVar(&o.vault.NoQueryList, "no-query-list", false, "answer 404 to GET /v1/secrets?namespace=")
	fs.BoolVar(&o.vault.FlatList, "flat-list", false, "list a namespace without those below it")
	fs.IntVar(&o.vault.PageSize, "page-size", 0, "list in pages of `n`")
	fs.Float64Var(&o.vault.RateLimit, "rate", 0, "at most `n` requests a second, else 429 with Retry-After")
	fs.IntVar(&o.vault.Burst, "burst", 0, "let `n` of them through at once after a pause (as many as in a second)")
	fs.DurationVar(&o.vault.Skew, "skew", 0, "shift of every expires_at")
	fs.IntVar(&o.vault.TokenMaxUses, "token-max-uses", 0, "every token allows `n` uses")
	fs.BoolVar(&o.vault.TokensExpired, "tokens-expired", false, "every token has expired when it is issued")
	fs.Func("fault", "a `fault` to inject, see below (repeatable)", func(v string) error {
		f, err := devvault.ParseFault(v)
		o.faults = append(o.faults, f)
		return err
	})
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		help(fs, stdout)
	}
	o.command = fs.Args()
	return o, err
}

func help(fs *flag.FlagSet, w io.Writer) {
	fmt.Fprint(w, "usage: ass-devvault [flags] [-- command [args...]]\n\nAgent Secret Store in memory, for development only.\n\n")
	fs.SetOutput(w)
	fs.PrintDefaults()
	fmt.Fprint(w, "\nA fault is kind=KIND with any of endpoint=tokens|secrets|list|approvals|health,\ncount=N, skip=N, status=N, retry-after=SECONDS|date+SECONDS, delay=TIME and\nlocation=URL, joined by commas. The kinds:\n\n")
	for _, k := range devvault.FaultKinds {
		fmt.Fprintf(w, "  %-9s %s\n", k.Kind, k.Does)
	}
}

// serve runs the vault until the command or, without one, a signal ends it.
func serve(o options, environ []string, stdout, stderr io.Writer) (int, error) {
	if o.verbose {
		o.vault.OnRequest = logTo(stderr)
	}
	vault := devvault.New(o.vault)
	defer vault.Close()
	if err := seed(vault, o.seed); err != nil {
		return 0, err
	}
	for _, f := range o.faults {
		vault.Inject(f)
	}
	l, url, caFile, cleanUp, err := listen(o, vault)
	if err != nil {
		return 0, err
	}
	defer cleanUp()
	server := &http.Server{
		Handler: vault, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: log.New(io.Discard, "", 0), // faults are no news
	}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	env := [][2]string{{"ASS_API_URL", url}, {"ASS_AGENT_KEY", vault.AgentKey()}}
	if o.vault.UserKey != "" {
		env = append(env, [2]string{"ASS_API_KEY", o.vault.UserKey})
	}
	if caFile != "" {
		env = append(env, [2]string{"ASS_CA_FILE", caFile})
	}
	if len(o.command) > 0 {
		return runCommand(o.command, setEnv(environ, env))
	}
	announce(stdout, env)
	return waitForSignal(), nil
}

func seed(vault *devvault.Server, file string) error {
	if file == "" {
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := vault.Seed(f); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// announce prints what a client needs, in a form that a shell can source. It is
// printed once connections are accepted.
func announce(w io.Writer, env [][2]string) {
	fmt.Fprintln(w, "# Agent Secret Store in memory, for development only. In another shell:")
	for _, kv := range env {
		fmt.Fprintf(w, "export %s=%s\n", kv[0], kv[1])
	}
}

// logTo logs each request: what was asked by what kind of caller, and how it
// was answered.
func logTo(w io.Writer) func(devvault.Request) {
	return func(r devvault.Request) {
		fmt.Fprintf(w, "ass-devvault: %s %s by %s: %d\n", r.Method, r.Path, r.Bearer, r.Status)
	}
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

func setEnv(environ []string, set [][2]string) []string {
	var out []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		// An inherited key or authority would be another vault's.
		if name != "ASS_AGENT_KEY_FILE" && name != "ASS_AGENT_KEY_COMMAND" && name != "ASS_CA_FILE" && name != "ASS_API_KEY" {
			out = append(out, kv)
		}
	}
	for _, kv := range set {
		out = append(out, kv[0]+"="+kv[1])
	}
	return out
}
