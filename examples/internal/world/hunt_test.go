//go:build world

package world

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// canary begins every secret of this package. Fifteen bytes are whole groups of
// base64 and base32, so that a spelling of it begins that of the secret.
const canary = `cAnaRy "<&>/+é`

// Neither what ass-exec prints, nor a file, nor any process but the command
// holds a secret or the agent key, in whatever spelling, while the command runs
// and after it; and in the memory of a process that stays the command's user
// finds none.
func TestHuntFindsNoSecretButTheCommands(t *testing.T) {
	for _, args := range [][]string{
		{}, {"-v"}, {"--init", "-v"}, {"--init=group"}, {"--mask", "-v"}, {"--watch=1s", "-v"}, {"--mask", "--watch=1s", "--log-format=json", "-v"},
	} {
		for _, fault := range []string{"", "endpoint=secrets,kind=twice,count=1", "endpoint=secrets,kind=status,status=503,count=2", "endpoint=tokens,kind=cut", "endpoint=secrets,kind=html"} {
			for _, files := range []bool{false, true} {
				t.Run(fmt.Sprint(args, fault, files), func(t *testing.T) {
					t.Parallel()
					hunt(t, args, fault, files)
				})
			}
		}
	}
}

func hunt(t *testing.T, args []string, fault string, files bool) {
	v := newVault(t, 0)
	secret := canary + rand.Text()
	v.Put("w/SECRET", secret)
	if fault != "" {
		f, err := devvault.ParseFault(fault)
		must(t, err)
		v.Inject(f)
	}
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o777))
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(filepath.Join(anyones, "ass-exec"), slices.Concat(args, []string{"--", "sh", "-c", "echo started; read line"})...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "ASS_TIMEOUT=2s",
		"ASS_AGENT_KEY=" + v.AgentKey(), "ASS_API_URL=http://127.0.0.1:" + v.port,
		"X=ass://w/SECRET", "U=p:${ass://w/SECRET?encode=url}", "B=ass://w/SECRET?encode=base64",
	}
	if files {
		cmd.Env = append(cmd.Env, "F=ass://w/SECRET?as=file")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: nobody}
	input, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	ended := make(chan bool)
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	wanted := slices.Concat(spellings(secret), spellings(v.AgentKey()))
	command := commandOf(t, cmd.Process.Pid, ended)
	for _, where := range processesWith(wanted, command) {
		t.Errorf("while the command runs: %s", where)
	}
	if command != 0 {
		if b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", command)); !bytes.Contains(b, []byte(secret)) {
			t.Error("the command does not have the secret: this hunt finds nothing")
		}
		// SECURITY.md says why a file in memory under --watch opens it.
		if found := searchMemory(t, command, wanted); found != "found" {
			t.Errorf("the memory of the command: %s: this search finds nothing", found)
		}
		watched := files && strings.Contains(fmt.Sprint(args), "--watch")
		if found := searchMemory(t, cmd.Process.Pid, wanted); command != cmd.Process.Pid && (found == "found") != watched {
			t.Errorf("the memory of the process that stays: %s", found)
		}
	}
	input.Close()
	<-ended
	if (command != 0) != strings.Contains(stdout.String(), "started\n") {
		t.Errorf("the command ran: %v, and said %q", command != 0, stdout.String())
	}
	for name, text := range map[string][]byte{"stdout": stdout.Bytes(), "stderr": stderr.Bytes()} {
		if holds(text, wanted) {
			t.Errorf("a secret is in %s: %s", name, text)
		}
	}
	nothingWritten(t, dir)
}

func nothingWritten(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("written: %v, %v", entries, err)
	}
}

var (
	nobody  = &syscall.Credential{Uid: 65534, Gid: 65534}
	anyones string // a folder with ass-exec and this test that every user reaches
)

