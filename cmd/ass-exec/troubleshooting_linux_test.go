package main

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// A trouble is what leads to a message. Its variables win over those of a run
// that would start its command.
type trouble struct {
	fault   string // of the dev vault
	mapping string // of ./ass.env
	system  bool   // the same in /etc/ass-exec/ass.env
	env     []string
	args    []string // true, if there are none
}

// troubles are the messages of the README's table.
func troubles(t *testing.T) map[string]trouble {
	http407, _ := connectProxy(t, "", 407)
	socks, _ := socksProxy(t, []byte{5, 0xff})
	proxied := func(proxy string) trouble {
		return trouble{env: []string{"ASS_API_URL=https://vault.example", "ASS_TIMEOUT=1s", "HTTPS_PROXY=" + proxy}}
	}
	return map[string]trouble{
		"no command to run":                                        {args: []string{"--"}},
		"unknown flag …":                                           {args: []string{"-e", "X", "true"}},
		"no agent key: none of … is set":                           {env: []string{"ASS_AGENT_KEY="}},
		`agent key command "…": …`:                                 {env: []string{"ASS_AGENT_KEY=", "ASS_AGENT_KEY_COMMAND=false x"}},
		"nothing to fetch: …":                                      {env: []string{"X="}},
		"… does not exist":                                         {env: []string{"X=ass://a/NO"}},
		"… and neither was named":                                  {mapping: "X=a/B\n", system: true},
		"… and the mapping was not named":                          {mapping: "PATH=a/B\n", env: []string{"X="}},
		"… holds a reference that is not resolved: …":              {env: []string{"CI=true"}},
		"the vault refuses the agent key":                          {env: []string{"ASS_AGENT_KEY=ass_other"}},
		"the vault refused a token for …":                          {fault: "endpoint=tokens,kind=status,status=403"},
		"cannot reach …":                                           {env: []string{"ASS_API_URL=https://127.0.0.1:1", "ASS_TIMEOUT=100ms"}},
		"cannot reach …: the proxy…":                               proxied("http://127.0.0.1:1"),
		"… Proxy Authentication Required (407)":                    proxied("http://" + http407),
		"socks connect …":                                          proxied("socks5://" + socks),
		"… answered Service Unavailable (503): …":                  {fault: "endpoint=tokens,kind=status,status=503,retry-after=90"},
		"… answered Too Many Requests (429): …; trying again in …": {fault: "endpoint=tokens,kind=status,status=429,count=1"},
		"certificate of … is not trusted":                          {env: []string{"ASS_CA_FILE="}},
		"the reply is not JSON":                                    {fault: "endpoint=tokens,kind=html"},
		"a human must approve …":                                   {env: []string{"X=ass://a/SENSITIVE", "ASS_APPROVAL_TIMEOUT=0"}},
		`command "…": not found in PATH=…`:                         {args: []string{"no-such-program"}},
		"… is there, but its loader … is not":                      {args: []string{withoutLoader(t)}},
	}
}

// withoutLoader is a program that names a loader which is not there.
func withoutLoader(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("env")
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	program, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	loader := program.Section(".interp")
	needTool(t, loader != nil, "an env that names a loader")
	content[loader.Offset+loader.Size-2]++ // the last byte of its name
	path = filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMessagesOfTheReadmeAreWhatIsPrinted(t *testing.T) {
	left := troubles(t)
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?) \\| ").FindAllStringSubmatch(section(t, "Troubleshooting"), -1) {
		for _, span := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			message := span[1]
			cause, ok := left[message]
			delete(left, message)
			if !ok {
				t.Errorf("nothing here leads to %s", message)
				continue
			}
			want := regexp.MustCompile("(?m)^ass-exec: (error|warning): .*" + strings.ReplaceAll(regexp.QuoteMeta(message), "…", ".*"))
			t.Run(message, func(t *testing.T) {
				if got := cause.stderr(t); !want.MatchString(got) {
					t.Errorf("got  %swant %s", got, want)
				}
			})
		}
	}
	for message := range left {
		t.Errorf("the README does not have %s", message)
	}
}

// stderr is what ass-exec prints then.
func (c trouble) stderr(t *testing.T) string {
	t.Helper()
	v, env := vaultServer(t, devvault.Config{AgentKey: canaryKey})
	v.Put("a/B", canaryValue)
	v.PutTier("a/SENSITIVE", canaryValue, "sensitive")
	if c.fault != "" {
		f, err := devvault.ParseFault(c.fault)
		if err != nil {
			t.Fatal(err)
		}
		v.Inject(f)
	}
	if c.mapping != "" {
		t.Chdir(t.TempDir())
		if err := os.WriteFile("ass.env", []byte(c.mapping), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if c.system {
		return withSystemMapping(t, env)
	}
	if c.args == nil {
		c.args = []string{"true"}
	}
	_, _, stderr := assExec(t, append(append(env, "X=ass://a/B"), c.env...), c.args...)
	return stderr
}

// withSystemMapping is what ass-exec prints if /etc has the mapping of the
// working directory, too.
func withSystemMapping(t *testing.T, env []string) string {
	t.Helper()
	const inOwnEtc = `mount -t tmpfs none /etc && mkdir /etc/ass-exec && cp ass.env /etc/ass-exec/ && exec "$@"`
	enter := func(command ...string) *exec.Cmd {
		cmd := exec.Command("unshare", append([]string{"-rm", "sh", "-c", inOwnEtc, "sh"}, command...)...)
		cmd.Env = env
		return cmd
	}
	needTool(t, enter("true").Run() == nil, "unshare, to have an /etc of its own")
	var stderr strings.Builder
	cmd := enter(filepath.Join(bin, "ass-exec"), "true")
	cmd.Stderr = &stderr
	_ = cmd.Run() // it fails, and says why
	return stderr.String()
}
