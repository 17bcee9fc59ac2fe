//go:build ci

package ci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// circle runs the workflow of a CircleCI configuration job by job on this
// machine. It is our reading of CircleCI's documentation and not CircleCI, so
// it knows what the example needs and refuses everything else.
type circle struct {
	dir      string // holds the jobs' homes, their work trees, and the workspace
	tree     string // what checkout clones
	branch   string
	environ  []string
	contexts map[string][]string // environments by name
	orbs     map[string]string   // what stands in for the steps of orbs: shell
	log      io.Writer

	config circleConfig
}

type circleConfig struct {
	Version   float64
	Orbs      map[string]string
	Commands  map[string]circleCommand
	Jobs      map[string]circleJob
	Workflows map[string]circleWorkflow
}

type circleCommand struct {
	Description string
	Parameters  map[string]circleParameter
	Steps       []any
}

type circleParameter struct {
	Type, Description string
	Default           *string
}

type circleJob struct {
	Docker []struct{ Image string }
	Steps  []any
}

type circleWorkflow struct {
	Jobs []any // a name, or one name with options
}

type circleJobOptions struct {
	Requires []string
	Context  string
	Filters  struct{ Branches struct{ Only string } }
}

// load reads a configuration that js-yaml has made JSON of.
func (c *circle) load(config []byte) error {
	return decodeStrictly(config, &c.config)
}

// run runs a workflow's jobs in the order that their requirements allow, and
// returns how each ended: success, failed, or not run.
func (c *circle) run(workflow string) (outcomes map[string]string, err error) {
	w, ok := c.config.Workflows[workflow]
	if !ok {
		return nil, fmt.Errorf("no workflow %q", workflow)
	}
	outcomes = map[string]string{}
	for waiting := w.Jobs; len(waiting) > 0; {
		var later []any
		for _, entry := range waiting {
			name, options, err := c.entry(entry)
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(options.Requires, func(r string) bool { return outcomes[r] == "" }) {
				later = append(later, entry)
				continue
			}
			if outcomes[name], err = c.outcome(name, options, outcomes); err != nil {
				return nil, fmt.Errorf("job %s: %w", name, err)
			}
			fmt.Fprintf(c.log, "== %s: %s\n", name, outcomes[name])
		}
		if len(later) == len(waiting) {
			return nil, fmt.Errorf("jobs require what does not exist, or each other: %v", later)
		}
		waiting = later
	}
	return outcomes, nil
}

func (c *circle) entry(entry any) (name string, options circleJobOptions, err error) {
	name, argument, err := one(entry)
	if err == nil && argument != nil {
		err = decodeAnyStrictly(argument, &options)
	}
	if _, ok := c.config.Jobs[name]; err == nil && !ok {
		err = fmt.Errorf("no job %q", name)
	}
	return name, options, err
}

func (c *circle) outcome(name string, options circleJobOptions, outcomes map[string]string) (string, error) {
	only := options.Filters.Branches.Only
	if only != "" && only != c.branch ||
		slices.ContainsFunc(options.Requires, func(r string) bool { return outcomes[r] != "success" }) {
		return "not run", nil
	}
	env := c.environ
	if options.Context != "" {
		context, ok := c.contexts[options.Context]
		if !ok {
			return "", fmt.Errorf("no context %q", options.Context)
		}
		env = slices.Concat(env, context)
	}
	return c.job(name, env)
}

// job runs a job in a home of its own, until a step fails.
func (c *circle) job(name string, env []string) (outcome string, err error) {
	steps, err := c.expand(c.config.Jobs[name].Steps, nil)
	if err != nil {
		return "", err
	}
	home := filepath.Join(c.dir, name)
	tree, bashEnv := filepath.Join(home, "project"), filepath.Join(home, ".bash_env")
	if err := errors.Join(os.MkdirAll(tree, 0o755), os.WriteFile(bashEnv, nil, 0o644)); err != nil {
		return "", err
	}
	env = slices.Concat(env, []string{"HOME=" + home, "BASH_ENV=" + bashEnv, "CIRCLECI=true", "CIRCLE_BRANCH=" + c.branch, "CIRCLE_JOB=" + name})
	for _, step := range steps {
		script, err := c.script(step)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(c.log, "-- %s: %s\n", name, script.name)
		// Bash reads the file in BASH_ENV by itself.
		cmd := exec.Command("/bin/bash", "-eo", "pipefail", "-c", script.command)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = tree, slices.Concat(env, script.environ), c.log, c.log
		if err := cmd.Run(); err != nil {
			fmt.Fprintf(c.log, "-- %s: %v\n", name, err)
			return "failed", nil
		}
	}
	return "success", nil
}

