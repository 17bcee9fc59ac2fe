package shim

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault"
)

func TestRetriesWarnOfEachCauseOnce(t *testing.T) {
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
	const want = `level=WARN msg="cut; trying again in 1s"
level=WARN msg="reset; trying again in 2s"
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
