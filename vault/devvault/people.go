package devvault

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// agent is who holds an agent key.
type agent struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Description string     `json:"description"`
	Prefix      string     `json:"api_key_prefix"`
	Namespaces  []string   `json:"allowed_namespaces"` // empty: all
	Scopes      []string   `json:"allowed_scopes"`     // empty: all
	Active      bool       `json:"active"`
	CreatedAt   time.Time  `json:"created_at"`
	LastActive  *time.Time `json:"last_active_at"`

	key string
}

// denies returns the first scope that the agent may not ask for.
func (a *agent) denies(scopes []string) string {
	for _, scope := range scopes {
		parts := strings.SplitN(scope, ":", 3)
		inNamespace := len(a.Namespaces) == 0 || len(parts) < 3 || slices.ContainsFunc(a.Namespaces, func(ns string) bool {
			return strings.HasPrefix(parts[2], strings.TrimSuffix(ns, "/*")+"/")
		})
		inScopes := len(a.Scopes) == 0 || slices.ContainsFunc(a.Scopes, func(allowed string) bool {
			return covers(allowed, scope)
		})
		if !inNamespace || !inScopes {
			return scope
		}
	}
	return ""
}

func (s *Server) routeAgents(c *call) answer {
	if a, allowed := s.human(c); !allowed {
		return a
	}
	switch {
	case c.Method == http.MethodGet && len(c.path) == 1:
		return ok(map[string]any{"items": s.agents})
	case c.Method == http.MethodPost && len(c.path) == 1:
		return s.createAgent(c)
	case c.Method == http.MethodDelete && len(c.path) == 2:
		for i, a := range s.agents {
			if a.ID == c.path[1] {
				s.agents = slices.Delete(s.agents, i, i+1)
				return answer{status: http.StatusNoContent}
			}
		}
		return s.fail(http.StatusNotFound, "AGENT_NOT_FOUND", "no such agent")
	}
	return s.notAllowed()
}

func (s *Server) createAgent(c *call) answer {
	a := &agent{Active: true, CreatedAt: s.cfg.Now().UTC(), Namespaces: []string{}, Scopes: []string{}}
	if err := json.Unmarshal(c.body, a); err != nil || a.Name == "" {
		return s.invalid("name", "a name is required")
	}
	a.ID, a.key = s.newID("agt"), "ass_"+rand.Text()[:24]
	a.Prefix = prefix(a.key)
	s.agents = append(s.agents, a)
	s.audit(c, "agent.created", "agent", a.ID)
	return answer{status: http.StatusCreated, body: map[string]any{"id": a.ID, "name": a.Name, "api_key": a.key}}
}

func (s *Server) getMe(c *call) answer {
	if a, allowed := s.human(c); !allowed {
		return a
	}
	if len(c.path) == 2 && c.path[1] == "status" {
		return ok(map[string]any{"has_subscription": false, "plan": "dev", "subscription_status": "none"})
	}
	return ok(map[string]any{
		"id": "usr_dev", "email": "dev@localhost", "name": "Developer", "plan": "dev", "subscription_status": "none",
		"secret_count": len(s.secrets), "agent_count": len(s.agents),
	})
}

// event is an entry of the audit log.
type event struct {
	ID           string         `json:"id"`
	Type         string         `json:"event_type"`
	ActorID      string         `json:"actor_id"`
	ActorType    string         `json:"actor_type"`
	ResourceType string         `json:"resource_type"`
	ResourceID   string         `json:"resource_id"`
	Metadata     map[string]any `json:"metadata"`
	IP           string         `json:"ip_address"`
	CreatedAt    time.Time      `json:"created_at"`
}

func (s *Server) audit(c *call, kind, resourceType, resourceID string) {
	actor, actorType := "usr_dev", "user"
	if c.agent != nil {
		actor, actorType = c.agent.ID, "agent"
	}
	s.events = append(s.events, event{
		s.newID("evt"), kind, actor, actorType, resourceType, resourceID, map[string]any{}, clientIP(c.Request), s.cfg.Now().UTC(),
	})
}

// getAudit shows the newest events first.
func (s *Server) getAudit(c *call) answer {
	if a, allowed := s.human(c); !allowed {
		return a
	}
	query := c.URL.Query()
	page, limit := pageOf(query.Get("page"), 1), min(pageOf(query.Get("limit"), 25), 100)
	events := slices.Clone(s.events)
	slices.Reverse(events)
	return ok(map[string]any{"events": slice(events, page, limit), "total": len(events), "page": page, "limit": limit})
}

func pageOf(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// slice is one page, counted from 1; empty, not nil, after the last.
func slice[T any](all []T, page, size int) []T {
	from := min(min(page-1, len(all))*size, len(all)) // the page may be any number
	return append([]T{}, all[from:min(from+size, len(all))]...)
}
