package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// searchParent makes this test binary, as the command, search the memory of
// its parent for what the variable lists in hexadecimal, which so stands in no
// one's memory as it is.
const searchParent = "SEARCH_PARENT"

func init() {
	if needles, ok := os.LookupEnv(searchParent); ok {
		os.Exit(searchParentMemory(needles))
	}
}

// searchParentMemory prints how often each needle occurs there.
func searchParentMemory(needles string) int {
	proc := fmt.Sprintf("/proc/%d/", os.Getppid())
	maps, err := os.ReadFile(proc + "maps")
	if err != nil {
		fmt.Println(err.(*os.PathError).Err)
		return 0
	}
	mem, err := os.Open(proc + "mem")
	if err != nil {
		fmt.Println(err.(*os.PathError).Err)
		return 0
	}
	for needle := range strings.SplitSeq(needles, ",") {
		text, _ := hex.DecodeString(needle)
		n := 0
		for line := range strings.Lines(string(maps)) {
			var from, to int64
			_, _ = fmt.Sscanf(line, "%x-%x", &from, &to)
			if strings.Fields(line)[1][0] != 'r' {
				continue
			}
			area := make([]byte, to-from)
			read, _ := mem.ReadAt(area, from)
			n += bytes.Count(area[:read], text)
		}
		fmt.Print(n, " ")
	}
	fmt.Println()
	return 0
}

func hexNeedles(needles ...string) string {
	coded := make([]string, len(needles))
	for i, n := range needles {
		coded[i] = hex.EncodeToString([]byte(n))
	}
	return searchParent + "=" + strings.Join(coded, ",")
}

func testBinary(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return self
}

// The command may read its parent's memory, so that must hold nothing that the
// command does not have.
func TestInitNeverHoldsKeyTokenOrValue(t *testing.T) {
	for _, tt := range []struct {
		flag string
		want string // of key, token, value
	}{
		{"--init", "0 0 0 \n"},
		{"--init=group", "0 0 0 \n"},
		// It holds the values that it masks, but only a process with
		// CAP_SYS_PTRACE reads them.
		{"--mask", "0 0 "},
	} {
		v, env := vaultServer(t, devvault.Config{AgentKey: canaryKey})
		v.Put("a/B", canaryValue)
		env = append(env, "X=ass://a/B", "F=ass://a/B?as=file", "PAD=1", hexNeedles(canaryKey, canaryToken, canaryValue))
		status, stdout, stderr := assExec(t, env, tt.flag, testBinary(t))
		if tt.flag == "--mask" && stdout == "permission denied\n" {
			continue
		}
		if status != 0 || !strings.HasPrefix(stdout, tt.want) || stderr != "" {
			t.Errorf("%s: got status %d, counts %q, %q; want %q", tt.flag, status, stdout, stderr, tt.want)
		}
	}
}

// One that watches needs the key; only a file in memory keeps it readable.
func TestWatchingProcessIsNotReadableForItsUser(t *testing.T) {
	needTool(t, os.Geteuid() == 0, "root, to start as another user")
	v, env := vaultServer(t, devvault.Config{AgentKey: canaryKey})
	v.Put("a/B", canaryValue)
	env = append(env, "X=ass://a/B", hexNeedles(canaryKey))
	for _, flag := range []string{"--watch=1h", "--mask"} {
		cmd := asNobody(t, env, flag, "COMMAND")
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != "permission denied\n" {
			t.Errorf("%s: got %q, %v; want permission denied", flag, out, err)
		}
	}
	cmd := asNobody(t, env, "--init", "sh", "-c", "echo through >/proc/$PPID/fd/1")
	file, err := os.Create(filepath.Join(filepath.Dir(cmd.Path), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Chmod(0o666); err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = file
	err = cmd.Run()
	if out, _ := os.ReadFile(file.Name()); err != nil || string(out) != "through\n" {
		t.Errorf("--init: got %q, %v; want what the command writes to the output of its parent", out, err)
	}
}

// Where the key cannot be wiped, nobody may look for it.
func TestInitThatCannotWipeTheKeyIsNotReadableForItsUser(t *testing.T) {
	mount := []string{"--mount", "sh", "-c", `mount -t proc -o ro proc /proc && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$0" "$@"`}
	needTool(t, exec.Command("unshare", append(mount, "true")...).Run() == nil, "root, to mount a /proc and start as another user")
	v, env := vaultServer(t, devvault.Config{AgentKey: canaryKey})
	v.Put("a/B", canaryValue)
	const warning = "ass-exec: warning: the agent key cannot be wiped from the environment of ass-exec: open /proc/self/mem: read-only file system\n"
	for source, want := range map[string]string{
		"ASS_AGENT_KEY=" + canaryKey: warning + "permission denied\n",
		"ASS_AGENT_KEY_COMMAND=printf %s%s " + canaryKey[:8] + " " + canaryKey[8:]: "0 \n", // nothing to wipe
	} {
		env := slices.DeleteFunc(slices.Clone(env), func(kv string) bool { return strings.HasPrefix(kv, "ASS_AGENT_KEY=") })
		cmd := asNobody(t, append(env, source, "X=ass://a/B", hexNeedles(canaryKey)), "--init", "COMMAND")
		outer := exec.Command("unshare", slices.Concat(mount, []string{cmd.Path}, cmd.Args[1:])...)
		outer.Env = cmd.Env
		out, err := outer.CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("%s: got %q, %v; want %q", source, out, err, want)
		}
	}
}

// The kernel gives the files of a process that is not to be read to root.
func TestFetchingProcessIsNotReadableForItsUser(t *testing.T) {
	needTool(t, os.Geteuid() == 0, "root, to start as another user")
	v, env := vaultServer(t, devvault.Config{AgentKey: canaryKey})
	v.Put("a/B", canaryValue)
	v.Inject(devvault.Fault{Endpoint: "secrets", Kind: "hang"})
	cmd := asNobody(t, append(env, "X=ass://a/B"), "true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "it fetches", func() bool { return len(v.Requests()) > 0 })
	var memory unix.Stat_t
	err := unix.Stat(fmt.Sprintf("/proc/%d/mem", cmd.Process.Pid), &memory)
	if err != nil || memory.Uid != 0 {
		t.Errorf("its memory belongs to %d, %v; want 0", memory.Uid, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// asNobody prepares a run as a user without any rights, of binaries that this
// user can reach.
func asNobody(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, from := range map[string]string{"ass-exec": filepath.Join(bin, "ass-exec"), "command": testBinary(t)} {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range args {
		args[i] = strings.Replace(args[i], "COMMAND", filepath.Join(dir, "command"), 1)
	}
	cmd := exec.Command(filepath.Join(dir, "ass-exec"), args...)
	cmd.Env = env
	for i, kv := range cmd.Env {
		if file, ok := strings.CutPrefix(kv, "ASS_CA_FILE="); ok {
			data, err := os.ReadFile(file)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "ca.pem"), data, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			cmd.Env[i] = "ASS_CA_FILE=" + filepath.Join(dir, "ca.pem")
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	return cmd
}
