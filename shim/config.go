package shim

import (
	"errors"
	"flag"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/process"
	"github.com/agent-secret-store/ass-exec/vault"
)

// DefaultURL is the hosted vault's.
const DefaultURL = "https://api.agentsecretstore.com"

// Config is what the command line and the environment ask for.
type Config struct {
	Argv    []string // the command and its arguments
	Environ []string // the environment ass-exec was started with

	Key          vault.Secret // ASS_AGENT_KEY, unchecked; empty if unset
	KeyFile      string
	KeyCommand   string // in shell words; it prints the key
	URL          *url.URL
	AllowHTTP    bool
	Roots        vault.Roots
	MappingFile  string   // empty: one of those that are read unnamed
	Namespaces   []string // to import whole
	Resolve      []string // inherited variables that may hold references; or all, or none
	PreserveEnv  bool
	Preserve     []string // the only variables for which that holds; empty: for all
	KeepAgentKey bool
	Timeout      time.Duration // zero: no limit
	TokenTTL     time.Duration
	// ApprovalTimeout is how long to wait for a human; zero: not at all.
	ApprovalTimeout time.Duration
	Init            bool          // stay, as the parent of the command
	Group           bool          // signals go to its process group
	Mask            bool          // replace secrets in its output
	Watch           time.Duration // how often to look for new versions; 0: never
	OnChange        string        // restart, exit or the name of a signal
	StopTimeout     time.Duration // from SIGTERM to SIGKILL
	Install         string        // copy the binary there, and run nothing
	Check           bool          // report, and run nothing
	Lint            bool          // the part of Check without key and vault
	JSON            bool          // of everything on stderr
	Verbose         bool
	Version         bool
	Help            bool

	// Approving, if set, is called instead of the log while a human's approval
	// is awaited, with what that human has to do; Approved once that is over.
	Approving func(a vault.Approval, how string)
	Approved  func()

	// Stderr is that of the key command, which has none without it.
	Stderr *os.File

	marker        string // the variable that made none the default of Resolve
	systemMapping string // the constant, except in tests
}

// setting is something that a flag, a variable or both configure.
type setting struct {
	flag, short string
	env         string
	arg         string // what the value is called; empty for a boolean
	def         string // of the value, as help shows it
	help        string
	set         func(*Config, string) error
}

// Settings, in the order in which help lists them.
var settings = []setting{
	{
		env: "ASS_AGENT_KEY", help: "the agent key; or",
		set: func(c *Config, v string) error { c.Key = vault.NewSecret(v); return nil },
	},
	{
		env: "ASS_AGENT_KEY_FILE", help: "a file that holds it; or",
		set: text(func(c *Config) *string { return &c.KeyFile }),
	},
	{
		flag: "agent-key-command", env: keyCommandVariable, arg: "COMMAND", help: "a command that prints it, in words with shell quotes, run without a shell",
		set: text(func(c *Config) *string { return &c.KeyCommand }),
	},
	{
		flag: "api-url", env: "ASS_API_URL", arg: "URL", def: DefaultURL, help: "the vault",
		set: setURL,
	},
	{
		flag: "allow-http", env: "ASS_ALLOW_HTTP", help: "allow an http URL that is not loopback",
		set: boolean(func(c *Config) *bool { return &c.AllowHTTP }),
	},
	{
		flag: "ca-file", env: "ASS_CA_FILE", arg: "FILE", help: "PEM bundle to trust instead of the system's",
		set: text(func(c *Config) *string { return &c.Roots.CAFile }),
	},
	{
		flag: "mapping", env: "ASS_MAPPING", arg: "FILE", def: "./ass.env or /etc/ass-exec/ass.env",
		help: "which secret feeds which variable",
		set:  text(func(c *Config) *string { return &c.MappingFile }),
	},
	{
		flag: "namespace", env: "ASS_NAMESPACE", arg: "NAME", help: "import every secret of a namespace; repeat, or separate by commas",
		set: addNamespaces,
	},
	{
		flag: "resolve", env: "ASS_RESOLVE", arg: "WHICH", def: "all; in CI none",
		help: "which inherited variables may hold references: all, none, or names separated by commas",
		set:  setResolve,
	},
	{
		flag: "preserve-env", env: "ASS_PRESERVE_ENV", help: "a variable already set keeps its value; =NAME,NAME: those alone",
		set: setPreserve,
	},
	{
		flag: "keep-agent-key", env: "ASS_KEEP_AGENT_KEY", help: "pass the agent key on to the command",
		set: boolean(func(c *Config) *bool { return &c.KeepAgentKey }),
	},
	{
		flag: "timeout", env: "ASS_TIMEOUT", arg: "TIME", def: "60s", help: "for everything before the command starts; 0 = for ever",
		set: duration(func(c *Config) *time.Duration { return &c.Timeout }),
	},
	{
		flag: "approval-timeout", env: "ASS_APPROVAL_TIMEOUT", arg: "TIME", def: "10m", help: "how long to wait for a human's approval; 0 = do not wait",
		set: duration(func(c *Config) *time.Duration { return &c.ApprovalTimeout }),
	},
	{
		flag: "token-ttl", env: "ASS_TOKEN_TTL", arg: "TIME", def: "5m", help: "lifetime of the scoped token, in whole minutes",
		set: setTokenTTL,
	},
	{
		flag: "init", env: "ASS_INIT", help: "stay as the parent: forward signals, reap zombies; group = signal the process group",
		set: setInit,
	},
	{
		flag: "mask", env: "ASS_MASK", help: "stay, and replace secrets in stdout and stderr by ***",
		set: boolean(func(c *Config) *bool { return &c.Mask }),
	},
	{
		flag: "watch", env: "ASS_WATCH", arg: "TIME", help: "stay, and look for new versions this often",
		set: duration(func(c *Config) *time.Duration { return &c.Watch }),
	},
	{
		flag: "on-change", env: "ASS_ON_CHANGE", arg: "WHAT", def: "restart", help: "what to do on a new version: restart, exit or a signal",
		set: setOnChange,
	},
	{
		flag: "stop-timeout", env: "ASS_STOP_TIMEOUT", arg: "TIME", def: "10s", help: "from SIGTERM to SIGKILL at a restart",
		set: duration(func(c *Config) *time.Duration { return &c.StopTimeout }),
	},
	{
		flag: "check", help: "resolve and report to stdout, run nothing",
		set: boolean(func(c *Config) *bool { return &c.Check }),
	},
	{
		flag: "lint", help: "check syntax, names, files and the command, without key and vault; run nothing",
		set: boolean(func(c *Config) *bool { return &c.Lint }),
	},
	{
		flag: "install", arg: "PATH", help: "copy this binary to PATH, run nothing",
		set: text(func(c *Config) *string { return &c.Install }),
	},
	{
		flag: "log-format", env: "ASS_LOG_FORMAT", arg: "FORMAT", def: "text", help: "text or json, for all of stderr",
		set: setLogFormat,
	},
	{
		flag: "verbose", short: "v", env: "ASS_VERBOSE", help: "say what is done: names, paths, durations; never a value",
		set: boolean(func(c *Config) *bool { return &c.Verbose }),
	},
	{
		flag: "version", help: "print the version",
		set: boolean(func(c *Config) *bool { return &c.Version }),
	},
	{
		flag: "help", short: "h", help: "print this help",
		set: boolean(func(c *Config) *bool { return &c.Help }),
	},
}

