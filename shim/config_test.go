package shim

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

func TestFlagsEndAtTheFirstWordThatIsNone(t *testing.T) {
	for _, tt := range []struct{ args, argv []string }{
		{[]string{"node", "-v", "--mapping", "x"}, []string{"node", "-v", "--mapping", "x"}},
		{[]string{"-v", "--timeout", "5s", "node", "-v"}, []string{"node", "-v"}},
		{[]string{"--", "-weird", "--"}, []string{"-weird", "--"}},
		{[]string{"--timeout=5s", "--", "a", "", "b c"}, []string{"a", "", "b c"}},
	} {
		cfg, err := ParseConfig(tt.args, nil)
		if err != nil || !slices.Equal(cfg.Argv, tt.argv) {
			t.Errorf("%q: got %q, %v; want %q", tt.args, cfg.Argv, err, tt.argv)
		}
	}
}

func TestFlagsWinOverVariablesAndEmptyVariablesAreUnset(t *testing.T) {
	cfg, err := ParseConfig([]string{"--timeout=5s", "true"}, []string{
		"ASS_TIMEOUT=nonsense", "ASS_MAPPING=", "ASS_VERBOSE=1", "ASS_TOKEN_TTL=15m", "ASS_VERBOSE=0", "ASS_API_URL= http://localhost:1/v1/ ",
	})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Timeout != 5*time.Second || cfg.MappingFile != "" || !cfg.Verbose || cfg.TokenTTL != 15*time.Minute || cfg.URL.String() != "http://localhost:1" {
		t.Errorf("got %+v", cfg)
	}
}

func TestBaseURLIsTakenWithOrWithoutSlashAndVersion(t *testing.T) {
	for in, want := range map[string]string{
		"https://v.example":           "https://v.example",
		"https://v.example/":          "https://v.example",
		"https://v.example/v1":        "https://v.example",
		"https://v.example:8443/v1/":  "https://v.example:8443",
		"https://v.example/proxy/v1/": "https://v.example/proxy",
		"http://[::1]:80":             "http://[::1]:80",
	} {
		cfg, err := ParseConfig([]string{"--api-url", in, "true"}, nil)
		if err != nil || cfg.URL.String() != want {
			t.Errorf("%s: got %s, %v; want %s", in, cfg.URL, err, want)
		}
	}
}

func TestEveryMalformedSettingIsNamed(t *testing.T) {
	for _, tt := range []struct {
		args, environ []string
		want          string
		code          int
	}{
		{[]string{"--nope"}, nil, "unknown flag --nope", 64},
		{[]string{"-e", "X=1", "true"}, nil, "unknown flag -e", 64},
		{[]string{"---agent-key=s3cret", "true"}, nil, "bad flag syntax: ---agent-key", 64},
		{[]string{"--preserve_env=1", "true"}, nil, "unknown flag --preserve_env; did you mean --preserve-env?", 64},
		{[]string{"--init=enabled", "x"}, nil, "--init: must be true, false or group", 64},
		{[]string{"--mapping"}, nil, "flag needs an argument: --mapping", 64},
		{nil, nil, "no command to run", 64},
		{[]string{"--timeout=fast", "x"}, nil, "--timeout: must be a duration such as 90s or 2m", 64},
		{[]string{"--verbose=maybe", "x"}, nil, "--verbose: must be true or false", 64},
		{[]string{"--mapping=", "x"}, nil, "--mapping: needs a value", 64},
		{
			[]string{"x"},
			[]string{"ASS_TIMEOUT=-1s", "ASS_VERBOSE=si", "ASS_TOKEN_TTL=90s", "ASS_LOG_FORMAT=xml"},
			"ASS_TIMEOUT: must be a duration such as 90s or 2m\n" +
				"ASS_TOKEN_TTL: must be a whole number of minutes, such as 5m\n" +
				"ASS_LOG_FORMAT: must be text or json\n" +
				"ASS_VERBOSE: must be true or false", 78,
		},
		{[]string{"x"}, []string{"ASS_AGENT_KEY=k", "ASS_AGENT_KEY_FILE=f"}, "ASS_AGENT_KEY and ASS_AGENT_KEY_FILE are set, and each gives an agent key", 78},
		{[]string{"x"}, []string{"ASS_API_URL=ftp://x"}, "ASS_API_URL: must be a URL such as https://api.agentsecretstore.com", 78},
		{[]string{"x"}, []string{"ASS_API_URL=https://u:p@x"}, "ASS_API_URL: must not hold a user or password", 78},
		{[]string{"x"}, []string{"ASS_API_URL=https://x?a"}, "ASS_API_URL: must not hold a ? or #", 78},
		{[]string{"x"}, []string{"ASS_API_URL=http://vault"}, "the vault's URL is http, which would send the agent key in cleartext to vault", 78},
		{[]string{"x"}, []string{"HTTPS_PROXY=http://u:p@h:x"}, "HTTPS_PROXY is not the URL of a proxy", 78},
		{[]string{"x"}, []string{"http_proxy=gopher://h"}, "http_proxy is not the URL of a proxy", 78},
	} {
		_, err := ParseConfig(tt.args, tt.environ)
		if err == nil || err.Error() != tt.want || exit.Status(err) != tt.code {
			t.Errorf("%q %q:\ngot  %v (%d)\nwant %s (%d)", tt.args, tt.environ, err, exit.Status(err), tt.want, tt.code)
		}
	}
}

