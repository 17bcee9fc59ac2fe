//go:build fleet

package vault

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

const (
	fleetStarts = 1000
	fleetReads  = 4
	fleetLeast  = fleetStarts * (1 + fleetReads) // requests
	fleetRate   = 760                            // of them a second
	fleetBurst  = fleetRate / 4

	bucket  = 100 * time.Millisecond // of the arrivals
	started = 2 * time.Second        // by then every start has sent its first request
)

// A thousand containers that start at once against a vault with a limit all
// get their secrets, about as fast as the limit allows, without waves, and
// without asking much more often than they must. That holds where the work takes
// about as long as the spread: less of it is done only when the spread is over,
// and of more, more is refused. FLEET_SVG names a file for a drawing of it.
func TestFleetGetsThroughARateLimit(t *testing.T) {
	var seen arrivals
	var start time.Time
	v := devvault.New(devvault.Config{RateLimit: fleetRate, Burst: fleetBurst, OnRequest: func(r devvault.Request) {
		seen.add(time.Since(start), r.Status)
	}})
	c, _ := clientOf(t, v)
	c.Key, c.newTimer = NewSecret(v.AgentKey()), nil
	refs, scopes := fill(v, fleetReads)

	var failed atomic.Int64
	var wg sync.WaitGroup
	start = time.Now()
	for range fleetStarts {
		wg.Go(func() {
			if !startOne(c, refs, scopes) {
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	took := time.Since(start).Seconds() / (float64(fleetLeast) / fleetRate)
	asked := float64(len(v.Requests())) / fleetLeast
	peak := seen.peak(started)
	t.Logf("%d starts, %d requests at %d a second: %.2f times as long and %.2f times as many as it takes; the fullest %s is %.1f times the mean",
		fleetStarts, fleetLeast, fleetRate, took, asked, bucket, peak)
	if failed.Load() > 0 || took > 1.3 || asked > 1.5 || peak > 3 {
		t.Errorf("%d failed; want none, and at most 1.3 times as long, 1.5 times as many, 3 times the mean", failed.Load())
	}
	if file := os.Getenv("FLEET_SVG"); file != "" {
		if err := os.WriteFile(file, []byte(seen.svg()), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func startOne(c *Client, refs []Ref, scopes []string) bool {
	s, err := c.Open(context.Background(), scopes)
	if err != nil {
		return false
	}
	defer s.Close()
	for _, r := range s.Read(context.Background(), refs) {
		if r.Err != nil {
			return false
		}
	}
	return true
}

// arrivals are the requests that came in each bucket of time.
type arrivals struct{ served, refused []int }

func (a *arrivals) add(at time.Duration, status int) {
	for len(a.served) <= int(at/bucket) {
		a.served, a.refused = append(a.served, 0), append(a.refused, 0)
	}
	if status == http.StatusTooManyRequests {
		a.refused[at/bucket]++
	} else {
		a.served[at/bucket]++
	}
}

// peak is the fullest bucket against the mean of those from a time on.
func (a *arrivals) peak(from time.Duration) float64 {
	var sum, most int
	first := min(int(from/bucket), len(a.served))
	for i := first; i < len(a.served); i++ {
		n := a.served[i] + a.refused[i]
		sum, most = sum+n, max(most, n)
	}
	return float64(most) * float64(len(a.served)-first) / float64(max(1, sum))
}

// svg draws a bar for each bucket, what was refused on top of what was served,
// and the limit.
func (a *arrivals) svg() string {
	const left, bar, base, scale = 40, 8, 440, 0.4 // the last in pixels a request
	var b strings.Builder
	draw := func(i, from, to int, fill string) {
		fmt.Fprintf(&b, `<rect x="%d" y="%.1f" width="%d" height="%.1f" fill="%s"/>`+"\n",
			left+bar*i, base-scale*float64(to), bar-1, scale*float64(to-from), fill)
	}
	width := 2*left + bar*len(a.served)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", width, base+30)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	for i, served := range a.served {
		draw(i, 0, served, "#2a7")
		draw(i, served, served+a.refused[i], "#c33")
		if at := time.Duration(i) * bucket; at%time.Second == 0 {
			fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text>`+"\n", left+bar*i, base+16, at)
		}
	}
	limit := base - scale*fleetRate*bucket.Seconds()
	fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="black" stroke-dasharray="4"/>`+"\n", left, limit, width-left)
	fmt.Fprintf(&b, `<text x="%d" y="20">%d starts: requests in each %s, <tspan fill="#2a7">served</tspan> and <tspan fill="#c33">refused</tspan>; limit %d a second</text>`+"\n</svg>\n",
		left, fleetStarts, bucket, fleetRate)
	return b.String()
}
