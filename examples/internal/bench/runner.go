//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/agent-secret-store/ass-exec/examples/internal/link"
)

// job is a command to be run and measured.
type job struct {
	Argv []string
	Env  []string
}

// cost is what a job took, the processes it waited for included.
type cost struct {
	Wall time.Duration
	CPU  time.Duration
	RSS  int64 // the largest, in bytes
	Err  string
}

// runner is a process of its own that runs jobs. A process that is started
// counts the memory of the one that started it as its own, so that this one
// has to be small; and it is in the namespace that its jobs are to be in.
type runner struct {
	to   *json.Encoder
	from *json.Decoder
}

// startRunner starts the process, in the namespace if there is one.
func startRunner(ns *link.Namespace) (*runner, error) {
	cmd := exec.Command("/proc/self/exe", "-runner")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	start := func() { err = cmd.Start() }
	if ns == nil {
		start()
	} else {
		ns.Do(start)
	}
	return &runner{json.NewEncoder(stdin), json.NewDecoder(stdout)}, err
}

func (r *runner) run(j job) (cost, error) {
	var c cost
	if err := r.to.Encode(j); err != nil {
		return c, err
	}
	if err := r.from.Decode(&c); err != nil {
		return c, err
	}
	if c.Err != "" {
		return c, fmt.Errorf("%q: %s", j.Argv, c.Err)
	}
	return c, nil
}

// serveJobs is the runner's side.
func serveJobs(in io.Reader, out io.Writer) error {
	jobs, costs := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var j job
		switch err := jobs.Decode(&j); err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
		if err := costs.Encode(measure(j)); err != nil {
			return err
		}
	}
}

func measure(j job) cost {
	stderr, err := os.CreateTemp("", "bench")
	if err != nil {
		return cost{Err: err.Error()}
	}
	defer func() { _ = os.Remove(stderr.Name()) }()
	defer stderr.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return cost{Err: err.Error()}
	}
	defer null.Close()
	start := time.Now()
	p, err := os.StartProcess(j.Argv[0], j.Argv, &os.ProcAttr{Env: j.Env, Files: []*os.File{null, null, stderr}})
	if err != nil {
		return cost{Err: err.Error()}
	}
	state, err := p.Wait()
	if err != nil {
		return cost{Err: err.Error()}
	}
	c := cost{
		Wall: time.Since(start), CPU: state.UserTime() + state.SystemTime(),
		RSS: state.SysUsage().(*syscall.Rusage).Maxrss << 10,
	}
	if !state.Success() {
		text, _ := os.ReadFile(stderr.Name())
		c.Err = fmt.Sprintf("%v: %s", state, text)
	}
	return c
}
