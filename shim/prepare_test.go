package shim

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// prepare is what a run of sh comes to.
func prepare(t *testing.T, v *testVault, mapping string, environ []string, args ...string) (start *Start, log string, err error) {
	t.Helper()
	var out strings.Builder
	cfg := configFor(t, mapping, slices.Concat(environ, v.environ), args...)
	start, watcher, err := Prepare(t.Context, cfg, "test", logTo(&out, slog.LevelInfo))
	if watcher != nil {
		t.Error("got a watcher that nobody asked for")
	}
	return start, out.String(), err
}

// allOf is what is wrong, with the hints and the status.
func allOf(err error) string {
	var lines []string
	for _, e := range exit.AsErrors(err) {
		lines = append(lines, e.Msg+" | "+e.Hint)
	}
	return fmt.Sprintf("%d %s", exit.Status(err), strings.Join(lines, "\n"))
}

func TestCommandGetsEverySecretInItsPlace(t *testing.T) {
	v := newVault(t, devvault.Config{})
	v.Put("a/X", "x-1")
	v.Put("a/J", `{"k":"field-2"}`)
	v.Put("ns/sub/key.three", "three")
	v.Put("ns/X", "not asked for: X is mapped")
	start, log, err := prepare(t, v, "X=a/X\nGONE=a/GONE?optional\nD=a/GONE?default=d\nF=a/J?field=k&as=file&mode=0444\n",
		[]string{"B=1", "X=old", "T=t ${ass://a/J?field=k}", "KEY_THREE=three"}, "--namespace=ns", "--token-ttl=3m", "-v")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(start.Env, " "), "B=1 X=x-1 T=t field-2 KEY_THREE=three "+strings.Join(v.environ[:3], " ")+" D=d F="; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := fmt.Sprint(start.Files), fmt.Sprintf("[{F field-2 -r--r--r-- 0 %d}]", len(start.Env)-1); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if start.Path != "/bin/sh" || fmt.Sprint(start.Argv) != "[sh]" {
		t.Errorf("got %s, %q", start.Path, start.Argv)
	}
	hidden := make(map[string]bool)
	for _, s := range start.Secrets {
		hidden[s.Reveal()] = true
	}
	for _, s := range []string{"x-1", `{"k":"field-2"}`, "field-2", "t field-2", "three"} {
		if !hidden[s] {
			t.Errorf("%s would not be masked", s)
		}
	}
	if hidden["d"] || hidden[testKey] {
		t.Error("what is no secret of the command would be masked")
	}
	const body = `{"scopes":["secrets:read:a/X","secrets:read:a/GONE","secrets:read:a/J","secrets:read:ns/*"],"ttl":"3m"}`
	if got := strings.Join(v.bodies, "\n"); got != body {
		t.Errorf("got  %s\nwant %s", got, body)
	}
	first, rest, _ := strings.Cut(log, "\n")
	want := `level=INFO msg="m:1: X from a/X, version 1"
level=INFO msg="m:3: D from its default: a/GONE does not exist"
level=INFO msg="m:4: F from a/J, version 1"
level=INFO msg="environment: T from a/J, version 1"
level=INFO msg="namespace ns: KEY_THREE from ns/sub/key.three, version 1"
`
	if rest != want || !strings.HasPrefix(first, `level=INFO msg="read 3 secrets for 6 variables in `) {
		t.Errorf("got\n%swant\n%s", log, want)
	}
	for _, r := range v.Requests() {
		if r.UserAgent != "ass-exec/test" || r.Proto != "HTTP/2.0" {
			t.Errorf("got %s, %s", r.UserAgent, r.Proto)
		}
	}
}

func TestKeyThatIsKeptIsMasked(t *testing.T) {
	v := newVault(t, devvault.Config{})
	v.Put("a/X", "1")
	start, _, err := prepare(t, v, "X=a/X\n", []string{"ASS_API_KEY=of-a-human"}, "--keep-agent-key")
	if err != nil {
		t.Fatal(err)
	}
	var hidden []string
	for _, s := range start.Secrets {
		hidden = append(hidden, s.Reveal())
	}
	if !slices.Contains(hidden, testKey) || !slices.Contains(hidden, "of-a-human") || !slices.Contains(start.Env, "ASS_AGENT_KEY="+testKey) || !slices.Contains(start.Env, "ASS_API_KEY=of-a-human") {
		t.Errorf("got %q, %q", hidden, start.Env)
	}
}

// It would print the bearer.
func TestDebuggedHTTP2IsNotUsed(t *testing.T) {
	v := newVault(t, devvault.Config{})
	v.Put("a/X", "1")
	if _, _, err := prepare(t, v, "X=a/X\n", []string{"GODEBUG=gctrace=0,http2debug=2"}); err != nil {
		t.Fatal(err)
	}
	for _, r := range v.Requests() {
		if r.Proto != "HTTP/1.1" {
			t.Errorf("got %s for %s", r.Proto, r.Path)
		}
	}
}