func TestHTTPIsAllowedOnLoopbackAndOnRequest(t *testing.T) {
	for _, args := range [][]string{
		{"--api-url=http://127.9.9.9", "x"},
		{"--api-url=http://[::1]:8", "x"},
		{"--api-url=http://LOCALHOST", "x"},
		{"--allow-http", "--api-url=http://vault", "x"},
	} {
		if _, err := ParseConfig(args, nil); err != nil {
			t.Errorf("%q: got %v", args, err)
		}
	}
}

func TestDefaultsAreThoseThatHelpShows(t *testing.T) {
	cfg, err := ParseConfig([]string{"true"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	values := func(c Config) string {
		return strings.TrimSpace(fmt.Sprintln(c.URL, c.Timeout, c.ApprovalTimeout, c.TokenTTL, c.OnChange, c.StopTimeout, c.JSON))
	}
	n := 0
	for _, s := range settings {
		if s.def == "" || s.flag == "mapping" || s.flag == "resolve" { // which are in words
			continue
		}
		n++
		set := cfg
		if err := s.set(&set, s.def); err != nil || values(set) != values(cfg) {
			t.Errorf("%s=%s: got %s, %v; the default is %s", s.flag, s.def, values(set), err, values(cfg))
		}
	}
	if want := "https://api.agentsecretstore.com 1m0s 10m0s 5m0s restart 10s false"; n != 7 || values(cfg) != want {
		t.Errorf("%d defaults: got %s, want %s", n, values(cfg), want)
	}
}

func TestTimesHaveTheirLimits(t *testing.T) {
	const noDuration, noMinutes = "must be a duration such as 90s or 2m", "must be a whole number of minutes, such as 5m"
	for _, tt := range []struct{ flag, value, want string }{
		{"timeout", "0", ""},
		{"timeout", "-1ns", noDuration},
		{"watch", "0s", ""},
		{"watch", "-1ns", noDuration},
		{"approval-timeout", "0", ""},
		{"approval-timeout", "1", noDuration},
		{"stop-timeout", "0", ""},
		{"token-ttl", "1m", ""},
		{"token-ttl", "120s", ""},
		{"token-ttl", "0", noMinutes},
		{"token-ttl", "59s", noMinutes},
		{"token-ttl", "61s", noMinutes},
		{"token-ttl", "-1m", noMinutes},
		{"token-ttl", "fast", noMinutes},
	} {
		_, err := ParseConfig([]string{"--" + tt.flag + "=" + tt.value, "true"}, nil)
		got := ""
		if err != nil {
			got = strings.TrimPrefix(err.Error(), "--"+tt.flag+": ")
		}
		if got != tt.want {
			t.Errorf("%s=%s: got %q, want %q", tt.flag, tt.value, got, tt.want)
		}
	}
}

func TestURLThatIsNoVaultsIsRefused(t *testing.T) {
	const noURL, query = "--api-url: must be a URL such as https://api.agentsecretstore.com", "--api-url: must not hold a ? or #"
	for in, want := range map[string]string{
		"vault": noURL, "//vault": noURL, "https://": noURL, "https:///v1": noURL, "https://:443": noURL, "https:vault": noURL, "https://v:x": noURL,
		"https://bücher.example":      "--api-url: must have its host in ASCII, such as xn--bcher-kva.example",
		"https://b%C3%BCcher.example": "--api-url: must have its host in ASCII, such as xn--bcher-kva.example",
		"ftp://v":                     noURL, "https://v?": query, "https://v?a": query, "https://v#a": query, "https://u@v": "--api-url: must not hold a user or password",
		"http://10.0.0.1":  "the vault's URL is http, which would send the agent key in cleartext to 10.0.0.1",
		"http://localhost": "<nil>", "https://10.0.0.1": "<nil>",
	} {
		if _, err := ParseConfig([]string{"--api-url", in, "true"}, nil); fmt.Sprint(err) != want {
			t.Errorf("%s: got %v, want %s", in, err, want)
		}
	}
}

// net/http would do without another one, and say nothing.
func TestProxyIsOneThatIsUsed(t *testing.T) {
	for proxy, want := range map[string]bool{
		"proxy:3128": true, "http://proxy:3128": true, "https://proxy": true, "socks5://proxy:1080": true, "socks5h://proxy": true, "http://u:p@proxy": true,
		"http://": false, "http://:3128": false, "socks4://proxy": false, "ftp://proxy": false, "http://proxy:x": false, "%": false,
	} {
		_, err := ParseConfig([]string{"true"}, []string{"https_proxy=" + proxy})
		if got := err == nil; got != want {
			t.Errorf("%s: got %v, want %t", proxy, err, want)
		}
	}
}

func TestOnlyARunNeedsACommand(t *testing.T) {
	for _, flag := range []string{"--version", "--help", "--check", "--lint", "--install=x"} {
		if _, err := ParseConfig([]string{flag}, nil); err != nil {
			t.Errorf("%s: got %v", flag, err)
		}
	}
	_, err := ParseConfig([]string{"--"}, nil)
	if es := exit.AsErrors(err); len(es) != 1 || es[0].Msg != "no command to run" || es[0].Code != exit.Usage || !strings.Contains(es[0].Hint, "loses the CMD of its base") {
		t.Errorf("got %v", err)
	}
}

// Settings without a variable look for none.
func TestEntryWithoutANameSetsNothing(t *testing.T) {
	for _, entry := range []string{"=true", "=0", "=/tmp/ass-exec", "=", ""} {
		cfg, err := ParseConfig([]string{"true"}, []string{entry})
		if err != nil || cfg.Help || cfg.Version || cfg.Check || cfg.Install != "" {
			t.Errorf("%q: got %v, help %v, version %v, check %v, install %q", entry, err, cfg.Help, cfg.Version, cfg.Check, cfg.Install)
		}
	}
}

func TestBooleansTakeOnAndOffToo(t *testing.T) {
	for v, want := range map[string]bool{"on": true, "ON": true, "yes": true, "1": true, "off": false, "No": false, "0": false} {
		cfg, err := ParseConfig([]string{"--mask=" + v, "true"}, []string{"ASS_INIT=" + v})
		if err != nil || cfg.Mask != want || cfg.Init != want {
			t.Errorf("%s: got %t, %t, %v", v, cfg.Mask, cfg.Init, err)
		}
	}
}

func TestTildeIsHome(t *testing.T) {
	environ := []string{"ASS_AGENT_KEY_FILE=~/key", "ASS_CA_FILE=~/ca/~/x", "ASS_MAPPING=~user/a"}
	cfg, err := ParseConfig([]string{"true"}, append(environ, "HOME=/home/u/"))
	if err != nil || cfg.KeyFile != "/home/u/key" || cfg.Roots.CAFile != "/home/u/ca/~/x" || cfg.MappingFile != "~user/a" {
		t.Errorf("got %q, %q, %q, %v", cfg.KeyFile, cfg.Roots.CAFile, cfg.MappingFile, err)
	}
	cfg, err = ParseConfig([]string{"--mapping=~/m", "true"}, []string{"HOME=/"})
	if err != nil || cfg.MappingFile != "/m" {
		t.Errorf("got %q, %v", cfg.MappingFile, err)
	}
	const want = "ASS_AGENT_KEY_FILE begins with ~/, and HOME is not set\n--mapping (ASS_MAPPING) begins with ~/, and HOME is not set"
	_, err = ParseConfig([]string{"--mapping=~/m", "true"}, []string{"ASS_AGENT_KEY_FILE=~/key", "HOME="})
	if err == nil || err.Error() != want || exit.Status(err) != 78 {
		t.Errorf("got %v, %d; want %s", err, exit.Status(err), want)
	}
}

func TestSettingsThatAreWordsAreTaken(t *testing.T) {
	cfg, err := ParseConfig([]string{"--init=group", "--on-change=hup", "--log-format=json", "--namespace=a/b, c", "--namespace=c", "true"}, nil)
	if err != nil || !cfg.Init || !cfg.Group || cfg.OnChange != "hup" || !cfg.JSON || !slices.Equal(cfg.Namespaces, []string{"a/b", "c"}) {
		t.Errorf("got %+v, %v", cfg, err)
	}
	cfg, err = ParseConfig([]string{"--init=false", "true"}, []string{"ASS_INIT=group"})
	if err != nil || cfg.Init || cfg.Group || cfg.Supervises() {
		t.Errorf("got %+v, %v", cfg, err)
	}
	for name, want := range map[string]syscall.Signal{"HUP": syscall.SIGHUP, "sighup": syscall.SIGHUP, "Usr1": syscall.SIGUSR1, "restart": 0, "1": 0} {
		if got := SignalNumber(name); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
	for arg, want := range map[string]string{
		"--init=grup":         "--init: must be true, false or group",
		"--on-change=reload":  "--on-change: must be restart, exit or a signal such as HUP",
		"--log-format=logfmt": "--log-format: must be text or json",
	} {
		if _, err := ParseConfig([]string{arg, "true"}, nil); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
