//go:build world

package world

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
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

// Neither what ass-exec prints, nor a file, nor any process but the command
// holds a secret or the agent key, in whatever spelling, while the command runs
// and after it.
func TestHuntFindsNoSecretButTheCommands(t *testing.T) {
	for _, args := range [][]string{
		{}, {"-v"}, {"--init", "-v"}, {"--init=group"}, {"--mask", "-v"}, {"--watch=1s", "-v"}, {"--mask", "--watch=1s", "--log-format=json", "-v"},
	} {
		for _, fault := range []string{"", "endpoint=secrets,kind=twice,count=1", "endpoint=secrets,kind=status,status=503,count=2", "endpoint=tokens,kind=cut", "endpoint=secrets,kind=html"} {
			t.Run(fmt.Sprint(args, fault), func(t *testing.T) {
				t.Parallel()
				hunt(t, args, fault)
			})
		}
	}
}

func hunt(t *testing.T, args []string, fault string) {
	v := newVault(t, 0)
	secret := `cAnaRy "<&>/+ é` + rand.Text()
	v.Put("w/SECRET", secret)
	if fault != "" {
		f, err := devvault.ParseFault(fault)
		must(t, err)
		v.Inject(f)
	}
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(assExec, slices.Concat(args, []string{"--", "sh", "-c", "echo started; read line"})...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "ASS_TIMEOUT=2s",
		"ASS_AGENT_KEY=" + v.AgentKey(), "ASS_API_URL=http://127.0.0.1:" + v.port,
		"X=ass://w/SECRET", "U=p:${ass://w/SECRET?encode=url}", "B=ass://w/SECRET?encode=base64",
	}
	if !slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--watch") }) {
		cmd.Env = append(cmd.Env, "F=ass://w/SECRET?as=file")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	input, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	ended := make(chan bool)
	go func() { _ = cmd.Wait(); close(ended) }()
	wanted := slices.Concat(spellings(secret), spellings(v.AgentKey()))
	command := commandOf(t, cmd.Process.Pid, ended)
	for _, where := range processesWith(wanted, command) {
		t.Errorf("while the command runs: %s", where)
	}
	if command != 0 {
		if b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", command)); !bytes.Contains(b, []byte(secret)) {
			t.Error("the command does not have the secret: this hunt finds nothing")
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
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && path != dir {
			t.Errorf("%s was written", path)
		}
		return err
	}))
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
