package shim

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agent-secret-store/ass-exec/vault"
)

func TestRetriesWarnOfEachCauseNowAndThen(t *testing.T) {
	synctest.Test(t, warnNowAndThen)
}

func warnNowAndThen(t *testing.T) {
	var out strings.Builder
	warn := warnOfRetries(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})))
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
		err  error
		want string
	}{
		{x509.HostnameError{Host: "h", Certificate: &x509.Certificate{}}, "check --api-url: "},
		{x509.CertificateInvalidError{Reason: x509.Expired}, "check the clock here ("},
		{x509.CertificateInvalidError{Reason: x509.NameMismatch}, "if the vault has an authority of its own, "},
		{x509.UnknownAuthorityError{}, "if the vault has an authority of its own, "},
	} {
		e := &vault.Error{Reason: vault.Untrusted, Err: &tls.CertificateVerificationError{Err: tt.err}}
		if got := untrustedHint(e); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%T: got %q, want %q", tt.err, got, tt.want)
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