// ParseConfig reads the command line without its first word, and the
// environment, from which a flag takes precedence. With an error, the Config
// still says how to report it.
func ParseConfig(args, environ []string) (Config, error) {
	cfg := Config{
		Environ: environ, Timeout: time.Minute, ApprovalTimeout: 10 * time.Minute, TokenTTL: 5 * time.Minute,
		OnChange: "restart", StopTimeout: 10 * time.Second, Resolve: []string{resolveAll}, marker: untrustedMarker(environ),
		systemMapping: systemMapping,
	}
	if cfg.marker != "" {
		cfg.Resolve = []string{resolveNone}
	}
	cfg.URL, _ = url.Parse(DefaultURL)
	given, argv, usageErr := parseFlags(args)
	cfg.Argv = argv

	var problems exit.Errors
	if usageErr != nil {
		problems = append(problems, flagError(usageErr, args))
	}
	for _, s := range settings {
		problems = append(problems, s.apply(&cfg, given[s.flag], environ)...)
	}
	cfg.Roots.CertFile, _ = process.LookupEnv(environ, "SSL_CERT_FILE")
	cfg.Roots.CertDir, _ = process.LookupEnv(environ, "SSL_CERT_DIR")
	problems = append(problems, cfg.expandHome()...)
	problems = append(problems, cfg.validate()...)
	if len(problems) == 0 && len(argv) == 0 && cfg.runs() {
		problems = append(problems, noCommandError())
	}
	return cfg, problems.OrNil()
}

// Supervises reports whether ass-exec stays as the parent of the command,
// instead of becoming it.
func (c *Config) Supervises() bool { return c.Init || c.Mask || c.Watch > 0 }

// runs reports whether a command is to be run.
func (c *Config) runs() bool { return !c.Version && !c.Help && !c.Check && !c.Lint && c.Install == "" }

