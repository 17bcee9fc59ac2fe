//go:build soak

package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	if os.Getenv(inDeadNetwork) == "" {
		reenter(t)
		return
	}
	n := soakStarts(t)
	serveFaultyNames(t)
	proxy, full := soakProxy(t), fullPipe(t)
	var mu sync.Mutex
	count, total := make(map[int]int), make(map[string]int)
	jobs := make(chan int)
	var wg sync.WaitGroup
	for worker := range 4 {
		v := newSoakVault(t, worker)
		v.small, v.smallForTwo = smallGroup(t, "16"), smallGroup(t, "32")
		wg.Go(func() {
			for range jobs {
				s := randomStart(v.scheme == "https")
				status := v.try(t, s, proxy, full)
				mu.Lock()
				count[status]++
				for _, what := range s.words() {
					total[what]++
				}
				mu.Unlock()
			}
		})
	}
	for i := range n {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	t.Logf("%d starts by exit status: %v; of them %v", n, count, total)
	if count[0] < n/4 {
		t.Errorf("only %d of %d ran", count[0], n)
	}
}

// soakStart is what goes wrong around one start.
type soakStart struct {
	fault       devvault.Fault
	route       route
	clock, date time.Duration // by which the vault's clock and its Date are wrong
	mode        string
	place       string
}

func randomStart(secure bool) soakStart {
	lies := []time.Duration{0, time.Hour, -time.Hour}
	modes := []string{"", "", "init", "init and signals", "mask"}
	places := []string{"", "", "full stderr", "small limits"}
	return soakStart{
		randomFault(), randomRoute(secure), lies[rand.IntN(3)], lies[rand.IntN(3)],
		modes[rand.IntN(len(modes))], places[rand.IntN(len(places))],
	}
}

// words are those that count how often what was tried.
func (s soakStart) words() (words []string) {
	for word, ok := range map[string]bool{
		"vault's fault": s.fault.Kind != "", "reply twice": s.fault.Kind == "twice", "wrong clock": s.clock != 0, "wrong Date": s.date != 0,
		"proxy": s.route.proxy != "", "name": s.route.name != "" && s.route.proxy == "", s.mode: s.mode != "", s.place: s.place != "",
	} {
		if ok {
			words = append(words, word)
		}
	}
	return words
}

// try makes a start, and says what is wrong with how it ended.
func (v *soakVault) try(t *testing.T, s soakStart, proxy string, full *os.File) (status int) {
	const budget, slack = 800 * time.Millisecond, 5 * time.Second
	v.Heal()
	v.clock.Store(int64(s.clock))
	v.date.Store(int64(s.date))
	if s.fault.Kind != "" {
		v.Inject(s.fault)
	}
	env := slices.Concat(v.env, s.route.env(v.scheme, v.port, proxy), []string{"ASS_TIMEOUT=" + budget.String(), fmt.Sprint("ASS_VERBOSE=", rand.IntN(2))})
	start := time.Now()
	group := v.small
	if s.mode != "" {
		group = v.smallForTwo
	}
	status, stdout, stderr := soakOnce(t, env, s, group, full)
	took := time.Since(start)
	want := ""
	if status == 0 {
		want = soakValues
		if s.mode == "mask" {
			want = "***,***,***,***,***\n"
		}
	}
	switch {
	case stdout != want || status != 0 && !slices.Contains(exit.Codes(), exit.Code(status)):
		t.Errorf("%+v: got status %d, stdout %q, %s", s, status, stdout, stderr)
	case strings.Contains(stderr, "canary") || strings.Contains(stderr, v.AgentKey()) || strings.Contains(stderr, canaryToken):
		t.Errorf("%+v: a secret is printed: %s", s, stderr)
	case took > budget+slack:
		t.Errorf("%+v: status %d came after %s", s, status, took)
	case s.fault.Kind == "" && s.route.fine() && status != 0 && status != int(exit.Unavailable): // which a slow machine is
		t.Errorf("%+v: got status %d though nothing was wrong: %s", s, status, stderr)
	case strings.HasSuffix(s.route.proxy, wrongPassword) && status != int(exit.Config):
		t.Errorf("%+v: got status %d for a wrong password: %s", s, status, stderr)
	}
	return status
}

const soakValues = "canary 0,canary 1,canary 2,canary 3,canary 4\n"

func soakReferences() (env []string) {
	for i := range 5 {
		env = append(env, fmt.Sprintf("S%d=ass://soak/S%d", i, i))
	}
	return env
}

// soakVault is a vault whose clock and Date may be wrong.
type soakVault struct {
	*devvault.Server
	scheme, port string
	env          []string
	clock, date  atomic.Int64

	// Groups with limits. Those who stay are two, of some ten threads each.
	small, smallForTwo []string
}