// expand puts the steps of commands, with their parameters, in their places.
func (c *circle) expand(steps []any, arguments map[string]string) (out []any, err error) {
	for _, step := range steps {
		if step, err = substitute(step, arguments); err != nil {
			return nil, err
		}
		name, argument, err := one(step)
		if err != nil {
			return nil, err
		}
		command, ok := c.config.Commands[name]
		if !ok {
			out = append(out, step)
			continue
		}
		inner, err := bind(name, command.Parameters, argument)
		if err != nil {
			return nil, err
		}
		expanded, err := c.expand(command.Steps, inner)
		if err != nil {
			return nil, err
		}
		out = append(out, expanded...)
	}
	return out, nil
}

// bind gives the parameters of a command their arguments or defaults.
func bind(command string, parameters map[string]circleParameter, argument any) (map[string]string, error) {
	given, values := map[string]string{}, map[string]string{}
	if argument != nil {
		if err := decodeAnyStrictly(argument, &given); err != nil {
			return nil, fmt.Errorf("command %s: %w", command, err)
		}
	}
	for name, p := range parameters {
		value, ok := given[name]
		switch {
		case p.Type != "string":
			return nil, fmt.Errorf("command %s: parameter %s has the type %q, which is not known here", command, name, p.Type)
		case ok:
			values[name] = value
		case p.Default != nil:
			values[name] = *p.Default
		default:
			return nil, fmt.Errorf("command %s: no argument for %s", command, name)
		}
		delete(given, name)
	}
	if len(given) > 0 {
		return nil, fmt.Errorf("command %s: no such parameters: %v", command, given)
	}
	return values, nil
}

var expression = regexp.MustCompile(`<<\s*(.*?)\s*>>`)

// substitute replaces << parameters.name >> in every string of a step.
func substitute(v any, arguments map[string]string) (_ any, err error) {
	switch v := v.(type) {
	case string:
		s := expression.ReplaceAllStringFunc(v, func(e string) string {
			name, ok := strings.CutPrefix(expression.FindStringSubmatch(e)[1], "parameters.")
			value, found := arguments[name]
			if !ok || !found {
				err = fmt.Errorf("%s is not known here", e)
			}
			return value
		})
		return s, err
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			if out[k], err = substitute(e, arguments); err != nil {
				return nil, err
			}
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			if out[i], err = substitute(e, arguments); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

type circleScript struct {
	name, command string
	environ       []string
}

// script is what a step does, in shell.
func (c *circle) script(step any) (circleScript, error) {
	name, argument, err := one(step)
	if err != nil {
		return circleScript{}, err
	}
	workspace := quote(filepath.Join(c.dir, "workspace"))
	switch name {
	case "checkout":
		return circleScript{name: name, command: "git clone -q " + quote(c.tree) + " ."}, nil
	case "run":
		return runScript(argument)
	case "persist_to_workspace":
		var o struct {
			Root  string
			Paths []string
		}
		if err := decodeAnyStrictly(argument, &o); err != nil {
			return circleScript{}, err
		}
		script := "mkdir -p " + workspace + "; cd " + quote(o.Root)
		for _, path := range o.Paths {
			script += "; cp -r --parents " + quote(path) + " " + workspace
		}
		return circleScript{name: name, command: script}, nil
	case "attach_workspace":
		var o struct{ At string }
		err := decodeAnyStrictly(argument, &o)
		return circleScript{name: name, command: "mkdir -p " + quote(o.At) + "; cp -r " + workspace + "/. " + quote(o.At)}, err
	}
	orb, _, _ := strings.Cut(name, "/")
	if command, ok := c.orbs[name]; ok && c.config.Orbs[orb] != "" && argument == nil {
		return circleScript{name: name, command: command}, nil
	}
	return circleScript{}, fmt.Errorf("step %q is not known here", name)
}

func runScript(argument any) (circleScript, error) {
	if command, ok := argument.(string); ok {
		return circleScript{name: command, command: command}, nil
	}
	var o struct {
		Name, Command string
		Environment   map[string]string
	}
	err := decodeAnyStrictly(argument, &o)
	if err == nil && o.Command == "" {
		err = errors.New("a run step has no command")
	}
	script := circleScript{name: o.Name, command: o.Command}
	for name, value := range o.Environment {
		script.environ = append(script.environ, name+"="+value)
	}
	return script, err
}

// one takes a name, or a map of one name to its argument, apart.
func one(v any) (name string, argument any, err error) {
	switch v := v.(type) {
	case string:
		return v, nil, nil
	case map[string]any:
		for name, argument = range v {
		}
		if len(v) == 1 {
			return name, argument, nil
		}
	}
	return "", nil, fmt.Errorf("%v is not one name", v)
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func decodeAnyStrictly(v, into any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return decodeStrictly(b, into)
}

func decodeStrictly(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
