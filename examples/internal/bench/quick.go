//go:build linux

package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault"
)

// limits are what ass-exec may need for so many secrets. They leave room for
// noise, not for another round trip. Packets are what a batch saves by being
// held back until all of it is written: without that they are twice as many,
// while the round trips show it only on an idle machine.
var limits = []struct {
	secrets             int
	connections         float64
	roundTrips, peakMiB float64
	packets             float64 // with data, to the vault
}{
	{1, 1, 4.5, 9, 10},
	{20, 1, 4.5, 9.5, 12},
	{100, 3, 4.9, 12, 42},
	{500, 8, 6.9, 22, 150},
}

const (
	maxBinaryMiB       = 7.2 // 7.55 MB
	maxAllocsPerSecret = 220 // the dev vault's included
	quickRounds        = 10
)

// checkCounts fails if ass-exec needs more of anything that does not depend
// on the machine; the times are only printed.
func checkCounts() error {
	return withTools(func(t tools) error {
		places, err := newPlaces(t.dir)
		if err != nil {
			return err
		}
		starts, err := measureStarts(t, places[0].runner, quickRounds)
		if err != nil {
			return err
		}
		var r report
		for _, s := range starts {
			fmt.Printf("nothing to fetch:    %-14s %9.1f ms\n", s.Launcher, s.WallMS)
		}
		var problems []error
		for _, limit := range limits {
			for _, p := range places {
				f, err := measureFetch(t.launchers()[:1], p, limit.secrets, quickRounds)
				if err != nil {
					return err
				}
				r.Fetches = append(r.Fetches, f...)
				check := func(what string, got, most float64) {
					if got > most {
						problems = append(problems, fmt.Errorf("%d secrets at %d ms: %g %s, at most %g", limit.secrets, f[0].RTTMS, got, what, most))
					}
				}
				check("token requests", f[0].Tokens, 1)
				check("requests", f[0].Requests, float64(1+limit.secrets))
				check("connections", f[0].Connections, limit.connections)
				check("packets", f[0].Packets, limit.packets)
				check("MiB of memory", f[0].RSSMiB, limit.peakMiB)
			}
			trips := r.roundTrips(assExec, limit.secrets)
			fmt.Printf("%4d secrets: %.1f round trips\n", limit.secrets, trips)
			if trips > limit.roundTrips {
				problems = append(problems, fmt.Errorf("%d secrets: %.1f round trips, at most %g", limit.secrets, trips, limit.roundTrips))
			}
		}
		problems = append(problems, checkSize(t), checkAllocations(places[0]))
		return errors.Join(problems...)
	})
}

func checkSize(t tools) error {
	size := t.sizes()[assExec]
	fmt.Printf("binary: %.2f MiB\n", size)
	if size > maxBinaryMiB {
		return fmt.Errorf("the binary has %.2f MiB, at most %g", size, float64(maxBinaryMiB))
	}
	return nil
}

// checkAllocations takes the difference of many and few secrets, so that what
// a session costs cancels out.
func checkAllocations(p *place) error {
	ca, err := os.ReadFile(p.caFile)
	if err != nil {
		return err
	}
	u, err := url.Parse(p.url)
	if err != nil {
		return err
	}
	client := &vault.Client{
		URL: u, Key: vault.NewSecret(agentKey), TokenTTL: time.Minute, Timeout: time.Minute, UserAgent: "ass-exec/bench",
		Roots: func() (*x509.CertPool, error) {
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(ca)
			return pool, nil
		},
	}
	var failed error
	allocs := func(n int) float64 {
		var refs []vault.Ref
		var scopes []string
		for i := range n {
			refs = append(refs, vault.Ref(fmt.Sprintf("bench/s/S%d", i)))
			scopes = append(scopes, vault.ReadScope(string(refs[i])))
		}
		return testing.AllocsPerRun(20, func() {
			session, err := client.Open(context.Background(), scopes)
			if err != nil {
				failed = err
				return
			}
			defer session.Close()
			for _, result := range session.Read(context.Background(), refs) {
				if result.Err != nil {
					failed = result.Err
				}
			}
		})
	}
	perSecret := (allocs(100) - allocs(20)) / 80
	fmt.Printf("allocations: %.0f for each secret, the dev vault's included\n", perSecret)
	if perSecret > maxAllocsPerSecret {
		failed = fmt.Errorf("%.0f allocations for each secret, at most %d", perSecret, maxAllocsPerSecret)
	}
	return failed
}
