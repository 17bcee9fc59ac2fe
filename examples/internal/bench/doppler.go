//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// withDoppler adds what "doppler run" asks of its vendor's API: every secret
// of a config in one reply. The config is the number of secrets.
func withDoppler(vault http.Handler, most int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/v3/") {
			vault.ServeHTTP(w, r)
			return
		}
		n, err := strconv.Atoi(r.URL.Query().Get("config"))
		if r.URL.Path != "/v3/configs/config/secrets/download" || err != nil || n > most {
			http.NotFound(w, r)
			return
		}
		secrets := make(map[string]string)
		for i := range n {
			secrets[fmt.Sprintf("S%d", i)] = value(i)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(secrets)
	})
}

func (t tools) dopplerJob(p *place, n int) (job, error) {
	return job{
		Argv: []string{
			t.doppler, "run", "--api-host", p.url, "--project", "bench", "--config", strconv.Itoa(n),
			"--no-fallback", "--no-check-version", "--", "/usr/bin/true",
		},
		Env: []string{
			"PATH=/usr/bin:/bin", "HOME=" + t.dir, "DOPPLER_TOKEN=dp.st.bench.0000000000000000",
			"SSL_CERT_FILE=" + p.caFile, "SSL_CERT_DIR=" + t.dir,
		},
	}, nil
}