// Of all that is imported, too; and what is kept is not fetched.
func TestPreservedVariablesKeepTheirValue(t *testing.T) {
	v := newVault(t, devvault.Config{})
	for _, path := range []string{"a/M", "a/R", "ns/I", "ns/J", "ns/E"} {
		v.Put(path, "secret")
	}
	start, _, err := prepare(t, v, "M=a/M\n", []string{"M=mine", "M=copy", "R=ass://a/R", "I=mine", "E=", "=x"}, "--namespace=ns", "--preserve-env")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(start.Env[:6], " "), "M=mine M=copy R=secret I=mine E=secret =x"; got != want || !slices.Contains(start.Env, "J=secret") {
		t.Errorf("got  %s\nwant %s", start.Env, want)
	}
	asked := v.asked(0)
	slices.Sort(asked)
	want := "GET /secrets/a/R 200, GET /secrets/ns/E 200, GET /secrets/ns/J 200, GET /secrets?namespace=ns 200, POST /tokens 200"
	if got := strings.Join(asked, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	start, _, err = prepare(t, v, "M=a/M\n", []string{"M=mine"}, "--preserve-env")
	if err != nil || start.Env[0] != "M=mine" || len(v.Requests()) != 5 {
		t.Errorf("got %v, %v, and %q", start, err, v.asked(5))
	}
}

func BenchmarkPreserveEnv(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 30_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			cfg := Config{PreserveEnv: true, Resolve: []string{resolveAll}}
			for i := range n {
				cfg.Environ = append(cfg.Environ, fmt.Sprintf("V%d=x", i))
			}
			for b.Loop() {
				if len(preserved(cfg)) != n {
					b.Fatal("not all")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/variable")
		})
	}
}

func TestFailureToGetATokenSaysWhatToDo(t *testing.T) {
	const check = "check the agent key: it may be mistyped, revoked, or another vault's"
	for _, tt := range []struct {
		fault devvault.Fault
		args  string
		want  string
	}{
		{devvault.Fault{Kind: "status", Status: 401}, "", "77 the vault refuses the agent key: not authorized (401): Unauthorized | " + check},
		{
			devvault.Fault{Kind: "status", Status: 403},
			"", "77 the vault refused a token for secrets:read:a/X: access denied (403): Forbidden | " +
				"allow these scopes for the agent, check its namespaces and IP list, or remove the lines from the mapping",
		},
		{devvault.Fault{Kind: "html"}, "", "76 no token: the reply is not JSON (200) | check --api-url: something other than the vault answered at <url> (a proxy?)"},
		{
			devvault.Fault{Kind: "redirect", Location: "https://other.example/"},
			"", "76 no token: redirected to https://other.example, which is not followed (307) | check --api-url: something other than the vault answered at <url> (a proxy?)",
		},
		{
			devvault.Fault{Kind: "status", Status: 503, RetryAfter: "60"},
			"--timeout=10s", "69 <host> answered Service Unavailable (503): Service Unavailable | check that <host> is right (--api-url) and can be reached from here; --timeout is 10s",
		},
	} {
		v := newVault(t, devvault.Config{})
		tt.fault.Endpoint = "tokens"
		v.Inject(tt.fault)
		_, _, err := prepare(t, v, "X=a/X\n", nil, strings.Fields(tt.args)...)
		url := strings.TrimPrefix(v.environ[1], "ASS_API_URL=")
		want := strings.NewReplacer("<url>", url, "<host>", strings.TrimPrefix(url, "https://")).Replace(tt.want)
		if got := allOf(err); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.fault.Kind, got, want)
		}
	}
}

func TestMissingApprovalSaysHowToApprove(t *testing.T) {
	for timeout, waits := range map[string]bool{"0s": false, "200ms": true} {
		v := newVault(t, devvault.Config{})
		v.PutTier("a/X", "1", "sensitive")
		_, log, err := prepare(t, v, "X=a/X\n", nil, "--approval-timeout="+timeout)
		id := v.Approvals()[0].ID
		got := allOf(err)
		if !strings.HasPrefix(got, "75 a human must approve secrets:read:a/X: approval "+id+": ") ||
			!strings.HasSuffix(got, " | run ass approvals approve "+id+" and start again; --approval-timeout is "+timeout) {
			t.Errorf("%s: got %s", timeout, got)
		}
		want := ""
		if waits {
			want = `level=WARN msg="waiting for a human to approve secrets:read:a/X: run ass approvals approve ` + id + `; 1s left"` + "\n"
		}
		if log != want {
			t.Errorf("%s: got %s, want %s", timeout, log, want)
		}
	}
}

