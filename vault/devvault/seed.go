package devvault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Seed fills the vault from JSON: an object "secrets" of paths, each with its
// value, or with an object of value, secret_type, access_tier and metadata.
//
//	{"secrets": {
//	  "production/gemini/GEMINI_API_KEY": "AIza...",
//	  "production/tls/PRIVATE_KEY": {"value": "...", "access_tier": "sensitive"}
//	}}
//
// Nothing is taken over if there is anything wrong with it.
func (s *Server) Seed(r io.Reader) error {
	var seed struct {
		Secrets map[string]json.RawMessage `json:"secrets"`
	}
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&seed); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	reqs := make(map[string]secretRequest, len(seed.Secrets))
	for path, raw := range seed.Secrets {
		req, err := parseSeed(path, raw)
		if err != nil {
			return fmt.Errorf("seed: %q: %w", path, err)
		}
		reqs[path] = req
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for path, req := range reqs {
		s.put(path, req)
	}
	return nil
}

func parseSeed(path string, raw json.RawMessage) (secretRequest, error) {
	var req secretRequest
	var value string
	if json.Unmarshal(raw, &value) == nil {
		req.Value = &value
	} else {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&req); err != nil {
			return req, err
		}
	}
	segments := strings.Split(path, "/")
	switch {
	case len(segments) < 2 || slices.Contains(segments, "") || slices.Contains(segments, ".") || slices.Contains(segments, ".."):
		return req, errors.New("a path has a namespace and a key, like production/app/DEBUG")
	case req.Value == nil:
		return req, errors.New("no value")
	case !slices.Contains([]string{"", "standard", "sensitive", "critical"}, req.Tier):
		return req, fmt.Errorf("unknown access_tier %q", req.Tier)
	}
	return req, nil
}
