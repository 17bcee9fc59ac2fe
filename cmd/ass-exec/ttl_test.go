package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
)

func TestTokenIsAskedForTheTimeOfTokenTTL(t *testing.T) {
	for want, args := range map[string][]string{"5m": {"true"}, "7m": {"--token-ttl=7m", "true"}} {
		var asked struct{ TTL string }
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = json.NewDecoder(r.Body).Decode(&asked)
			w.WriteHeader(http.StatusUnauthorized)
		}))
		env := []string{"PATH=" + os.Getenv("PATH"), "ASS_API_URL=" + s.URL, "ASS_AGENT_KEY=" + canaryKey, "A=ass://a/A"}
		status, _, stderr := assExec(t, env, append([]string{"--resolve=all"}, args...)...)
		s.Close()
		if asked.TTL != want || status != 77 {
			t.Errorf("%v: got %q, status %d, %s; want %q", args, asked.TTL, status, stderr, want)
		}
	}
}
