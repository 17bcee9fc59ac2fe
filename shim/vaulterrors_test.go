package shim

import (
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
	warn(&vault.Error{Text: "cut"}, 3*time.Second)
	const want = `level=WARN msg="cut; trying again in 1s"
level=WARN msg="reset; trying again in 2s"
level=WARN msg="cut; trying again in 3s"
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
