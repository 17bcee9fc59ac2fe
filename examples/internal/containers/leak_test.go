//go:build container

package containers

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// canaries are all that must be found nowhere: the secrets, the key and the
// tokens given away so far, plain and in base64.
func (v *vault) canaries() map[string]string {
	canaries := map[string]string{"the agent key": v.AgentKey()}
	for path, value := range v.secrets {
		canaries[path] = value
	}
	for n := range len(v.tokens) {
		canaries[fmt.Sprint("token ", n)] = <-v.tokens
	}
	for name, value := range canaries {
		canaries[name+" in base64"] = base64.StdEncoding.EncodeToString([]byte(value))
	}
	return canaries
}

// found lists the canaries that some bytes hold.
func found(canaries map[string]string, b []byte) (names []string) {
	for name, value := range canaries {
		if bytes.Contains(b, []byte(value)) {
			names = append(names, name)
		}
	}
	return names
}

func output(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// saved is everything in an image: each layer, deleted files too.
func saved(t *testing.T, image string) []byte {
	t.Helper()
	var all bytes.Buffer
	archive := tar.NewReader(bytes.NewReader(output(t, "save", image)))
	for {
		_, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all.Bytes()
		}
		if err != nil {
			t.Fatal(err)
		}
		part, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		if z, err := gzip.NewReader(bytes.NewReader(part)); err == nil {
			if part, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		all.Write(part)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	for name, tc := range map[string]struct {
		options []string
		fault   devvault.Fault
		status  string
	}{
		"in the environment": {nil, devvault.Fault{}, "0"},
		"as a file":          {[]string{"-e", "TLS_KEY_FILE=ass://" + tlsKey + "?as=file"}, devvault.Fault{}, "0"},
		"a namespace":        {[]string{"-e", "ASS_NAMESPACE=production/tls"}, devvault.Fault{}, "0"},
		"verbose":            {[]string{"-e", "ASS_VERBOSE=1"}, devvault.Fault{}, "0"},
		"a secret missing":   {[]string{"-e", "X=ass://production/no/SUCH"}, devvault.Fault{}, "66"},
		"no such field":      {[]string{"-e", "X=ass://" + stripe + "?field=x"}, devvault.Fault{}, "65"},
		"tried again":        {nil, devvault.Fault{Endpoint: "secrets", Kind: "cut", Count: 2}, "0"},
		"replies cut":        {[]string{"-e", "ASS_TIMEOUT=1s"}, devvault.Fault{Endpoint: "secrets", Kind: "cut"}, "69"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t)
			if tc.fault.Kind != "" {
				v.Inject(tc.fault)
			}
			// The command looks at its secrets and tells nothing.
			id := v.start(t, node, tc.options, "sh", "-c", `test -n "$DATABASE_URL" && { test -z "$TLS_KEY_FILE" || test -s "$TLS_KEY_FILE"; }`)
			if got := docker(t, "wait", id); got != tc.status {
				t.Fatalf("got status %s, want %s: %s", got, tc.status, output(t, "logs", id))
			}
			canaries := v.canaries()
			if len(canaries) < 14 {
				t.Fatalf("got %d canaries: no token was seen", len(canaries))
			}
			for _, args := range [][]string{{"logs", id}, {"inspect", id}} {
				if got := found(canaries, output(t, args...)); got != nil {
					t.Errorf("docker %s holds %v", args[0], got)
				}
			}
			// The writable layer holds the places of the mounted files, as it
			// does without ass-exec, and nothing else.
			if got, want := string(output(t, "diff", id)), "A /agent-key\nA /ca.pem\n"; sortLines(got) != want {
				t.Errorf("docker diff: got %q, want %q", got, want)
			}
		})
	}
}

func sortLines(s string) string {
	lines := strings.SplitAfter(s, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func TestImagesHoldNoSecret(t *testing.T) {
	v := newVault(t)
	if got := v.run(t, node, nil, "true"); got.status != 0 {
		t.Fatalf("got %+v", got)
	}
	canaries := v.canaries()
	for _, image := range []string{ours, node, static} {
		for what, b := range map[string][]byte{
			"history": output(t, "history", "--no-trunc", image),
			"inspect": output(t, "image", "inspect", image),
			"save":    saved(t, image),
		} {
			if got := found(canaries, b); got != nil {
				t.Errorf("docker %s %s holds %v", what, image, got)
			}
		}
	}
}

// A search that finds nothing proves something only if it can find something.
func TestSearchFindsWhatIsLeftBehind(t *testing.T) {
	v := newVault(t)
	canaries := v.canaries()
	leaky := unique + "-leaky"
	build := exec.Command("docker", "build", "-q", "-t", leaky, "-")
	build.Stdin = strings.NewReader("FROM " + node + "\nUSER root\nENV KEY=" + v.AgentKey() +
		"\nRUN echo " + canaries[stripe+" in base64"] + " | base64 -d >/leak\nRUN rm /leak\n")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { docker(t, "rmi", "-f", leaky) })
	for what, tc := range map[string]struct {
		got  []byte
		want string
	}{
		"history": {output(t, "history", "--no-trunc", leaky), "the agent key"},
		"inspect": {output(t, "image", "inspect", leaky), "the agent key"},
		"save":    {saved(t, leaky), stripe},
	} {
		if got := found(canaries, tc.got); !slices.Contains(got, tc.want) {
			t.Errorf("docker %s: found %v, want %s", what, got, tc.want)
		}
	}
}
