package shim

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/shim/process"
	"github.com/agent-secret-store/ass-exec/vault"
)

// The mappings that are read where none is named.
const (
	localMapping  = "ass.env" // of a directory that may be somebody else's
	systemMapping = "/etc/ass-exec/ass.env"
)

// plan is a run as far as it is known without the network.
type plan struct {
	cfg        Config
	key        vault.Secret
	roots      func() (*x509.CertPool, error)
	bindings   []mapping.Binding // what is left to fetch, in the order of the mapping
	names      map[string]bool   // of all variables mapped, preserved ones included
	preserved  map[string]bool   // variables that keep their value
	unresolved []string          // variables passed on with the references in them
	canFetch   bool              // key and roots are loaded
	path       string            // of the command; empty if PATH itself is fetched
}

// newPlan makes every check that needs no network, and lists all that failed.
// With failures the plan holds what could be made out.
func newPlan(cfg Config, budget *budget) (plan, exit.Errors) {
	p := plan{cfg: cfg, preserved: preserved(cfg), roots: sync.OnceValues(cfg.Roots.Load)}
	asked, problems := p.loadBindings(budget)
	problems = append(problems, cfg.checkModes(p.bindings)...)
	problems = append(problems, reserveDescriptors(p.bindings)...)
	badMapping := len(problems) > 0
	if !badMapping && !asked && len(cfg.Namespaces) == 0 {
		problems = append(problems, p.nothingToDoError())
	}
	var lookErr *exit.Error
	if len(cfg.Argv) > 0 && !p.names["PATH"] {
		p.path, lookErr = process.LookPath(cfg.Argv[0], cfg.Environ)
	}
	// A command that prints the key may ask a human for a PIN.
	inVain := cfg.KeyCommand != "" && !cfg.Check && (len(problems) > 0 || lookErr != nil)
	switch {
	case cfg.Lint, inVain:
	case badMapping, !p.empty():
		problems = append(problems, p.loadCredentials(budget)...)
	case cfg.KeepAgentKey && cfg.KeyCommand != "":
		key, err := agentKey(cfg, budget)
		p.key, problems = key, appendError(problems, err)
	}
	return p, appendError(problems, lookErr)
}

// loadCredentials gets what a request needs: the agent key and, where the user
// names them, the roots.
func (p *plan) loadCredentials(budget *budget) exit.Errors {
	var problems exit.Errors
	key, err := agentKey(p.cfg, budget)
	p.key = key
	problems = appendError(problems, err)
	if p.cfg.Roots.Configured() {
		if _, err := p.roots(); err != nil {
			problems = append(problems, rootsError(err))
		}
	}
	p.canFetch = len(problems) == 0
	return problems
}

// empty reports whether nothing is left to fetch.
func (p *plan) empty() bool { return len(p.bindings)+len(p.cfg.Namespaces) == 0 }

func appendError(es exit.Errors, e *exit.Error) exit.Errors {
	if e != nil {
		es = append(es, e)
	}
	return es
}

// loadBindings collects what there is to fetch. asked is false if no secret was
// asked for at all, which is not the same as nothing being left to fetch.
func (p *plan) loadBindings(budget *budget) (asked bool, problems exit.Errors) {
	mapped, asked, problems := readMapping(p.cfg, budget)
	p.names = make(map[string]bool, len(mapped))
	for _, b := range mapped {
		p.names[b.Name] = true
		if !p.preserved[b.Name] {
			p.bindings = append(p.bindings, b)
		}
	}
	inherited, errs := p.inherit()
	for _, b := range inherited {
		p.names[b.Name] = true
	}
	p.bindings = append(p.bindings, inherited...)
	return asked || len(inherited) > 0, append(problems, errs...)
}