// searchMemory asks another user's process what of a process's memory it may
// read.
func searchMemory(t *testing.T, pid int, wanted [][]byte) (found string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(anyones, "test"))
	cmd.Env = []string{fmt.Sprintf("%s=%d", searchPID, pid)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
	var input strings.Builder
	for _, w := range wanted {
		fmt.Fprintln(&input, hex.EncodeToString(w))
	}
	cmd.Stdin = strings.NewReader(input.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	return string(out)
}

const searchPID = "WORLD_SEARCH_PID"

// search is what this test does as another user. What is looked for comes in
// hexadecimal, a line each.
func search(pid string) error {
	var wanted [][]byte
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		w, err := hex.DecodeString(lines.Text())
		if err != nil || len(w) == 0 {
			return fmt.Errorf("nothing to look for in %q: %w", lines.Text(), err)
		}
		wanted = append(wanted, w)
	}
	maps, err := os.ReadFile("/proc/" + pid + "/maps")
	if errors.Is(err, fs.ErrPermission) {
		fmt.Print("not readable")
		return nil
	}
	memory, openErr := os.Open("/proc/" + pid + "/mem")
	if err := errors.Join(err, openErr); err != nil {
		return err
	}
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil || rights[0] != 'r' {
			continue
		}
		area := make([]byte, to-from)
		n, _ := memory.ReadAt(area, from)
		if holds(area[:n], wanted) {
			fmt.Print("found")
			return nil
		}
	}
	fmt.Print("nothing")
	return nil
}

// watchProcesses looks until the test ends whether any process holds a secret,
// but for commands, and one that shows that this finds something.
func watchProcesses(t *testing.T) {
	t.Helper()
	wanted := spellings(canary)
	shown := exec.Command("sleep", "600")
	shown.Env = []string{"X=" + url.QueryEscape(canary)}
	must(t, shown.Start())
	done, ended := make(chan bool), make(chan bool)
	t.Cleanup(func() { close(done); <-ended; _ = shown.Process.Kill(); _ = shown.Wait() })
	go func() {
		defer close(ended)
		for ticks := time.Tick(200 * time.Millisecond); ; {
			found := processesWith(wanted, 0)
			if i := slices.Index(found, fmt.Sprintf("/proc/%d/environ", shown.Process.Pid)); i >= 0 {
				found = slices.Delete(found, i, i+1)
			} else {
				t.Error("the watch finds nothing")
			}
			for _, where := range found {
				exe, err := os.Readlink(filepath.Join(filepath.Dir(where), "exe"))
				if err == nil && filepath.Base(exe) != "env" {
					t.Errorf("%s of %s holds a secret", where, exe)
				}
			}
			select {
			case <-done:
				return
			case <-ticks:
			}
		}
	}()
}

// commandOf waits until the shell is there, ass-exec or a child of it, and
// waits for its line; 0 if ass-exec ends without it.
func commandOf(t *testing.T, pid int, ended <-chan bool) int {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		select {
		case <-ended:
			return 0
		default:
		}
		for _, candidate := range append(childrenOf(pid), pid) {
			exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", candidate))
			environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", candidate)) // empty in the middle of execve
			if slices.Contains([]string{"dash", "sh", "bash"}, filepath.Base(exe)) && len(environ) > 0 {
				return candidate
			}
		}
	}
	t.Error("the command does not start, and ass-exec does not end")
	return 0
}

// processesWith are those whose arguments or environment hold a secret, but
// for a command.
func processesWith(wanted [][]byte, command int) (where []string) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		for _, file := range []string{"cmdline", "environ"} {
			path := fmt.Sprintf("/proc/%d/%s", pid, file)
			if pid == command && file == "environ" {
				continue
			}
			if b, _ := os.ReadFile(path); holds(b, wanted) {
				where = append(where, path)
			}
		}
	}
	return where
}

func holds(text []byte, wanted [][]byte) bool {
	return slices.ContainsFunc(wanted, func(w []byte) bool { return bytes.Contains(text, w) })
}

// spellings are twelve in which a secret may be found: itself, and those of
// logs, URLs and dumps.
func spellings(s string) (all [][]byte) {
	quoted, _ := json.Marshal(s)
	ascii := strconv.QuoteToASCII(s)
	wide := []byte{}
	for _, unit := range utf16.Encode([]rune(s)) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	reversed := []byte(s)
	slices.Reverse(reversed)
	for _, spelling := range []string{
		s, string(quoted[1 : len(quoted)-1]), ascii[1 : len(ascii)-1], html.EscapeString(s), url.QueryEscape(s), url.PathEscape(s),
		base64.RawStdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s)), base32.StdEncoding.EncodeToString([]byte(s)),
		hex.EncodeToString([]byte(s)), string(wide), string(reversed),
	} {
		all = append(all, []byte(spelling))
	}
	return all
}
