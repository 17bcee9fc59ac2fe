//go:build soak

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// starts is how many times the soak starts the command; SOAK_STARTS overrides.
const starts = 10000

// Whatever befalls a start, the command either runs with all of its secrets or
// is not started, with a status of the table and within the budget.
func TestEveryStartIsWholeOrToldApart(t *testing.T) {
	n := starts
	if s := os.Getenv("SOAK_STARTS"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			t.Fatal(err)
		}
	}
	const budget, slack = 800 * time.Millisecond, 5 * time.Second
	var allowed []int
	for _, code := range exit.Codes() {
		allowed = append(allowed, int(code))
	}
	var mu sync.Mutex
	count := make(map[int]int)
	jobs := make(chan int)
	var wg sync.WaitGroup
	for range 4 {
		v, env := vaultServer(t, devvault.Config{})
		for i := range 5 {
			v.Put(fmt.Sprintf("soak/S%d", i), fmt.Sprintf("value %d", i))
			env = append(env, fmt.Sprintf("S%d=ass://soak/S%d", i, i))
		}
		env = append(env, "ASS_TIMEOUT="+budget.String())
		wg.Go(func() {
			for range jobs {
				v.Heal()
				fault := randomFault()
				if fault.Kind != "" {
					v.Inject(fault)
				}
				start := time.Now()
				status, ran := soakOnce(env)
				took := time.Since(start)
				mu.Lock()
				count[status]++
				mu.Unlock()
				if ran != (status == 0) || status != 0 && !slices.Contains(allowed, status) || took > budget+slack {
					t.Errorf("%+v: got status %d, whole run %v, after %s", fault, status, ran, took)
				}
			}
		})
	}
	for i := range n {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	t.Logf("%d starts by exit status: %v", n, count)
}

// soakOnce reports whether the command ran with every secret.
func soakOnce(env []string) (status int, ran bool) {
	cmd := exec.Command(filepath.Join(bin, "ass-exec"), "sh", "-c", `echo "$S0,$S1,$S2,$S3,$S4"`)
	cmd.Env = env
	out, _ := cmd.Output()
	return cmd.ProcessState.ExitCode(), strings.TrimSpace(string(out)) == "value 0,value 1,value 2,value 3,value 4"
}

// randomFault is none in one of three cases.
func randomFault() devvault.Fault {
	if rand.IntN(3) == 0 {
		return devvault.Fault{}
	}
	kind := devvault.FaultKinds[rand.IntN(len(devvault.FaultKinds))].Kind
	statuses := []int{400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504}
	endpoints := []string{"tokens", "secrets", "secrets", ""}
	return devvault.Fault{
		Kind: kind, Count: rand.IntN(4), Skip: rand.IntN(4), Endpoint: endpoints[rand.IntN(len(endpoints))],
		Status: statuses[rand.IntN(len(statuses))], Delay: time.Duration(rand.IntN(30)) * time.Millisecond,
		Location: "https://127.0.0.1:1/",
	}
}