// readMapping reads the mapping file, if there is one.
func readMapping(c Config, budget *budget) (bindings []mapping.Binding, found bool, problems exit.Errors) {
	name, problem := c.mappingFile()
	if problem != nil {
		return nil, true, exit.Errors{problem}
	}
	if name == "" || name == os.DevNull {
		return nil, false, nil
	}
	data, err := budget.readFile(name, mapping.MaxSize)
	if err != nil {
		return nil, true, exit.Errors{{
			Code: exit.Config, Msg: "mapping: " + err.Error(), Err: err,
			Hint: "name the mapping file with --mapping or ASS_MAPPING, readable by the user the container runs as",
		}}
	}
	bindings, err = mapping.Parse(name, data)
	problems = append(exit.AsErrors(err), readTemplates(name, bindings, budget)...)
	if c.MappingFile == "" && name == localMapping {
		problems = append(problems, checkUnnamed(bindings)...)
	}
	return bindings, true, problems
}

// mappingFile returns the mapping to read, "" for none. One that was not named
// must not take the place of what the user has set up: a cloned repository or
// a folder of uploads may contain one.
func (c *Config) mappingFile() (string, *exit.Error) {
	if c.MappingFile != "" {
		return c.MappingFile, nil
	}
	local, system := exists(localMapping), exists(c.systemMapping)
	switch {
	case !local && !system:
		return "", nil
	case !local, sameFile(localMapping, c.systemMapping):
		return c.systemMapping, nil
	case system:
		return "", unnamedError(localMapping, c.systemMapping+" exists too, and neither was named")
	}
	var references []string
	for _, kv := range c.Environ {
		name, value, _ := strings.Cut(kv, "=")
		if c.inheritsReference(name, value) {
			references = append(references, name)
		}
	}
	if len(references) > 0 {
		slices.Sort(references)
		return "", unnamedError(localMapping, "the environment holds references too ("+listNames(references)+"), and the mapping was not named")
	}
	return localMapping, nil
}

// exists reports whether there is a file of a name, or at least a link: one that
// leads nowhere is for the reader to complain of.
func exists(name string) bool {
	_, err := os.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

func sameFile(a, b string) bool {
	infoA, _ := os.Stat(a)
	infoB, _ := os.Stat(b)
	return os.SameFile(infoA, infoB)
}

// checkUnnamed refuses protected names in a mapping that was not named.
func checkUnnamed(bindings []mapping.Binding) exit.Errors {
	var problems exit.Errors
	for _, b := range bindings {
		if why := protected(b.Name); why != "" {
			problems = append(problems, unnamedError(b.Origin, fmt.Sprintf("%s is a protected name (%s), and the mapping was not named", b.Name, why)))
		}
	}
	return problems
}

func unnamedError(where, what string) *exit.Error {
	return &exit.Error{
		Code: exit.Config, Msg: where + ": " + what,
		Hint: "name the mapping to use, as in ASS_MAPPING=./" + localMapping + "; ASS_MAPPING=" + os.DevNull + " uses none",
	}
}

func (p *plan) nothingToDoError() *exit.Error {
	none := "nothing to fetch: no mapping file (" + localMapping + ", " + systemMapping + "), "
	if len(p.unresolved) > 0 {
		return &exit.Error{
			Code: exit.Config,
			Msg:  none + "no namespace, and the references in " + listNames(p.unresolved) + " are not resolved: " + p.cfg.resolving(),
			Hint: "write a mapping file with lines like DATABASE_URL=production/database/DATABASE_URL, or name the variables in ASS_RESOLVE",
		}
	}
	return &exit.Error{
		Code: exit.Config,
		Msg:  none + "no ass:// in the environment, no namespace",
		Hint: "write a mapping file with lines like DATABASE_URL=production/database/DATABASE_URL; " +
			"or set DATABASE_URL=ass://production/database/DATABASE_URL in the environment; " +
			"or import a whole namespace with ASS_NAMESPACE=production",
	}
}

func rootsError(err error) *exit.Error {
	return &exit.Error{
		Code: exit.Config, Msg: err.Error(), Err: err,
		Hint: "name a readable PEM file with the vault's certificate authority",
	}
}