// All that is wrong is told, and the status is the one that comes first.
func TestEverySecretThatFailsIsTold(t *testing.T) {
	v := newVault(t, devvault.Config{})
	v.Put("a/EMPTY", "")
	v.Put("a/TEXT", "text")
	v.Put("a/LARGE", strings.Repeat("x", 131_072-len("LARGE==")+1))
	v.Put("ns/X", "1")
	start, _, err := prepare(t, v, "G=a/GONE\nE=a/EMPTY\nF=a/TEXT?field=k\nLARGE=a/LARGE\nT='${ass://a/GONE} ${ass://a/EMPTY}'\n", []string{"X=other"}, "--namespace=ns,none")
	const spelling = " | check the spelling, with ass secrets list a, or make it ?optional\n"
	const unusable = " | correct the secret in the vault, or the reference to it\n"
	want := "78 namespace none holds no secret | check the spelling of --namespace, with ass secrets list none\n" +
		"m:1: G: a/GONE does not exist" + spelling +
		"m:2: E: a/EMPTY: the secret is empty" + unusable +
		"m:3: F: a/TEXT: the secret is not JSON, so it has no fields" + unusable +
		"m:4: LARGE: the value is too large for a variable: 131066 bytes, where 131065 fit | " +
		"map it with ?as=file, so that the variable names a file in memory: then there is no limit but the API's 1 MiB\n" +
		"m:5: T: a/GONE does not exist" + spelling +
		"m:5: T: a/EMPTY: the secret is empty" + unusable +
		"namespace ns: X: the environment has another value for it; the mapping line to replace that is X=ns/X | " +
		"add these lines to the mapping, or keep the variables with --preserve-env; Kubernetes adds variables for services unless the pod sets enableServiceLinks: false"
	if got := allOf(err); got != want || start != nil {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFailureToReadSaysWhatToDo(t *testing.T) {
	for kind, want := range map[string]string{
		"html":   "76 m:1: X: a/X: the reply is not JSON (200) | check --api-url, and whether there is a proxy in front of the vault",
		"status": "77 m:1: X: a/X: access denied (403): Forbidden | let the agent read a; if the token expired or was used up, raise --token-ttl",
	} {
		v := newVault(t, devvault.Config{})
		v.Put("a/X", "1")
		v.Inject(devvault.Fault{Endpoint: "secrets", Kind: kind, Status: 403})
		if _, _, err := prepare(t, v, "X=a/X\n", nil); allOf(err) != want {
			t.Errorf("%s:\ngot  %s\nwant %s", kind, allOf(err), want)
		}
	}
	v := newVault(t, devvault.Config{})
	v.Inject(devvault.Fault{Endpoint: "list", Kind: "status", Status: 403})
	const want = "77 namespace ns: access denied (403): Forbidden | listing needs the scope secrets:read:ns/*; a mapping file does not need it"
	if _, _, err := prepare(t, v, "", nil, "--namespace=ns"); allOf(err) != want {
		t.Errorf("got  %s\nwant %s", allOf(err), want)
	}
}

func TestSignalEndsTheFetch(t *testing.T) {
	for _, endpoint := range []string{"tokens", "secrets"} {
		v := newVault(t, devvault.Config{})
		v.Inject(devvault.Fault{Endpoint: endpoint, Kind: "hang"})
		ctx, cancel := context.WithCancel(t.Context())
		v.onRequest = func(path string) {
			if strings.HasPrefix(path, "/v1/"+endpoint) {
				cancel()
			}
		}
		cfg := configFor(t, "X=a/X\n", v.environ)
		network := func() context.Context { return ctx }
		if _, _, err := Prepare(network, cfg, "test", slog.New(slog.DiscardHandler)); err != context.Canceled {
			t.Errorf("%s: got %v", endpoint, err)
		}
		if _, err := Check(network, cfg, "test", slog.New(slog.DiscardHandler)); err != context.Canceled {
			t.Errorf("%s: got %v from a check", endpoint, err)
		}
	}
}

func TestPathThatIsASecretFindsTheCommand(t *testing.T) {
	v := newVault(t, devvault.Config{})
	v.Put("a/PATH", "/nowhere:/bin")
	start, _, err := prepare(t, v, "PATH=a/PATH\n", nil)
	if err != nil || start.Path != "/bin/sh" || !start.SecretPath {
		t.Errorf("got %v, %v", start, err)
	}
	start, _, err = prepare(t, v, "PATH=a/NO?optional\n", nil)
	if err != nil || start.Path != "/bin/sh" || start.SecretPath {
		t.Errorf("got %v, %v", start, err)
	}
	v.Put("a/PATH", "/nowhere")
	_, _, err = prepare(t, v, "PATH=a/PATH\n", nil)
	if got := allOf(err); !strings.HasPrefix(got, "127 ") || strings.Contains(got, "nowhere") || !strings.Contains(got, "a/PATH") {
		t.Errorf("got %s", got)
	}
}
