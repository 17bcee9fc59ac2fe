package devvault

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// secret is one secret with its newest value.
type secret struct {
	ID        string          `json:"id"`
	Namespace string          `json:"namespace"`
	Key       string          `json:"key"`
	Version   int             `json:"version"`
	Type      string          `json:"secret_type"`
	Tier      string          `json:"access_tier"`
	Metadata  json.RawMessage `json:"metadata"`
	CreatedAt time.Time       `json:"created_at"`
	UpdatedAt time.Time       `json:"updated_at"`

	value string
}

// withValue is a secret as reading shows it.
type withValue struct {
	*secret
	Value string `json:"value"`
}

// Put creates a secret or writes a new version of it. The path is decoded.
func (s *Server) Put(path, value string) { s.PutTier(path, value, "standard") }

// PutTier is Put with an access tier: standard, sensitive or critical.
func (s *Server) PutTier(path, value, tier string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(path, secretRequest{Value: &value, Tier: tier})
}

// secretRequest is the body of a PUT, and an entry of a seed.
type secretRequest struct {
	Value    *string         `json:"value"`
	Type     string          `json:"secret_type"`
	Tier     string          `json:"access_tier"`
	Metadata json.RawMessage `json:"metadata"`
}

func (s *Server) put(path string, req secretRequest) (row *secret, created bool) {
	namespace, key := split(path)
	now := s.cfg.Now().UTC()
	row = s.secrets[path]
	if row == nil {
		row = &secret{
			ID: s.newID("sec"), Namespace: namespace, Key: key, Type: "custom", Tier: "standard",
			Metadata: json.RawMessage("{}"), CreatedAt: now,
		}
		s.secrets[path], created = row, true
	}
	row.Version++
	row.UpdatedAt, row.value = now, *req.Value
	if req.Type != "" {
		row.Type = req.Type
	}
	if req.Tier != "" {
		row.Tier = req.Tier
	}
	if req.Metadata != nil && string(req.Metadata) != "null" {
		row.Metadata = req.Metadata
	}
	return row, created
}

func split(path string) (namespace, key string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 0)], path[i+1:]
}

func (s *Server) routeSecrets(c *call) answer {
	rest := c.path[1:]
	path := strings.Join(rest, "/")
	switch {
	case c.Method == http.MethodGet && len(rest) == 0:
		if s.cfg.NoQueryList {
			return s.notFound()
		}
		return s.list(c, c.URL.Query().Get("namespace"))
	case c.Method == http.MethodGet:
		return s.getSecretOrList(c, path)
	case c.Method == http.MethodPost && path == "import":
		return s.importEnv(c)
	case c.Method == http.MethodPost && len(rest) > 2 && rest[len(rest)-1] == "rotate":
		return s.rotate(c, strings.TrimSuffix(path, "/rotate"))
	case c.Method == http.MethodPut && len(rest) >= 2:
		return s.putSecret(c, path)
	case c.Method == http.MethodDelete && len(rest) >= 2:
		return s.deleteSecret(c, path)
	}
	return s.notAllowed()
}

// getSecretOrList resolves what the API's paths leave open: a secret of that
// path wins, then a namespace.
func (s *Server) getSecretOrList(c *call, path string) answer {
	row := s.secrets[path]
	if row == nil && (len(c.path) == 2 || s.isNamespace(path)) {
		return s.list(c, path)
	}
	if a, allowed := s.authorize(c, "read", path); !allowed {
		return a
	}
	if row == nil {
		return s.fail(http.StatusNotFound, "SECRET_NOT_FOUND", "secret not found: "+path)
	}
	s.audit(c, "secret.read", "secret", path)
	return ok(withValue{row, row.value})
}

func (s *Server) isNamespace(path string) bool {
	for p := range s.secrets {
		if strings.HasPrefix(p, path+"/") {
			return true
		}
	}
	return false
}

