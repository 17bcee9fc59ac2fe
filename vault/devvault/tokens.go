package devvault

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	defaultTTL = time.Hour
	maxTTL     = 7 * 24 * time.Hour
)

// token is a scoped token.
type token struct {
	id      string
	agent   *agent
	scopes  []string
	expires time.Time
	maxUses int // 0: no limit
	uses    int
	ips     []string
}

// tokenRequest is the body of POST /v1/tokens.
type tokenRequest struct {
	Scopes  []string        `json:"scopes"`
	TTL     json.RawMessage `json:"ttl"` // "15m", or a number of seconds
	MaxUses int             `json:"max_uses"`
	IPs     []string        `json:"ip_allowlist"`
}

func (s *Server) postToken(c *call) answer {
	if c.Method != http.MethodPost || len(c.path) != 1 {
		return s.notAllowed()
	}
	if c.kind != "agent" && c.kind != "user" {
		return s.unauthorized()
	}
	if c.agent == nil {
		c.agent = s.agents[0]
	}
	var req tokenRequest
	if err := json.Unmarshal(c.body, &req); err != nil || len(req.Scopes) == 0 {
		return s.invalid("scopes", "a list of scopes is required")
	}
	ttl, err := parseTTL(req.TTL)
	if err != nil {
		return s.invalid("ttl", err.Error())
	}
	if denied := c.agent.denies(req.Scopes); denied != "" {
		return s.fail(http.StatusForbidden, "SCOPE_DENIED", "scope not allowed for this agent: "+denied)
	}
	if tier := s.highestTier(req.Scopes); tier != "standard" {
		if granted, a := s.requireApproval(c, req.Scopes, tier); !granted {
			return a
		}
	}
	return ok(s.issue(c, req, ttl))
}

// issue makes a token and returns the reply about it.
func (s *Server) issue(c *call, req tokenRequest, ttl time.Duration) map[string]any {
	value := "eyJkZXY." + rand.Text() + "." + rand.Text()
	t := &token{
		id: s.newID("tok"), agent: c.agent, scopes: req.Scopes, expires: s.cfg.Now().Add(ttl),
		maxUses: req.MaxUses, ips: req.IPs,
	}
	if s.cfg.TokenMaxUses > 0 {
		t.maxUses = s.cfg.TokenMaxUses
	}
	if s.cfg.TokensExpired {
		t.expires = s.cfg.Now().Add(-time.Second)
	}
	s.tokens[value] = t
	s.audit(c, "token.issued", "token", t.id)
	return map[string]any{
		"token": value, "token_id": t.id, "expires_at": t.expires.Add(s.cfg.Skew).UTC().Format(time.RFC3339Nano),
		"requires_approval": false, "approval_id": nil, "scopes": t.scopes, "agent_id": c.agent.ID,
	}
}

func parseTTL(raw json.RawMessage) (time.Duration, error) {
	var text string
	var seconds int64
	ttl, unknown := defaultTTL, errors.New("unknown ttl")
	switch {
	case raw == nil || string(raw) == "null":
	case json.Unmarshal(raw, &seconds) == nil:
		ttl = time.Duration(seconds) * time.Second
	case json.Unmarshal(raw, &text) == nil && len(text) > 1:
		n, err := strconv.Atoi(text[:len(text)-1])
		unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[text[len(text)-1]]
		if err != nil || unit == 0 {
			return 0, unknown
		}
		ttl = time.Duration(n) * unit
	default:
		return 0, unknown
	}
	if ttl <= 0 || ttl > maxTTL {
		return 0, errors.New("ttl must be more than 0 and at most 7 days")
	}
	return ttl, nil
}

// invalid is the answer to a field that cannot be used, in the form of the
// envelope it would have.
func (s *Server) invalid(field, message string) answer {
	a := s.fail(http.StatusUnprocessableEntity, "VALIDATION_ERROR", field+": "+message)
	if s.cfg.Envelope == "detail" {
		a.body = map[string]any{"detail": []any{map[string]any{"loc": []string{"body", field}, "msg": message, "type": "value_error"}}}
	}
	return a
}

// authorize checks that the caller may do action to a path, and counts the use
// of a token.
func (s *Server) authorize(c *call, action, what string) (answer, bool) {
	switch {
	case c.kind == "user", s.cfg.Lenient && c.kind == "agent":
		return answer{}, true
	case c.kind == "agent":
		return s.fail(http.StatusForbidden, "FORBIDDEN", "an agent key reads no secrets: exchange it for a scoped token"), false
	case c.kind != "token":
		return s.unauthorized(), false
	}
	t := c.token
	if !s.cfg.Now().Before(t.expires) || t.maxUses > 0 && t.uses >= t.maxUses {
		return s.unauthorized(), false
	}
	if len(t.ips) > 0 && !slices.Contains(t.ips, clientIP(c.Request)) {
		return s.fail(http.StatusForbidden, "IP_DENIED", "address not allowed"), false
	}
	want := action
	if what != "" {
		want = "secrets:" + action + ":" + what
	}
	for _, scope := range t.scopes {
		if covers(scope, want) {
			t.uses++
			return answer{}, true
		}
	}
	return s.fail(http.StatusForbidden, "SCOPE_DENIED", "the token does not cover "+want), false
}

// covers reports whether a scope, with * for any text, covers what is wanted.
func covers(scope, want string) bool {
	before, after, found := strings.Cut(scope, "*")
	if !found {
		return scope == want
	}
	rest, ok := strings.CutPrefix(want, before)
	if !ok {
		return false
	}
	for i := 0; i <= len(rest); i++ {
		if covers(after, rest[i:]) {
			return true
		}
	}
	return false
}

// highestTier is that of all secrets that reading or writing with the scopes
// could reach.
func (s *Server) highestTier(scopes []string) string {
	tiers := []string{"standard", "sensitive", "critical"}
	highest := 0
	for _, scope := range scopes {
		for p, sec := range s.reachable(scope) {
			if covers(scope, "secrets:read:"+p) || covers(scope, "secrets:write:"+p) {
				highest = max(highest, slices.Index(tiers, sec.Tier))
			}
		}
	}
	return tiers[highest]
}

// reachable narrows the secrets down to those that a scope may cover.
func (s *Server) reachable(scope string) map[string]*secret {
	if strings.Contains(scope, "*") {
		return s.secrets
	}
	_, p, _ := strings.Cut(strings.TrimPrefix(scope, "secrets:"), ":")
	if sec, ok := s.secrets[p]; ok {
		return map[string]*secret{p: sec}
	}
	return nil
}
