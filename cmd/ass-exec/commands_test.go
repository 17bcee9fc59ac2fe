package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// excused are the blocks of commands that this test does not run, each by its
// file and its first words, and why. A test that is named there runs them.
var excused = []struct{ file, block, why string }{
	{"README.md", "docker build", "TestReadmeStartsTheImage"},
	{"README.md", "kubectl create", "TestDeploymentRunsAsREADMESays, as in examples/kubernetes"},
	{"README.md", "docker exec", "TestReadmeStartsTheImage"},
	{"CONTRIBUTING.md", "go test", "they are tests of this kind"},
	{"SECURITY.md", "sha256sum", "needs a release to download; .ci/run checks SHA256SUMS of one made here"},
	{"examples/README.md", "ass-devvault --user-key", "stays; TestOfficialCLIWorksUnmodified"},
	{"examples/README.md", "docker buildx", "needs a registry, and its digest of the day"},
	{"examples/compose/README.md", "make -C ../.. image", "TestComposeExampleComesUp"},
	{"examples/compose/README.md", "rm docker-compose", "TestComposeExampleIsWholeWithoutDevelopment"},
	{"examples/compose/README.md", "docker compose exec", "TestComposeExampleComesUp"},
	{"examples/docker/README.md", "make -C ../.. image", "make test-container, and TestStopEndsTheCommand in what it builds"},
	{"examples/docker/README.md", "docker exec", "TestExecGetsSecretsOnlyThroughUs"},
	{"examples/docker/README.md", "docker build", "TestEmptyImageStartsItsServer"},
	{"examples/kubernetes/README.md", "kubectl create", "TestDeploymentRunsAsREADMESays"},
	{"examples/kubernetes/README.md", "kubectl apply", "TestInjection"},
	{"examples/lambda/README.md", "docker build", "TestLambdaStartsItsRuntimeWithSecrets"},
	{"examples/local/README.md", "make build", "stays, as the server it starts; the next block is the same with commands that end"},
	{"examples/local/README.md", "export ASS_AGENT_KEY_COMMAND", "TestKeychainsGiveTheKey"},
	{"examples/local/README.md", "pass insert", "TestKeychainsGiveTheKey, except systemd-creds, which needs systemd"},
	{"examples/podman/README.md", "podman secret", "TestPodmanReadmeRunsTheImage"},
	{"examples/swarm/README.md", "docker build", "TestSwarmRollsABadMappingBack"},
	{"examples/systemd/README.md", "install example", "TestSystemdReadmeStartsTheService"},
}

// A block of commands to be run stands under a line of its own, <!-- run -->.
var commands = regexp.MustCompile("(?ms)^(<!-- run -->\n)?```(?:sh|console|bash|shell)\n(.*?)^```$")

// guides are the files whose commands a reader may paste.
func guides(t *testing.T) []string {
	t.Helper()
	files := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md"}
	err := filepath.WalkDir("../../examples", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "README.md" {
			files = append(files, strings.TrimPrefix(path, "../../"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// readText is a file of the repository, by its path in it.
func readText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The commands of a README run in its folder, in order, on a clean copy.
func TestCommandsOfReadmesRun(t *testing.T) {
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "examples"), os.DirFS("../../examples")); err != nil {
		t.Fatal(err)
	}
	for _, name := range guides(t) {
		t.Run(name, func(t *testing.T) {
			runMarked(t, readText(t, name), filepath.Join(root, filepath.Dir(name)))
		})
	}
}

// runMarked runs the blocks of a text that are marked, each by itself.
func runMarked(t *testing.T, text, dir string) {
	t.Helper()
	for _, block := range commands.FindAllStringSubmatch(text, -1) {
		if block[1] == "" {
			continue
		}
		if strings.Contains(block[2], "openssl ") {
			_, err := exec.LookPath("openssl")
			needTool(t, err == nil, "openssl")
		}
		cmd := exec.Command("sh", "-ec", block[2])
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "CI=", "ASS_RESOLVE=all")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\n%s", err, block[2], out)
		}
	}
}

func TestEveryBlockOfCommandsIsRunOrExcused(t *testing.T) {
	tests, left := testSources(t), slices.Clone(excused)
	for _, name := range guides(t) {
		for _, block := range commands.FindAllStringSubmatch(readText(t, name), -1) {
			if block[1] != "" {
				continue
			}
			i := slices.IndexFunc(left, func(e struct{ file, block, why string }) bool {
				return e.file == name && strings.HasPrefix(block[2], e.block)
			})
			if i < 0 {
				t.Errorf("%s: write <!-- run --> above this block, or excuse it here:\n%s", name, block[2])
				continue
			}
			for _, test := range regexp.MustCompile(`Test\w+`).FindAllString(left[i].why, -1) {
				if !strings.Contains(tests, "func "+test+"(") {
					t.Errorf("%s: %s: %s does not exist", name, left[i].block, test)
				}
			}
			left = slices.Delete(left, i, i+1)
		}
	}
	if len(left) > 0 {
		t.Errorf("excused, but not there: %q", left)
	}
}

// What the README runs on Kubernetes is what a cluster runs for its example.
func TestReadmeStartsKubernetesAsItsExample(t *testing.T) {
	block := func(name string) string {
		for _, block := range commands.FindAllStringSubmatch(readText(t, name), -1) {
			if strings.HasPrefix(block[2], "kubectl create") {
				return block[2]
			}
		}
		t.Fatalf("%s: no block of kubectl", name)
		return ""
	}
	got := strings.ReplaceAll(block("README.md"), "examples/kubernetes/", "")
	if want := block("examples/kubernetes/README.md"); !strings.HasPrefix(want, got) {
		t.Errorf("got\n%swant the first lines of\n%s", got, want)
	}
}
