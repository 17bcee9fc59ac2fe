//go:build container

package containers

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// files unpacks a container's file system: names with the contents of those
// that are files.
func files(t *testing.T, image string) map[string][]byte {
	t.Helper()
	id := docker(t, "create", image)
	defer docker(t, "rm", id)
	archive := tar.NewReader(bytes.NewReader(output(t, "export", id)))
	all := map[string][]byte{}
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if all[header.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
}

func TestImageHoldsOneFileInOneLayer(t *testing.T) {
	var images []struct {
		RootFS struct{ Layers []string }
		Config struct {
			Entrypoint, Cmd []string
			Labels          map[string]string
		}
		Size int
	}
	if err := json.Unmarshal(output(t, "image", "inspect", ours), &images); err != nil {
		t.Fatal(err)
	}
	image := images[0]
	if n := len(image.RootFS.Layers); n != 1 {
		t.Errorf("got %d layers, want 1", n)
	}
	if image.Size == 0 || image.Size >= 8<<20 {
		t.Errorf("got %d bytes, want less than 8 MB", image.Size)
	}
	if c := image.Config; !slices.Equal(c.Entrypoint, []string{"/ass-exec"}) || c.Cmd != nil {
		t.Errorf("got ENTRYPOINT %q and CMD %q", c.Entrypoint, c.Cmd)
	}
	for _, label := range []string{"title", "description", "source", "licenses", "version"} {
		if image.Config.Labels["org.opencontainers.image."+label] == "" {
			t.Errorf("no label %s", label)
		}
	}
	version := "ass-exec " + image.Config.Labels["org.opencontainers.image.version"]
	if got := docker(t, "run", "--rm", ours, "--version"); got != version {
		t.Errorf("got --version %q, want the label's %q", got, version)
	}
	var names []string
	for name, content := range files(t, ours) {
		// Docker itself puts empty files there, to mount over.
		if len(content) > 0 {
			names = append(names, name)
		}
	}
	if want := []string{"ass-exec"}; !slices.Equal(names, want) {
		t.Errorf("got files %q, want %q", names, want)
	}
}

// The commands of the Dockerfile and of the Makefile are to be the same.
func TestImageHoldsWhatMakeBuilds(t *testing.T) {
	made, err := os.ReadFile("../../../bin/ass-exec")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := docker(t, "run", "--rm", ours, "--version"), run(t, "../../../bin/ass-exec", "--version").stdout; got+"\n" != want {
		t.Fatalf("got an image of %s, want one of %s; run make build image", got, want)
	}
	in := files(t, ours)["ass-exec"]
	a, errA := buildinfo.Read(bytes.NewReader(made))
	b, errB := buildinfo.Read(bytes.NewReader(in))
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a.Settings, b.Settings) {
		t.Errorf("got build settings %v, want %v", b.Settings, a.Settings)
	}
	if a.GoVersion == b.GoVersion && sha256.Sum256(made) != sha256.Sum256(in) {
		t.Errorf("the same compiler made another binary of %d bytes, want one of %d", len(in), len(made))
	}
}

func TestImageIsBuiltForEveryArchitecture(t *testing.T) {
	for arch, want := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		dir := t.TempDir()
		docker(t, "build", "-q", "--platform", "linux/"+arch, "--output", "type=local,dest="+dir, "../../..")
		binary, err := elf.Open(filepath.Join(dir, "ass-exec"))
		if err != nil {
			t.Fatal(err)
		}
		if binary.Machine != want || binary.Section(".interp") != nil {
			t.Errorf("%s: got machine %v, with a loader: %v; want a static %v", arch, binary.Machine, binary.Section(".interp") != nil, want)
		}
		binary.Close()
	}
}

