//go:build !race

package supervise

import (
	"strconv"
	"strings"
	"testing"
)

const raceDetector = false

func TestInitIsSmall(t *testing.T) {
	p := launch(t, nil, "init", testBinary(t))
	p.expect("ready")
	const limit = 12 << 10
	got, err := strconv.Atoi(strings.TrimSuffix(statusLine(p.pid, "VmRSS"), " kB"))
	if err != nil || got > limit {
		t.Errorf("got %d kB resident (%v), want at most %d", got, err, limit)
	}
}
