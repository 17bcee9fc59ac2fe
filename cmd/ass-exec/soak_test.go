//go:build soak

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// starts is how many times the soak starts the command; SOAK_STARTS overrides.
const starts = 10000

func soakStarts(t *testing.T) int {
	t.Helper()
	n := starts
	if s := os.Getenv("SOAK_STARTS"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// Whatever befalls a start, the command either runs with all of its secrets or
// is not started, with a status of the table and within the budget.
func TestEveryStartIsWholeOrToldApart(t *testing.T) {
	n := soakStarts(t)
	const budget, slack = 800 * time.Millisecond, 5 * time.Second
	full := fullPipe(t)
	var allowed []int
	for _, code := range exit.Codes() {
		allowed = append(allowed, int(code))
	}
	var mu sync.Mutex
	count := make(map[int]int)
	jobs := make(chan int)
	var wg sync.WaitGroup
	for worker := range 4 {
		v, env := soakVault(t, worker)
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
				around := surroundings[rand.IntN(len(surroundings))]
				status, ran := soakOnce(t, env, around, full)
				took := time.Since(start)
				mu.Lock()
				count[status]++
				mu.Unlock()
				if ran != (status == 0) || status != 0 && !slices.Contains(allowed, status) || took > budget+slack {
					t.Errorf("%+v, %s: got status %d, whole run %v, after %s", fault, around, status, ran, took)
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

// soakVault is one of four: as it should be, with clocks that lie by an hour,
// and without TLS, so that HTTP/1.1 is spoken.
func soakVault(t *testing.T, worker int) (v *devvault.Server, env []string) {
	t.Helper()
	if worker < 3 {
		return vaultServer(t, devvault.Config{Skew: []time.Duration{0, time.Hour, -time.Hour}[worker]})
	}
	v = devvault.New(devvault.Config{})
	s := httptest.NewUnstartedServer(v)
	s.Listener = v.Listener(s.Listener)
	s.Start()
	t.Cleanup(func() { v.Close(); s.CloseClientConnections(); s.Close() })
	return v, []string{"PATH=" + os.Getenv("PATH"), "ASS_API_URL=" + s.URL, "ASS_AGENT_KEY=" + v.AgentKey()}
}

// surroundings are how a start may be made besides as it should be.
var surroundings = []string{"", "", "full stderr", "few files", "init", "init and signals", "mask"}

// soakOnce reports whether the command ran with every secret.
func soakOnce(t *testing.T, env []string, around string, full *os.File) (status int, ran bool) {
	args := []string{filepath.Join(bin, "ass-exec"), "sh", "-c", `echo "$S0,$S1,$S2,$S3,$S4"`}
	want := "value 0,value 1,value 2,value 3,value 4"
	switch around {
	case "few files":
		args = append([]string{"sh", "-c", `ulimit -n 64 && exec "$@"`, "sh"}, args...)
	case "init", "init and signals":
		args = slices.Insert(args, 1, "--init")
	case "mask":
		args, want = slices.Insert(args, 1, "--mask"), "***,***,***,***,***"
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = env
	if around == "full stderr" {
		cmd.Stderr = full
	}
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return -1, true
	}
	done := make(chan bool)
	if around == "init and signals" {
		go signalUntil(cmd.Process, done)
	}
	_ = cmd.Wait()
	close(done)
	return cmd.ProcessState.ExitCode(), strings.TrimSpace(out.String()) == want
}

// signalUntil sends signals that end nothing, and so must change nothing.
func signalUntil(p *os.Process, done <-chan bool) {
	for ticks := time.Tick(10 * time.Millisecond); ; {
		select {
		case <-ticks:
			_ = p.Signal([]os.Signal{syscall.SIGWINCH, syscall.SIGCONT, syscall.SIGURG}[rand.IntN(3)])
		case <-done:
			return
		}
	}
}

// A vault that is killed at any moment leaves no start with a part.
func TestEveryStartIsWholeOrToldApartWhenTheVaultIsKilled(t *testing.T) {
	n := soakStarts(t) / 50
	count := make(map[int]int)
	for range n {
		vault := exec.Command(filepath.Join(bin, "ass-devvault"), "--listen", "127.0.0.1:0", "--agent-key", "soak_agent", "--seed", seedOf(t, 5))
		url := startVault(t, vault)
		env := []string{"PATH=" + os.Getenv("PATH"), "ASS_API_URL=" + url, "ASS_AGENT_KEY=soak_agent", "ASS_TIMEOUT=800ms"}
		for i := range 5 {
			env = append(env, fmt.Sprintf("S%d=ass://soak/S%d", i, i))
		}
		kill := time.AfterFunc(time.Duration(rand.IntN(15000))*time.Microsecond, func() { _ = vault.Process.Kill() })
		status, ran := soakOnce(t, env, "", nil)
		kill.Stop()
		_ = vault.Process.Kill()
		_ = vault.Wait()
		count[status]++
		if ran != (status == 0) || status != 0 && status != int(exit.Unavailable) {
			t.Errorf("got status %d, whole run %v", status, ran)
		}
	}
	t.Logf("%d starts by exit status: %v", n, count)
}

func seedOf(t *testing.T, n int) string {
	t.Helper()
	secrets := make(map[string]string)
	for i := range n {
		secrets[fmt.Sprintf("soak/S%d", i)] = fmt.Sprintf("value %d", i)
	}
	b, err := json.Marshal(map[string]any{"secrets": secrets})
	file := filepath.Join(t.TempDir(), "seed.json")
	if err := errors.Join(err, os.WriteFile(file, b, 0o600)); err != nil {
		t.Fatal(err)
	}
	return file
}

// startVault returns the URL that a vault says once it listens.
func startVault(t *testing.T, vault *exec.Cmd) (url string) {
	t.Helper()
	out, err := vault.StdoutPipe()
	if err == nil {
		err = vault.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, url, found := strings.Cut(lines.Text(), "ASS_API_URL="); found {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return strings.Trim(url, `"'`)
		}
	}
	t.Fatal("the vault says no ASS_API_URL")
	return ""
}

// A secret that changes all the time, and is printed all the time, costs an
// init no memory in the long run: ten minutes, or a quarter of a minute if
// SOAK_STARTS asks for less.
func TestSoakRotationsUnderMaskKeepTheirMemory(t *testing.T) {
	length := 10 * time.Minute
	if soakStarts(t) < starts {
		length = 15 * time.Second
	}
	v, env := vaultServer(t, devvault.Config{})
	v.Put("soak/X", "value 0 "+strings.Repeat("x", 1000))
	cmd := exec.Command(filepath.Join(bin, "ass-exec"), "--mask", "--watch=1s", "--on-change=USR1", "sh", "-c", `trap : USR1; while :; do echo "$X"; done`)
	cmd.Env = append(env, "X=ass://soak/X")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	leaked := make(chan bool, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), "xxxx") {
				leaked <- true
				return
			}
		}
	}()
	var second, last int
	ticks := time.Tick(time.Second)
	for i := 1; i <= int(length/time.Second); i++ {
		select {
		case <-ticks:
			v.Put("soak/X", fmt.Sprintf("value %d %s", i, strings.Repeat("x", 1000)))
		case <-leaked:
			t.Fatal("a value came through")
		}
		resident := residentKiB(t, cmd.Process.Pid)
		if i <= int(length/time.Second)/5 {
			second = max(second, resident)
		}
		last = resident
	}
	t.Logf("resident: %d KiB at most in the first fifth of %s, %d KiB at its end", second, length, last)
	if last > second*105/100+2048 { // of which the collector's whims are 2 MiB
		t.Errorf("got %d KiB, want no more than %d", last, second)
	}
}

func residentKiB(t *testing.T, pid int) (n int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatal(err)
	}
	return n
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
