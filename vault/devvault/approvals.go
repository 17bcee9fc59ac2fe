package devvault

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// approval is a request that waits for a human, or has been decided.
type approval struct {
	ID        string    `json:"id"`
	AgentID   string    `json:"agent_id"`
	Status    string    `json:"status"` // pending, approved, denied or expired
	Tier      string    `json:"access_tier"`
	Scopes    []string  `json:"requested_scopes"`
	Reason    *string   `json:"reason"`
	ExpiresAt time.Time `json:"expires_at"`
	CreatedAt time.Time `json:"created_at"`

	used bool // the token has been collected
}

// Approval is an approval as tests see it.
type Approval struct {
	ID, Status string
	Scopes     []string
}

// Approvals returns all approvals, the oldest first.
func (s *Server) Approvals() []Approval {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Approval
	for _, a := range s.approvals {
		s.expire(a)
		out = append(out, Approval{a.ID, a.Status, a.Scopes})
	}
	return out
}

// Decide gives an approval a status: approved, denied or any other.
func (s *Server) Decide(id, status string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.approval(id)
	if a == nil {
		return fmt.Errorf("no approval %q", id)
	}
	a.Status = status
	return nil
}

func (s *Server) expire(a *approval) {
	if a.Status == "pending" && !s.cfg.Now().Before(a.ExpiresAt) {
		a.Status = "expired"
	}
}

// requireApproval reports whether a human has approved the same request before;
// else each call makes a new approval, and a is the answer about it.
func (s *Server) requireApproval(c *call, scopes []string, tier string) (granted bool, a answer) {
	for _, a := range s.approvals {
		if a.Status == "approved" && !a.used && a.AgentID == c.agent.ID && slices.Equal(a.Scopes, scopes) && !s.cfg.TokenInStatus {
			a.used = true
			return true, answer{}
		}
	}
	now := s.cfg.Now().UTC()
	asked := &approval{
		ID: s.newID("apr"), AgentID: c.agent.ID, Status: "pending", Tier: tier, Scopes: scopes,
		ExpiresAt: now.Add(s.cfg.ApprovalTTL), CreatedAt: now,
	}
	s.approvals = append(s.approvals, asked)
	s.audit(c, "approval.requested", "approval", asked.ID)
	// No scopes or expires_at: CLI 1.0.0 would take them for a token's.
	return false, ok(map[string]any{"requires_approval": true, "approval_id": asked.ID})
}

func (s *Server) routeApprovals(c *call) answer {
	switch {
	case len(c.path) == 3 && c.path[1] == "agent" && c.Method == http.MethodGet:
		return s.approvalStatus(c, c.path[2])
	case len(c.path) == 1 && c.Method == http.MethodGet:
		return s.listApprovals(c)
	case len(c.path) == 3 && c.Method == http.MethodPost && c.path[2] == "approve":
		return s.decide(c, c.path[1], "approved", "approval.granted")
	case len(c.path) == 3 && c.Method == http.MethodPost && c.path[2] == "deny":
		return s.decide(c, c.path[1], "denied", "approval.denied")
	}
	return s.notFound()
}

// approvalStatus is the one call about approvals that an agent may make.
func (s *Server) approvalStatus(c *call, id string) answer {
	if c.kind != "agent" && c.kind != "user" {
		return s.unauthorized()
	}
	a := s.approval(id)
	if a == nil || c.kind == "agent" && a.AgentID != c.agent.ID {
		return s.fail(http.StatusNotFound, "APPROVAL_NOT_FOUND", "no such approval")
	}
	if !s.cfg.TokenInStatus || a.Status != "approved" || a.used {
		return ok(a)
	}
	a.used = true
	if c.agent == nil {
		c.agent = s.agents[0]
	}
	body := s.issue(c, tokenRequest{Scopes: a.Scopes}, defaultTTL)
	body["id"], body["status"] = a.ID, a.Status
	return ok(body)
}

func (s *Server) approval(id string) *approval {
	for _, a := range s.approvals {
		if a.ID == id {
			s.expire(a)
			return a
		}
	}
	return nil
}

func (s *Server) listApprovals(c *call) answer {
	if a, allowed := s.human(c); !allowed {
		return a
	}
	status := c.URL.Query().Get("status")
	items := []*approval{}
	for _, a := range s.approvals {
		s.expire(a)
		if status == "" || a.Status == status {
			items = append(items, a)
		}
	}
	return ok(map[string]any{"items": items})
}

func (s *Server) decide(c *call, id, status, event string) answer {
	if a, allowed := s.human(c); !allowed {
		return a
	}
	a := s.approval(id)
	if a == nil {
		return s.fail(http.StatusNotFound, "APPROVAL_NOT_FOUND", "no such approval")
	}
	if a.Status != "pending" {
		return s.fail(http.StatusConflict, "CONFLICT", "the approval is "+a.Status)
	}
	var req struct {
		Reason *string `json:"reason"`
	}
	if len(c.body) > 0 && json.Unmarshal(c.body, &req) != nil {
		return s.invalid("reason", "a string")
	}
	a.Status, a.Reason = status, req.Reason
	s.audit(c, event, "approval", id)
	return ok(a)
}
