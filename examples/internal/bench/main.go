//go:build linux

// Bench measures ass-exec beside what its users have today: the vendor's
// guide, the vendor's SDK, and another vendor's launcher. They run in turn,
// against the dev vault over TLS, on loopback and over links with a delay; and
// with what --init, --mask and a small container cost beside others.
//
//	make bench          everything; takes 10 minutes
//	make bench-quick    counts that must not grow; under a minute
//	bin/bench -against BINARY
//	                    times, CPU and memory over those of another binary
//
// It needs Linux and root, for the network namespaces of the links.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

var (
	counts = []int{1, 4, 20, 100, 500}
	rtts   = []time.Duration{0, 20 * time.Millisecond, 80 * time.Millisecond}
)

func main() {
	isRunner := flag.Bool("runner", false, "be the process that runs the commands (internal)")
	quick := flag.Bool("quick", false, "only check the counts of ass-exec")
	rounds := flag.Int("rounds", 20, "how often everything is run")
	against := flag.String("against", "", "only compare ass-exec with another binary of it")
	out := flag.String("out", "examples/internal/bench", "folder for bench.json, bench.svg")
	flag.Parse()
	var err error
	switch {
	case *isRunner:
		err = serveJobs(os.Stdin, os.Stdout)
	case *quick:
		err = checkCounts()
	case *against != "":
		err = compare(*against, 5**rounds)
	default:
		err = bench(*rounds, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(rounds int, out string) error {
	return withTools(func(t tools) error {
		if t.node == "" {
			return errors.New("node, or the official clients in .tools/clients, are missing (see .ci/install-bench-tools)")
		}
		r := report{Host: host(), Rounds: rounds, Sizes: t.sizes()}
		places, err := newPlaces(t.dir)
		if err != nil {
			return err
		}
		if r.Starts, err = measureStarts(t, places[0].runner, rounds); err != nil {
			return err
		}
		if r.Inits, err = measureInits(t, places[0]); err != nil {
			return err
		}
		if r.Masks, err = measureMasks(t, places[0], min(rounds, 5)); err != nil {
			return err
		}
		if r.Limited, err = measureLimited(t, places[0], min(rounds, 10)); err != nil {
			return err
		}
		for _, n := range counts {
			for _, p := range places {
				measured, err := measureFetch(t.launchers(), p, n, rounds)
				if err != nil {
					return err
				}
				r.Fetches = append(r.Fetches, measured...)
			}
		}
		return r.write(out)
	})
}

// withTools finds the launchers, and has a folder for the time of f.
func withTools(f func(tools) error) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	t := tools{dir: dir}
	if t.assExec, err = filepath.Abs("bin/ass-exec"); err != nil {
		return err
	}
	if t.clients, err = filepath.Abs(".tools/clients"); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(t.clients, "node_modules/.bin/ass")); err == nil {
		t.node, _ = exec.LookPath("node")
	}
	if path, err := filepath.Abs(".tools/doppler"); err == nil {
		if _, err := os.Stat(path); err == nil {
			t.doppler = path
		}
	}
	return f(t)
}

func newPlaces(dir string) ([]*place, error) {
	var places []*place
	for _, rtt := range rtts {
		p, err := newPlace(rtt, slices.Max(counts), dir)
		if err != nil {
			return nil, err
		}
		places = append(places, p)
	}
	return places, nil
}

// start is what it costs to start a command with nothing to fetch.
type start struct {
	Launcher string  `json:"launcher"`
	WallMS   float64 `json:"wall_ms"`
	CPUMS    float64 `json:"cpu_ms"`
	RSSMiB   float64 `json:"rss_mib"`
}

func measureStarts(t tools, r *runner, rounds int) ([]start, error) {
	jobs, err := t.starters()
	if err != nil {
		return nil, err
	}
	costs := make(map[string][]cost)
	for range 5 * rounds { // they are short
		for name, j := range jobs {
			c, err := r.run(j)
			if err != nil {
				return nil, err
			}
			costs[name] = append(costs[name], c)
		}
	}
	var starts []start
	for name, c := range costs {
		m := median(c)
		starts = append(starts, start{name, ms(m.Wall), ms(m.CPU), mib(m.RSS)})
	}
	slices.SortFunc(starts, func(a, b start) int { return int(1000 * (a.WallMS - b.WallMS)) })
	return starts, nil
}

// fetch is what it costs to start a command with some secrets, by the medians
// of its runs.
type fetch struct {
	Launcher    string  `json:"launcher"`
	Secrets     int     `json:"secrets"`
	RTTMS       int     `json:"rtt_ms"`
	Runs        int     `json:"runs"`
	WallMS      float64 `json:"wall_ms"`
	FastestMS   float64 `json:"fastest_ms"`
	CPUMS       float64 `json:"cpu_ms"`
	RSSMiB      float64 `json:"rss_mib"`
	Requests    float64 `json:"requests"`
	Tokens      float64 `json:"tokens"`
	Connections float64 `json:"connections"`
	Packets     float64 `json:"packets,omitempty"` // with data, to the vault
}

// measureFetch runs the launchers in turn.
func measureFetch(launchers []launcher, p *place, n, rounds int) ([]fetch, error) {
	costs := make([][]cost, len(launchers))
	fetches := make([]fetch, len(launchers))
	for round := range rounds {
		for i, l := range launchers {
			if round >= l.runs(n, rounds) {
				continue
			}
			j, err := l.job(p, n)
			if err != nil {
				return nil, err
			}
			requests, tokens, conns, packets := p.requests.Load(), p.tokens.Load(), p.conns.Load(), p.packets.Load()
			c, err := p.runner.run(j)
			if err != nil {
				return nil, fmt.Errorf("%s, %d secrets: %w", l.name, n, err)
			}
			costs[i] = append(costs[i], c)
			fetches[i].Requests += float64(p.requests.Load() - requests)
			fetches[i].Tokens += float64(p.tokens.Load() - tokens)
			fetches[i].Connections += float64(p.conns.Load() - conns)
			fetches[i].Packets += float64(p.packets.Load() - packets)
		}
	}
	var measured []fetch
	for i, l := range launchers {
		runs := len(costs[i])
		if runs == 0 {
			continue
		}
		f, m := fetches[i], median(costs[i])
		f.Launcher, f.Secrets, f.RTTMS, f.Runs = l.name, n, int(p.rtt.Milliseconds()), runs
		f.WallMS, f.FastestMS, f.CPUMS, f.RSSMiB = ms(m.Wall), ms(fastest(costs[i])), ms(m.CPU), mib(m.RSS)
		f.Requests, f.Tokens, f.Connections = round2(f.Requests/float64(runs)), round2(f.Tokens/float64(runs)), round2(f.Connections/float64(runs))
		f.Packets = round2(f.Packets / float64(runs))
		fmt.Printf("%4d secrets, %2d ms: %-14s %9.1f ms  %8.1f ms CPU  %6.1f MiB  %g requests  %g connections  %g packets  (%d runs)\n",
			n, f.RTTMS, l.name, f.WallMS, f.CPUMS, f.RSSMiB, f.Requests, f.Connections, f.Packets, runs)
		measured = append(measured, f)
	}
	return measured, nil
}

// median is that of each figure by itself.
func median(costs []cost) cost {
	middle := func(of func(cost) int64) int64 {
		var all []int64
		for _, c := range costs {
			all = append(all, of(c))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return cost{
		Wall: time.Duration(middle(func(c cost) int64 { return int64(c.Wall) })),
		CPU:  time.Duration(middle(func(c cost) int64 { return int64(c.CPU) })),
		RSS:  middle(func(c cost) int64 { return c.RSS }),
	}
}

func fastest(costs []cost) time.Duration {
	return slices.MinFunc(costs, func(a, b cost) int { return int(a.Wall - b.Wall) }).Wall
}

func ms(d time.Duration) float64 { return round2(float64(d) / float64(time.Millisecond)) }

func mib(bytes int64) float64 { return round2(float64(bytes) / (1 << 20)) }

func round2(f float64) float64 { return float64(int64(f*100+0.5)) / 100 }
