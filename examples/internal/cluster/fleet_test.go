//go:build kubernetes

package cluster

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// The whole Deployment starts at once, as fast as the node can, against a vault
// that lets through less than it asks for.
func TestFleetStartsAgainstARateLimit(t *testing.T) {
	const (
		pods  = 40
		reads = 4
		least = pods * (1 + reads) // requests
		rate  = 25                 // of them a second
	)
	l := newLab(t, devvault.Config{RateLimit: rate, Burst: rate})
	l.createKey()
	start := time.Now()
	l.apply(l.overlay(example(t, "deployment.yaml", "replicas: 2", "replicas: 40", "cpu: 100m", "cpu: 10m")))
	l.rolledOut()
	took := time.Since(start)
	refused := 0
	for _, r := range l.Requests() {
		if r.Status == http.StatusTooManyRequests {
			refused++
		}
	}
	asked := len(l.Requests())
	t.Logf("%d pods, %d requests at %d a second: ready after %.0f s, %d requests, %d of them refused", pods, least, rate, took.Seconds(), asked, refused)
	if float64(asked) > 1.5*least {
		t.Errorf("got %d requests, want at most 1.5 times %d", asked, least)
	}
	want := strings.TrimSpace(strings.Repeat("0 ", pods))
	l.await("^"+want+"$", "get", "pods", "-l", "app=example", "-o", "jsonpath={.items[*].status.containerStatuses[0].restartCount}")
}