func (s *Server) list(c *call, namespace string) answer {
	namespace = strings.Trim(namespace, "/")
	what := namespace + "/*"
	if namespace == "" {
		what = "*"
	}
	if a, allowed := s.authorize(c, "read", what); !allowed {
		return a
	}
	items := []*secret{}
	for p, row := range s.secrets {
		if namespace == "" || row.Namespace == namespace || !s.cfg.FlatList && strings.HasPrefix(p, namespace+"/") {
			items = append(items, row)
		}
	}
	slices.SortFunc(items, func(a, b *secret) int {
		return strings.Compare(a.Namespace+"/"+a.Key, b.Namespace+"/"+b.Key)
	})
	body := map[string]any{"namespace": namespace}
	if s.cfg.PageSize > 0 {
		page := pageOf(c.URL.Query().Get("page"), 1)
		body["total"], body["page"] = len(items), page
		items = slice(items, page, s.cfg.PageSize)
	}
	body["items"] = items
	return ok(body)
}

func (s *Server) putSecret(c *call, path string) answer {
	if a, allowed := s.authorize(c, "write", path); !allowed {
		return a
	}
	var req secretRequest
	if err := json.Unmarshal(c.body, &req); err != nil || req.Value == nil {
		return s.invalid("value", "a string is required")
	}
	row, created := s.put(path, req)
	if created {
		s.audit(c, "secret.created", "secret", path)
		return answer{status: http.StatusCreated, body: row}
	}
	s.audit(c, "secret.updated", "secret", path)
	return ok(row)
}

func (s *Server) deleteSecret(c *call, path string) answer {
	if a, allowed := s.authorize(c, "delete", path); !allowed {
		return a
	}
	if s.secrets[path] == nil {
		return s.fail(http.StatusNotFound, "SECRET_NOT_FOUND", "secret not found: "+path)
	}
	delete(s.secrets, path)
	s.audit(c, "secret.deleted", "secret", path)
	return answer{status: http.StatusNoContent}
}

// rotate writes the value it is given or, without one, makes one up.
func (s *Server) rotate(c *call, path string) answer {
	if a, allowed := s.human(c); !allowed {
		return a
	}
	if s.secrets[path] == nil {
		return s.fail(http.StatusNotFound, "SECRET_NOT_FOUND", "secret not found: "+path)
	}
	var req struct {
		NewValue *string `json:"new_value"`
	}
	if len(c.body) > 0 {
		if err := json.Unmarshal(c.body, &req); err != nil {
			return s.invalid("new_value", "a string is required")
		}
	}
	if req.NewValue == nil {
		made := rand.Text()
		req.NewValue = &made
	}
	row, _ := s.put(path, secretRequest{Value: req.NewValue})
	s.audit(c, "secret.rotated", "secret", path)
	return ok(withValue{row, row.value})
}

// importEnv reads simple dotenv text, as the clients send it.
func (s *Server) importEnv(c *call) answer {
	var req struct {
		secretRequest
		Namespace string `json:"namespace"`
		Content   string `json:"content"`
	}
	if err := json.Unmarshal(c.body, &req); err != nil || req.Namespace == "" {
		return s.invalid("namespace", "a namespace and content are required")
	}
	if a, allowed := s.authorize(c, "write", req.Namespace+"/*"); !allowed {
		return a
	}
	keys := []string{}
	for _, line := range strings.Split(req.Content, "\n") {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		key, value, found := strings.Cut(line, "=")
		if !found || strings.HasPrefix(line, "#") {
			continue
		}
		value = unquote(strings.TrimSpace(value))
		req.Value = &value
		s.put(req.Namespace+"/"+strings.TrimSpace(key), req.secretRequest)
		keys = append(keys, strings.TrimSpace(key))
	}
	s.audit(c, "secret.imported", "namespace", req.Namespace)
	body := map[string]any{"namespace": req.Namespace, "imported": keys, "imported_count": len(keys), "skipped": 0, "keys": keys}
	if strings.HasPrefix(c.UserAgent(), "ass-cli") {
		body["imported"] = len(keys) // the CLI and the SDK disagree about its type
	}
	return ok(body)
}

func unquote(v string) string {
	if len(v) >= 2 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
		return v[1 : len(v)-1]
	}
	return v
}

func (s *Server) getNamespaces(c *call) answer {
	if c.Method != http.MethodGet {
		return s.notAllowed()
	}
	if a, allowed := s.authorize(c, "namespaces:read", ""); !allowed {
		return a
	}
	names := []string{}
	for _, row := range s.secrets {
		if !slices.Contains(names, row.Namespace) {
			names = append(names, row.Namespace)
		}
	}
	slices.Sort(names)
	return ok(map[string]any{"namespaces": names})
}