// parseFlags returns the values given to each flag and the words after the
// flags.
func parseFlags(args []string) (given map[string][]string, argv []string, err error) {
	given = make(map[string][]string)
	fs := flag.NewFlagSet("ass-exec", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	for _, s := range settings {
		add := func(v string) error { given[s.flag] = append(given[s.flag], v); return nil }
		for _, name := range []string{s.flag, s.short} {
			switch {
			case name == "":
			case s.arg == "":
				fs.BoolFunc(name, "", add)
			default:
				fs.Func(name, "", add)
			}
		}
	}
	err = fs.Parse(args)
	return given, fs.Args(), err
}

// apply sets what the flag's values say or, without any, what the variable
// does. An empty variable counts as unset.
func (s setting) apply(cfg *Config, values, environ []string) exit.Errors {
	var problems exit.Errors
	for _, v := range values {
		if err := s.set(cfg, v); err != nil {
			problems = append(problems, usageError("--"+s.flag+": "+err.Error()))
		}
	}
	if v, ok := process.LookupEnv(environ, s.env); ok && v != "" && len(values) == 0 {
		if err := s.set(cfg, v); err != nil {
			problems = append(problems, &exit.Error{
				Code: exit.Config, Msg: s.env + ": " + err.Error(),
				Hint: "correct the variable " + s.env + " or remove it",
			})
		}
	}
	return problems
}

// validate checks what only several settings together can get wrong.
func (c *Config) validate() exit.Errors {
	problems := c.checkKeySources()
	if c.URL.Scheme == "http" && !c.AllowHTTP && !loopback(c.URL.Hostname()) {
		problems = append(problems, &exit.Error{
			Code: exit.Config, Msg: "the vault's URL is http, which would send the agent key in cleartext to " + c.URL.Host,
			Hint: "use https, or set ASS_ALLOW_HTTP=1 on a private network",
		})
	}
	problems = append(problems, c.checkResolve()...)
	problems = append(problems, c.checkPIDs()...)
	return append(problems, checkProxies(c.Environ)...)
}

func usageError(msg string) *exit.Error {
	return &exit.Error{Code: exit.Usage, Msg: msg, Hint: "usage: ass-exec [flags] [--] command [args...]; see ass-exec --help"}
}

func text(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, v string) error {
		if v == "" {
			return errors.New("needs a value")
		}
		*field(c) = v
		return nil
	}
}

func boolean(field func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, v string) error {
		b, err := parseBool(v)
		if err != nil {
			return errors.New("must be true or false")
		}
		*field(c) = b
		return nil
	}
}

// parseBool also takes the words that other programs' settings take.
func parseBool(v string) (bool, error) {
	switch strings.ToLower(v) {
	case "on", "yes":
		return true, nil
	case "off", "no":
		return false, nil
	}
	return strconv.ParseBool(v)
}

func duration(field func(*Config) *time.Duration) func(*Config, string) error {
	return func(c *Config, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 {
			return errors.New("must be a duration such as 90s or 2m")
		}
		*field(c) = d
		return nil
	}
}

func addNamespaces(c *Config, v string) error {
	for _, name := range strings.Split(v, ",") {
		namespace, err := vault.ParseNamespace(strings.TrimSpace(name))
		if err != nil {
			return err
		}
		if !slices.Contains(c.Namespaces, namespace) {
			c.Namespaces = append(c.Namespaces, namespace)
		}
	}
	return nil
}

func setTokenTTL(c *Config, v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < time.Minute || d%time.Minute != 0 {
		return errors.New("must be a whole number of minutes, such as 5m")
	}
	c.TokenTTL = d
	return nil
}

// setInit takes a boolean, or "group".
func setInit(c *Config, v string) error {
	b, err := parseBool(v)
	if err != nil && v != "group" {
		return errors.New("must be true, false or group")
	}
	c.Init, c.Group = b || v == "group", v == "group"
	return nil
}

func setOnChange(c *Config, v string) error {
	if v != "restart" && v != "exit" && SignalNumber(v) == 0 {
		return errors.New("must be restart, exit or a signal such as HUP")
	}
	c.OnChange = v
	return nil
}

// SignalNumber is the signal of a name such as HUP or SIGHUP, 0 if there is
// none.
func SignalNumber(name string) syscall.Signal {
	return unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(name), "SIG"))
}

func setLogFormat(c *Config, v string) error {
	if v != "text" && v != "json" {
		return errors.New("must be text or json")
	}
	c.JSON = v == "json"
	return nil
}

// setURL takes a base URL with or without a trailing slash or /v1.
func setURL(c *Config, v string) error {
	u, err := url.Parse(strings.TrimSpace(v))
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Opaque != "":
		// The text is not repeated: it may hold a password.
		return errors.New("must be a URL such as " + DefaultURL)
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r > '~' }):
		return errors.New("must have its host in ASCII, such as xn--bcher-kva.example")
	case u.User != nil:
		return errors.New("must not hold a user or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("must not hold a ? or #")
	}
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/v1")
	u.RawPath = ""
	if strings.EqualFold(u.Hostname(), "localhost") {
		// net/http keeps from the proxy what is spelled like this alone.
		u.Host = strings.ToLower(u.Host)
	}
	c.URL = u
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// checkProxies refuses the URL of a proxy that net/http would silently ignore.
func checkProxies(environ []string) exit.Errors {
	var problems exit.Errors
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		if v, _ := process.LookupEnv(environ, name); v != "" && !validProxy(v) {
			problems = append(problems, &exit.Error{
				Code: exit.Config, Msg: name + " is not the URL of a proxy",
				Hint: "correct it, like http://proxy.example:3128, or remove it and use NO_PROXY for the vault's host",
			})
		}
	}
	return problems
}

func validProxy(v string) bool {
	if !strings.Contains(v, "://") {
		v = "http://" + v
	}
	u, err := url.Parse(v)
	return err == nil && u.Hostname() != "" && slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme)
}
