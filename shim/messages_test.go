package shim

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/vault"
)

func TestRetriesWarnOfEachCauseNowAndThen(t *testing.T) {
	synctest.Test(t, warnNowAndThen)
}

func warnNowAndThen(t *testing.T) {
	var out strings.Builder
	warn := warnOfRetries(logTo(&out, slog.LevelWarn))
	for range 3 {
		warn(&vault.Error{Text: "cut"}, time.Second)
		warn(&vault.Error{Text: "reset"}, 2*time.Second)
	}
	time.Sleep(repeatWarning)
	warn(&vault.Error{Text: "cut"}, 3)
	const want = `level=WARN msg="cut; trying again in 1s"
level=WARN msg="reset; trying again in 2s"
level=WARN msg="cut; trying again in 1ms"
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestHintFitsWhatIsWrongWithACertificate(t *testing.T) {
	for _, tt := range []struct {
		err           error
		vaults, proxy string // hints, if it is the vault's certificate, or the proxy's
	}{
		{x509.HostnameError{Host: "h", Certificate: &x509.Certificate{}}, "check --api-url: ", "check HTTPS_PROXY: "},
		{x509.CertificateInvalidError{Reason: x509.Expired}, "check the clock here (", "check the clock here ("},
		{x509.CertificateInvalidError{Reason: x509.NameMismatch}, "if the vault has an authority of its own, ", "if the proxy has an authority of its own, "},
		{x509.UnknownAuthorityError{}, "if the vault has an authority of its own, ", "if the proxy has an authority of its own, "},
	} {
		err := error(&tls.CertificateVerificationError{Err: tt.err})
		if got := untrustedHint(&vault.Error{Reason: vault.Untrusted, Err: err}); !strings.HasPrefix(got, tt.vaults) {
			t.Errorf("%T: got %q, want %q", tt.err, got, tt.vaults)
		}
		err = &net.OpError{Op: "proxyconnect", Err: err}
		if got := untrustedHint(&vault.Error{Reason: vault.Untrusted, Err: err}); !strings.HasPrefix(got, tt.proxy) {
			t.Errorf("%T of a proxy: got %q, want %q", tt.err, got, tt.proxy)
		}
	}
}

func TestHintNamesTheProxyWithoutItsPassword(t *testing.T) {
	u := &url.URL{Scheme: "https", Host: "vault.example"}
	for _, tt := range []struct {
		proxy *url.URL
		err   error
		want  string
	}{
		{&url.URL{Scheme: "http", Host: "proxy.example:3128", User: url.UserPassword("u", "hunter2")}, nil, " through the proxy proxy.example:3128 (HTTPS_PROXY, NO_PROXY)"},
		{nil, nil, ""},
		{nil, errors.New("malformed"), ""},
	} {
		got := proxyHint(u, func(r *http.Request) (*url.URL, error) {
			if r.URL != u {
				t.Errorf("asked for the proxy of %s", r.URL)
			}
			return tt.proxy, tt.err
		})
		if got != tt.want {
			t.Errorf("%v, %v: got %q, want %q", tt.proxy, tt.err, got, tt.want)
		}
	}
}

// What is printed to be pasted into a shell means nothing there.
func TestCommandToApproveIsPrintedForAPlainIDAlone(t *testing.T) {
	long := strings.Repeat("a", 128)
	for id, plain := range map[string]bool{
		"apr_1": true, "0192f0c1-7e.B": true, long: true,
		long + "a": false, "": false, "-rf": false, "_a": false, ".a": false, "apr_1%3B%20id": false, "$HOME": false, "a b": false, "ä": false,
	} {
		want := "approve it in the dashboard"
		if plain {
			want = "run ass approvals approve " + id
		}
		if got := howToApprove(id); got != want {
			t.Errorf("%s: got %s, want %s", id, got, want)
		}
	}
}

func TestCommandToListIsPrintedForAPlainNamespaceAlone(t *testing.T) {
	const dashboard = " in the dashboard"
	for namespace, want := range map[string]string{
		"production/my-app_2.0": ", with ass secrets list production/my-app_2.0",
		"a b":                   dashboard, "a;b": dashboard, "$(a)": dashboard, "a/`b`": dashboard, "-v": dashboard, "é": dashboard, "a>b": dashboard,
	} {
		if got := howToList(namespace); got != want {
			t.Errorf("%s: got %q, want %q", namespace, got, want)
		}
		notFound := &vault.Error{Reason: vault.NotFound}
		hints := []string{
			listError(listing{namespace: namespace, err: notFound}).Hint,
			secretError(mapping.Binding{}, vault.Ref(namespace+"/K"), notFound).Hint,
		}
		if fmt.Sprint(hints) != "[check the spelling of --namespace"+want+" check the spelling"+want+", or make it ?optional]" {
			t.Errorf("%s: got %q", namespace, hints)
		}
	}
}

func TestEveryFailureOfTheVaultHasAStatusAndAHint(t *testing.T) {
	cfg, err := ParseConfig([]string{"sh"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	status := map[vault.Reason]exit.Code{
		vault.Unavailable: exit.Unavailable, vault.Denied: exit.Denied, vault.Pending: exit.Pending, vault.NotFound: exit.NotFound,
		vault.Protocol: exit.Protocol, vault.TooMuch: exit.Protocol, vault.Untrusted: exit.Config, vault.BadRoots: exit.Config,
		vault.BadProxy: exit.Config, vault.Bug: exit.Internal,
	}
	told := make(map[string]vault.Reason)
	for _, reason := range vault.Reasons() {
		e := &vault.Error{Reason: reason, Text: "text", Scopes: []string{"secrets:read:a/X"}}
		token := exit.AsErrors(openError(t.Context(), cfg, e))[0]
		read := secretError(mapping.Binding{Name: "X", Origin: "m:1"}, "a/X", e)
		if token.Code != status[reason] || read.Code != status[reason] {
			t.Errorf("%v: got %d and %d, want %d", reason, token.Code, read.Code, status[reason])
		}
		if token.Hint == "" && reason != vault.Bug || read.Hint == "" {
			t.Errorf("%v has no hint", reason)
		}
		if other, ok := told[read.Hint]; ok && fmt.Sprint(other, reason) != fmt.Sprint(vault.Untrusted, vault.BadRoots) {
			t.Errorf("%v and %v have the same hint", other, reason)
		}
		told[read.Hint] = reason
		if !strings.HasPrefix(read.Msg, "m:1: X: a/X") || !strings.HasSuffix(read.Msg, "text") && reason != vault.NotFound {
			t.Errorf("%v: got %s", reason, read.Msg)
		}
	}
}

func TestFailureOfAnApprovalIsTold(t *testing.T) {
	cfg, err := ParseConfig([]string{"sh"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	scopes := []string{"secrets:read:a/X", "secrets:read:a/Y"}
	for _, tt := range []struct {
		err  vault.Error
		want string
	}{
		{
			vault.Error{Reason: vault.Denied, Op: vault.OpApproval, ApprovalID: "apr_1", Text: "text"},
			"77 approval apr_1 of secrets:read:a/X secrets:read:a/Y was denied by a human | ask the person who denied it, or ask for no sensitive secret",
		},
		{
			vault.Error{Reason: vault.Denied, Op: vault.OpApproval, ApprovalID: "apr_1", Status: 403, Text: "text"},
			"77 the vault does not tell the state of approval apr_1 of secrets:read:a/X secrets:read:a/Y: text (403) | run ass approvals approve apr_1 and start again",
		},
		{
			vault.Error{Reason: vault.Denied, Op: vault.OpApproval, ApprovalID: "apr_1", Status: 401, Text: "text"},
			"77 the vault does not tell the state of approval apr_1 of secrets:read:a/X secrets:read:a/Y: text (401) | run ass approvals approve apr_1 and start again",
		},
		{
			vault.Error{Reason: vault.Protocol, Op: vault.OpApproval, ApprovalID: "apr_1", Status: 302, Text: "text"},
			"76 the vault does not tell the state of approval apr_1 of secrets:read:a/X secrets:read:a/Y: text (302) | check --api-url: something other than the vault answered at https://api.agentsecretstore.com (a proxy?)",
		},
		{
			vault.Error{Reason: vault.Pending, Op: vault.OpApproval, ApprovalID: "apr_1", Text: "text", Err: vault.ErrApprovalOver},
			"75 a human must approve secrets:read:a/X secrets:read:a/Y: approval apr_1: text | start again, which asks for another approval",
		},
		{
			vault.Error{Reason: vault.Pending, Text: "text"},
			"75 a human must approve secrets:read:a/X secrets:read:a/Y, but the vault named no approval | look for it in the dashboard, or ask for no sensitive secret",
		},
	} {
		tt.err.Scopes = scopes
		if got := allOf(openError(t.Context(), cfg, &tt.err)); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestHintForAProxyNamesItsVariable(t *testing.T) {
	if got := badProxyHint("https", &vault.Error{}); !strings.HasPrefix(got, "correct user and password in HTTPS_PROXY, ") {
		t.Errorf("got %s", got)
	}
	if got, want := badProxyHint("http", &vault.Error{Err: tls.RecordHeaderError{}}), "write http:// instead of https:// in HTTP_PROXY, if that is what the proxy speaks"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Every minute what is left, and at once what is to be done.
func TestWaitForAnApprovalIsToldEachMinute(t *testing.T) {
	var out strings.Builder
	warn := warnOfApproval(logTo(&out, slog.LevelWarn))
	for _, left := range []time.Duration{600, 599, 541, 540, 481, 480} {
		warn(vault.Approval{ID: "apr_1", Scopes: []string{"secrets:read:a/X"}, Left: left * time.Second})
	}
	var want string
	for _, left := range []string{"10m0s", "9m0s", "8m0s"} {
		want += `level=WARN msg="waiting for a human to approve secrets:read:a/X: run ass approvals approve apr_1; ` + left + " left\"\n"
	}
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}