// newSoakVault speaks HTTP/2 for two workers, HTTP/1.1 for the third, and that
// without TLS for the fourth.
func newSoakVault(t *testing.T, worker int) *soakVault {
	t.Helper()
	v := &soakVault{scheme: "https"}
	v.Server = devvault.New(devvault.Config{Now: func() time.Time { return time.Now().Add(time.Duration(v.clock.Load())) }})
	for i := range 5 {
		v.Put(fmt.Sprintf("soak/S%d", i), fmt.Sprintf("canary %d", i))
	}
	cert, ca, err := devvault.Certificate("127.0.0.1", "*.soak.example")
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	if err := errors.Join(err, os.WriteFile(caFile, ca, 0o644)); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(time.Duration(v.date.Load())).UTC().Format(http.TimeFormat))
		v.ServeHTTP(w, r)
	}))
	s.Listener = v.Listener(s.Listener)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.EnableHTTP2 = worker < 2
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if worker < 3 {
		s.StartTLS()
	} else {
		v.scheme = "http"
		s.Start()
	}
	t.Cleanup(func() { v.Close(); s.CloseClientConnections(); s.Close() })
	_, v.port, _ = net.SplitHostPort(s.Listener.Addr().String())
	v.env = append(soakReferences(), "PATH="+os.Getenv("PATH"), "ASS_AGENT_KEY="+v.AgentKey(), "ASS_CA_FILE="+caFile)
	return v
}

// soakOnce returns how a start ended and what was printed, by the command of its
// secrets.
func soakOnce(t *testing.T, env []string, s soakStart, group []string, full *os.File) (status int, stdout, stderr string) {
	args := []string{filepath.Join(bin, "ass-exec"), "sh", "-c", `echo "$S0,$S1,$S2,$S3,$S4"`}
	switch s.mode {
	case "init", "init and signals":
		args = slices.Insert(args, 1, "--init")
	case "mask":
		args = slices.Insert(args, 1, "--mask")
	}
	if s.place == "small limits" {
		enter := "ulimit -n 64"
		for _, file := range group {
			enter += " && echo $$ >" + file
		}
		args = append([]string{"sh", "-c", enter + ` && exec "$@"`, "sh"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = env
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if s.place == "full stderr" {
		cmd.Stderr = full
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return -1, "", ""
	}
	done := make(chan bool)
	if s.mode == "init and signals" {
		go signalUntil(cmd.Process, done)
	}
	_ = cmd.Wait()
	close(done)
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
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
		env := append(soakReferences(), "PATH="+os.Getenv("PATH"), "ASS_API_URL="+url, "ASS_AGENT_KEY=soak_agent", "ASS_TIMEOUT=800ms")
		kill := time.AfterFunc(time.Duration(rand.IntN(15000))*time.Microsecond, func() { _ = vault.Process.Kill() })
		status, stdout, stderr := soakOnce(t, env, soakStart{}, nil, nil)
		kill.Stop()
		_ = vault.Process.Kill()
		_ = vault.Wait()
		count[status]++
		if status == 0 && stdout != soakValues || status != 0 && (status != int(exit.Unavailable) || stdout != "") {
			t.Errorf("got status %d, stdout %q, %s", status, stdout, stderr)
		}
	}
	t.Logf("%d starts by exit status: %v", n, count)
}

func seedOf(t *testing.T, n int) string {
	t.Helper()
	secrets := make(map[string]string)
	for i := range n {
		secrets[fmt.Sprintf("soak/S%d", i)] = fmt.Sprintf("canary %d", i)
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
	var resident []int // once a second
	ticks := time.Tick(time.Second)
	for i := 1; i <= int(length/time.Second); i++ {
		select {
		case <-ticks:
			v.Put("soak/X", fmt.Sprintf("value %d %s", i, strings.Repeat("x", 1000)))
		case <-leaked:
			t.Fatal("a value came through")
		}
		resident = append(resident, residentKiB(t, cmd.Process.Pid))
	}
	// Minutes of ten. The collector's whims weigh more in a shorter one.
	tenth := len(resident) / 10
	second, last := mean(resident[tenth:2*tenth]), mean(resident[len(resident)-tenth:])
	t.Logf("resident: %d KiB in the second tenth of %s, %d KiB in the last", second, length, last)
	most := second * 105 / 100
	if length < 10*time.Minute {
		most += 2048
	}
	if last > most {
		t.Errorf("got %d KiB, want no more than %d", last, most)
	}
}

func mean(n []int) (sum int) {
	for _, n := range n {
		sum += n
	}
	return sum / len(n)
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
	waits := []string{"", "", "0", "1", "date+0", "date+1"}
	return devvault.Fault{
		Kind: kind, Count: rand.IntN(4), Skip: rand.IntN(4), Endpoint: endpoints[rand.IntN(len(endpoints))],
		Status: statuses[rand.IntN(len(statuses))], Delay: time.Duration(rand.IntN(30)) * time.Millisecond,
		RetryAfter: waits[rand.IntN(len(waits))], Location: "https://127.0.0.1:1/",
	}
}