// With the Dockerfile alone beside what stands for the binaries of a release.
func TestReleaseImagesHoldTheBinariesOfTheRelease(t *testing.T) {
	release := t.TempDir()
	if err := os.Mkdir(filepath.Join(release, "dist"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"Dockerfile", ".dockerignore"} {
		b, err := os.ReadFile(filepath.Join("../../..", file))
		if err := errors.Join(err, os.WriteFile(filepath.Join(release, file), b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, arch := range []string{"amd64", "arm64"} {
		for _, command := range []string{"ass-exec", "ass-devvault"} {
			name := command + "-linux-" + arch
			if err := os.WriteFile(filepath.Join(release, "dist", name), []byte("this is "+name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	for target, want := range map[string][]string{"release": {"ass-exec"}, "devvault-release": {"ass-devvault", "ass-exec"}} {
		for _, arch := range []string{"amd64", "arm64"} {
			dir := t.TempDir()
			docker(t, "build", "-q", "--platform", "linux/"+arch, "--target", target, "--output", "type=local,dest="+dir, release)
			for _, command := range want {
				got, err := os.ReadFile(filepath.Join(dir, command))
				if want := "this is " + command + "-linux-" + arch; err != nil || string(got) != want {
					t.Errorf("%s for %s: got %q in /%s, want %q (%v)", target, arch, got, command, want, err)
				}
			}
		}
	}
}

func TestEmptyImageStartsItsServer(t *testing.T) {
	v := newVault(t)
	id := v.start(t, static, []string{"--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"})
	eventually(t, "the server is healthy", func() bool { return run(t, "docker", "exec", id, "/server", "-health").status == 0 })
	var names []string
	for name, content := range files(t, static) {
		if len(content) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if want := []string{"ass-exec", "etc/ass-exec/ass.env", "server"}; !slices.Equal(names, want) {
		t.Errorf("got files %q, want %q", names, want)
	}
}

// Without a CA bundle the embedded roots count: they do not trust the vault of
// this test, but they are there, or the complaint would be another.
func TestEmptyImageHasRoots(t *testing.T) {
	v := newVault(t)
	got := v.run(t, static, []string{"-e", "ASS_CA_FILE="})
	if got.status != 78 || !strings.Contains(got.stderr, "is not trusted") || strings.Contains(got.stderr, "system roots") {
		t.Errorf("got %+v, want status 78 and a certificate that is not trusted", got)
	}
}

// What the init container and the pod of examples/kubernetes do.
func TestInstalledBinaryStartsAnImageWithoutIt(t *testing.T) {
	v := newVault(t)
	shared := t.TempDir()
	if err := os.Chmod(shared, 0o777); err != nil { // as an emptyDir is
		t.Fatal(err)
	}
	restricted := []string{"--user", "65532:65532", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"}
	install := append([]string{"run", "--rm", "-v", shared + ":/shared"}, restricted...)
	docker(t, append(install, ours, "--install", "/shared/ass-exec")...)

	options := append(restricted, "-v", shared+":/shared:ro", "-e", "DATABASE_URL=ass://"+databaseURL, "--entrypoint", "/shared/ass-exec")
	want := result{0, v.secrets[databaseURL], ""}
	if got := v.run(t, "node:22-alpine", options, append([]string{"--"}, printDatabaseURL...)...); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestComposeExampleComesUp(t *testing.T) {
	variants := map[string][]string{
		"key in a file":     {"--project-directory", "../../compose"},
		"key in a variable": {"-f", "../../compose/docker-compose.yml", "-f", "../../compose/docker-compose.override.yml", "-f", "../../compose/environment.yml"},
	}
	t.Setenv("PORT", "0") // any
	for name, files := range variants {
		t.Run(name, func(t *testing.T) {
			compose := func(args ...string) []string {
				return append(append([]string{"compose", "-p", unique}, files...), args...)
			}
			t.Setenv("ASS_AGENT_KEY", "ass_dev_only")
			t.Cleanup(func() { docker(t, compose("down", "--volumes", "--timeout", "5")...) })
			docker(t, compose("up", "--build", "--wait", "--wait-timeout", "120")...)

			for service, want := range map[string][]string{
				"api":    {"GEMINI_API_KEY", "DATABASE_URL", "STRIPE_SECRET_KEY", "PGPASSWORD"},
				"worker": {"DATABASE_URL", "SLACK_BOT_TOKEN", "QUEUE_URL"},
			} {
				environ := docker(t, compose("exec", "-T", service, "cat", "/proc/1/environ")...)
				for _, name := range want {
					if !strings.Contains("\x00"+environ, "\x00"+name+"=") {
						t.Errorf("%s: no %s in the environment of process 1", service, name)
					}
				}
				for _, not := range []string{"ASS_AGENT_KEY", "ass_dev_only", "ass://"} {
					if strings.Contains(environ, not) {
						t.Errorf("%s: %s in the environment of process 1", service, not)
					}
				}
			}
			got := docker(t, compose("exec", "-T", "api", "/ass-exec", "--", "sh", "-c", "echo ${#STRIPE_SECRET_KEY}")...)
			if got != "23" {
				t.Errorf("exec behind ass-exec: got a secret of %s bytes, want 23", got)
			}
			id := docker(t, compose("ps", "-q", "api")...)
			shown := strings.Contains(docker(t, "inspect", id), "ass_dev_only")
			if want := name == "key in a variable"; shown != want {
				t.Errorf("docker inspect shows the key: got %v, want %v", shown, want)
			}
		})
	}
}

// A vault that is away: Compose takes what lives for what has started, unless
// the health check says otherwise.
func TestComposeWaitsForHealthOnly(t *testing.T) {
	v := newVault(t)
	v.Inject(devvault.Fault{Kind: "status", Status: 503})
	for name, tc := range map[string]struct {
		health, timeout string
		up              bool
	}{
		"without a health check": {"{disable: true}", "5m", true},
		"with the example's":     {"{test: [CMD, wget, -q, -O, /dev/null, \"http://127.0.0.1:3000/health\"], interval: 1s}", "3s", false},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "docker-compose.yml")
			content := fmt.Sprintf(`services:
  api:
    image: %s
    environment: {ASS_API_URL: "%s", ASS_CA_FILE: /ca.pem, ASS_AGENT_KEY_FILE: /agent-key, ASS_TIMEOUT: %s}
    extra_hosts: ["vault:%s"]
    volumes: ["%s:/ca.pem:ro", "%s:/agent-key:ro"]
    healthcheck: %s
`, node, v.url, tc.timeout, gateway, v.ca, v.key, tc.health)
			if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
			compose := []string{"compose", "-p", unique + "-health", "-f", file}
			t.Cleanup(func() { docker(t, append(compose, "down", "--timeout", "5")...) })
			got := run(t, "docker", append(compose, "up", "--wait", "--wait-timeout", "60")...)
			if (got.status == 0) != tc.up {
				t.Errorf("got %+v, want success: %v", got, tc.up)
			}
		})
	}
}

// As README.md tells whoever has an account: the file for development is deleted.
func TestComposeExampleIsWholeWithoutDevelopment(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "compose")
	if err := errors.Join(os.CopyFS(dir, os.DirFS("../../compose")), os.Remove(filepath.Join(dir, "docker-compose.override.yml"))); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AGENT_KEY_FILE", "/etc/example/agent-key")
	got := docker(t, "compose", "--project-directory", dir, "config")
	if !strings.Contains(got, "file: /etc/example/agent-key") {
		t.Errorf("the key's file is not in\n%s", got)
	}
	for _, development := range []string{"vault:", "ASS_API_URL", "ASS_CA_FILE", "development", "depends_on", "volumes"} {
		if strings.Contains(got, development) {
			t.Errorf("%s is in\n%s", development, got)
		}
	}
}

func TestComposeWantsTheVariable(t *testing.T) {
	t.Setenv("ASS_AGENT_KEY", "")
	got := run(t, "docker", "compose", "-f", "../../compose/docker-compose.yml", "-f", "../../compose/environment.yml", "config", "-q")
	if got.status == 0 || !strings.Contains(got.stderr, "ASS_AGENT_KEY") {
		t.Errorf("got %+v, want an error that names ASS_AGENT_KEY", got)
	}
}
