//go:build container

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// canaries are what must be found nowhere: the value, the key, and what each
// token of the dev vault begins with.
var canaries = map[string]string{"secret": canaryValue, "agent key": canaryKey, "token": canaryToken}

// Where a container can leave something, and how to look there.
var places = []struct {
	name string
	look func(t *testing.T, id string) []byte
}{
	{"docker history", func(t *testing.T, id string) []byte {
		return []byte(docker(t, "history", "--no-trunc", inspect(t, id, "{{.Image}}")))
	}},
	{"docker save", func(t *testing.T, id string) []byte {
		return unpacked(t, dockerBytes(t, "save", inspect(t, id, "{{.Image}}")))
	}},
	{"docker inspect", func(t *testing.T, id string) []byte { return []byte(docker(t, "inspect", id)) }},
	{"docker inspect of the image", func(t *testing.T, id string) []byte {
		return []byte(docker(t, "inspect", inspect(t, id, "{{.Image}}")))
	}},
	{"docker logs", func(t *testing.T, id string) []byte { return []byte(logs(t, id)) }},
	{"the container's files", func(t *testing.T, id string) []byte { return unpacked(t, dockerBytes(t, "export", id)) }},
	{"docker diff", func(t *testing.T, id string) []byte { return changed(t, id) }},
}

// changed is docker diff without what Docker itself makes: mount points.
func changed(t *testing.T, id string) []byte {
	t.Helper()
	var out []string
	for _, line := range strings.Split(docker(t, "diff", id), "\n") {
		if line != "" && line != "A /ca.pem" && line != "A /key" {
			out = append(out, line)
		}
	}
	return []byte(strings.Join(out, "\n"))
}

func dockerBytes(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := exec.Command("docker", args...).Output()
	if err != nil {
		t.Fatalf("docker %q: %v", args, err)
	}
	return out
}

// unpacked returns all that is in an archive, and in the archives in it: a
// string may straddle the blocks of a tar or hide in a compressed layer.
func unpacked(t *testing.T, archive []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	for files := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := files.Next()
		if err == io.EOF {
			return out.Bytes()
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		if unzipped, err := gunzip(data); err == nil {
			data = unzipped
		}
		fmt.Fprintln(&out, header.Name, header.Linkname, header.PAXRecords)
		if isTar(data) {
			data = unpacked(t, data)
		}
		out.Write(data)
	}
}

func gunzip(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func isTar(data []byte) bool { return len(data) > 512 && string(data[257:262]) == "ustar" }

// found lists in which place which canary lies.
func found(t *testing.T, id string) (out []string) {
	t.Helper()
	for _, place := range places {
		data := place.look(t, id)
		for what, canary := range canaries {
			if holds(data, canary) {
				out = append(out, what+" in "+place.name)
			}
		}
	}
	return out
}

// keyFromFile gives the agent key as a Docker secret does: with a variable it
// would be in docker inspect.
func keyFromFile(t *testing.T) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(canaryKey), 0o400); err != nil {
		t.Fatal(err)
	}
	return []string{"--env", "ASS_AGENT_KEY=", "--env", "ASS_AGENT_KEY_FILE=/key", "--volume", file + ":/key:ro"}
}

func TestNothingIsLeftBehind(t *testing.T) {
	for _, tt := range []struct {
		name, fault string
		env         []string
		started     bool
	}{
		{"plain", "", []string{"X=ass://a/B"}, true},
		{"as=file", "", []string{"X=ass://a/B?as=file"}, true},
		{"namespace", "", []string{"ASS_NAMESPACE=a"}, true},
		{"verbose", "", []string{"X=ass://a/B", "ASS_VERBOSE=1"}, true},
		{"retried", "endpoint=secrets,kind=cut,count=2", []string{"X=ass://a/B"}, true},
		{"not found", "", []string{"X=ass://a/B", "Y=ass://a/NO"}, false},
		{"unusable", "", []string{"X=ass://a/B?field=no"}, false},
		{"denied", "endpoint=secrets,kind=status,status=403", []string{"X=ass://a/B"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, flags := containerVault(t)
			if tt.fault != "" {
				f, err := devvault.ParseFault(tt.fault)
				if err != nil {
					t.Fatal(err)
				}
				v.Inject(f)
			}
			for _, kv := range tt.env {
				flags = append(flags, "--env", kv)
			}
			id := startContainer(t, args(flags, keyFromFile(t), []string{app, "busybox", "sh", "-c", wait})...)
			if tt.started {
				until(t, "the command has started", func() bool { return strings.HasPrefix(logs(t, id), "started\n") })
			} else {
				until(t, "the container has ended", func() bool { return inspect(t, id, "{{.State.Status}}") == "exited" })
			}
			if got := found(t, id); len(got) > 0 {
				t.Errorf("got %q", got)
			}
			if got := changed(t, id); len(got) > 0 {
				t.Errorf("files have changed: %s", got)
			}
			if tt.started {
				docker(t, "stop", id)
				if got := found(t, id); len(got) > 0 {
					t.Errorf("once stopped: %q", got)
				}
			}
		})
	}
}

// A command that is run beside the app gets what the image says, not what PID 1
// fetched: it has to fetch for itself.
func TestExecedCommandFetchesForItself(t *testing.T) {
	_, flags := containerVault(t)
	id := startContainer(t, args(flags, withSecret, keyFromFile(t), []string{app, "busybox", "sh", "-c", wait})...)
	until(t, "the command has started", func() bool { return logs(t, id) == "started\n" })
	const printX = `echo "$X"`
	if got := docker(t, "exec", id, "busybox", "sh", "-c", printX); got != "ass://a/B" {
		t.Errorf("got %q, want the reference", got)
	}
	if got := docker(t, "exec", id, "/ass-exec", "--", "busybox", "sh", "-c", printX); got != canaryValue {
		t.Errorf("through ass-exec: got %q, want the secret", got)
	}
}

// The control: each place is looked at, and what lies there is found.
func TestSearchFindsWhatIsLeftBehind(t *testing.T) {
	_, flags := containerVault(t) // with the key in a variable
	dir := t.TempDir()
	for name, text := range map[string]string{
		"Dockerfile": "FROM " + app + "\nENV LEAK=" + canaryValue + "\nCOPY leak /leak\nRUN [\"busybox\", \"rm\", \"/leak\"]\n",
		"leak":       canaryKey + canaryToken,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	image := docker(t, "build", "--quiet", dir)
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "--force", image).Run() })
	id := startContainer(t, args(flags, withSecret, []string{image, "busybox", "sh", "-c", `echo "$X" | busybox tee /` + canaryValue + "; " + wait})...)
	until(t, "the command has started", func() bool { return strings.Contains(logs(t, id), "started\n") })
	got := strings.Join(found(t, id), "\n")
	for _, place := range places {
		if !strings.Contains(got, "secret in "+place.name) {
			t.Errorf("nothing found in %s", place.name)
		}
	}
	for _, want := range []string{"agent key in docker save", "token in docker save", "agent key in docker inspect"} {
		if !strings.Contains(got, want) {
			t.Errorf("not found: %s", want)
		}
	}
}
