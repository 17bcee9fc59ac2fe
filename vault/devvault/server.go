// Package devvault is Agent Secret Store in memory: the API that the vendor's
// SDK, CLI and MCP server 1.0.0 speak, for local work, demos and tests. It is
// an http.Handler, keeps everything in memory, and imports neither our client
// nor anything beyond the standard library, so that it checks the client
// instead of echoing it. It is for development only.
package devvault

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const maxBody = 16 << 20 // bytes of a request

// Config says how a Server behaves. The zero value is a strict one with a key
// of its own.
type Config struct {
	AgentKey string           // generated if empty
	UserKey  string           // stands for the login of a human; empty: nobody can log in
	Lenient  bool             // the agent key also reads and writes secrets, as before 2026
	Now      func() time.Time // time.Now if nil

	OnRequest func(Request) // called for every request, one at a time; may be nil

	// What the documentation leaves open, to be tried both ways.
	Envelope      string        // of errors: "error", "detail" or, if empty, both
	TokenInStatus bool          // an approved approval shows its token; else the same request gets it
	ApprovalTTL   time.Duration // 10 minutes if zero
	NoQueryList   bool          // GET /v1/secrets?namespace= is not known
	FlatList      bool          // a listing leaves out the namespaces below
	PageSize      int           // of a listing; 0: no pages

	// What goes wrong besides injected faults.
	RateLimit     float64       // requests per second; 0: no limit
	Burst         int           // how many of them at once after a pause; 0: as many as in a second
	Skew          time.Duration // added to every expires_at that is sent
	TokenMaxUses  int           // of every token; 0: as asked for
	TokensExpired bool          // every token has expired when it is issued
}

// Server is the API. It is safe for concurrent use.
type Server struct {
	cfg Config

	mu        sync.Mutex
	secrets   map[string]*secret
	tokens    map[string]*token
	agents    []*agent
	approvals []*approval
	events    []event
	requests  []Request
	faults    []*Fault
	ids       int
	budget    float64 // of the rate limit
	filled    time.Time
	closed    chan struct{}
}

// Request is one request as it came.
type Request struct {
	Method    string
	Path      string // escaped, with its query
	Bearer    string // what kind: agent, user, token, unknown or none
	UserAgent string
	Proto     string
	Remote    string // address and port, the same for the same connection
	Status    int    // of the answer; 0 if a fault kept it back
}

// New returns a Server without secrets.
func New(cfg Config) *Server {
	if cfg.AgentKey == "" {
		cfg.AgentKey = "ass_dev_" + rand.Text()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.ApprovalTTL == 0 {
		cfg.ApprovalTTL = 10 * time.Minute
	}
	if cfg.Burst == 0 {
		cfg.Burst = max(1, int(cfg.RateLimit))
	}
	s := &Server{
		cfg: cfg, secrets: make(map[string]*secret), tokens: make(map[string]*token),
		budget: float64(cfg.Burst), filled: cfg.Now(), closed: make(chan struct{}),
	}
	s.agents = []*agent{{
		ID: "agt_dev", Name: "dev", Prefix: prefix(cfg.AgentKey), key: cfg.AgentKey,
		Namespaces: []string{}, Scopes: []string{}, Active: true, CreatedAt: cfg.Now().UTC(),
	}}
	return s
}

// AgentKey is the key of the first agent.
func (s *Server) AgentKey() string { return s.cfg.AgentKey }

// Close ends the requests that a fault makes hang.
func (s *Server) Close() { close(s.closed) }

// Requests returns what has been asked so far, in the order of the answers.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// caller is who sends a request.
type caller struct {
	kind  string // agent, user, token, unknown or none
	agent *agent // of an agent's key or a token
	token *token
}

// call is a request on its way through the server, which is locked meanwhile.
type call struct {
	*http.Request
	caller
	path []string // decoded, after /v1
	body []byte
}

// answer is a status with a body to be sent as JSON; nil sends none.
type answer struct {
	status int
	body   any
	header http.Header
}

func ok(body any) answer { return answer{status: http.StatusOK, body: body} }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return
	}
	a, fault := s.take(r, body)
	if fault != nil && fault.apply(s, w, r, a) {
		return
	}
	a.write(w)
}

// take answers a request and records it, and finds the fault that affects it.
func (s *Server) take(r *http.Request, body []byte) (answer, *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock() // even in a panic, which ends this request alone
	c := &call{Request: r, caller: s.identify(r), body: body}
	fault := s.faultFor(endpointOf(r))
	a := s.answer(c, fault)
	seen := Request{r.Method, r.URL.RequestURI(), c.kind, r.UserAgent(), r.Proto, r.RemoteAddr, a.status}
	s.requests = append(s.requests, seen)
	if s.cfg.OnRequest != nil {
		s.cfg.OnRequest(seen)
	}
	return a, fault
}

func (s *Server) answer(c *call, fault *Fault) answer {
	if wait := s.overLimit(); wait > 0 {
		a := s.fail(http.StatusTooManyRequests, "RATE_LIMITED", "too many requests")
		a.header = http.Header{"Retry-After": {strconv.Itoa(wait)}}
		return a
	}
	if fault != nil && fault.Kind == "status" {
		a := s.fail(fault.Status, "FAULT", http.StatusText(fault.Status))
		a.header = fault.header(s.cfg.Now())
		return a
	}
	rest, found := strings.CutPrefix(c.URL.Path, "/v1/")
	if !found {
		return s.notFound()
	}
	c.path = strings.Split(strings.TrimSuffix(rest, "/"), "/")
	for _, segment := range c.path {
		if segment == "" || segment == "." || segment == ".." {
			return s.fail(http.StatusBadRequest, "VALIDATION_ERROR", "unclean path")
		}
	}
	return s.route(c)
}

// route finds the endpoint by the first segment of the path.
func (s *Server) route(c *call) answer {
	switch c.path[0] {
	case "health":
		return ok(map[string]any{"status": "ok", "version": "dev", "service": "ass-devvault"})
	case "tokens":
		return s.postToken(c)
	case "secrets":
		return s.routeSecrets(c)
	case "namespaces":
		return s.getNamespaces(c)
	case "approvals":
		return s.routeApprovals(c)
	case "agents":
		return s.routeAgents(c)
	case "audit":
		return s.getAudit(c)
	case "me":
		return s.getMe(c)
	}
	return s.notFound()
}

// identify finds out who sends a request.
func (s *Server) identify(r *http.Request) caller {
	bearer, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !found {
		return caller{kind: "none"}
	}
	if s.cfg.UserKey != "" && bearer == s.cfg.UserKey {
		return caller{kind: "user"}
	}
	for _, a := range s.agents {
		if bearer == a.key && a.Active {
			return caller{kind: "agent", agent: a}
		}
	}
	if t := s.tokens[bearer]; t != nil {
		return caller{kind: "token", agent: t.agent, token: t}
	}
	return caller{kind: "unknown"}
}

// human refuses everybody but a human.
func (s *Server) human(c *call) (answer, bool) {
	switch {
	case c.kind == "user" || s.cfg.Lenient && c.kind == "agent":
		return answer{}, true
	case c.kind == "none" || c.kind == "unknown":
		return s.unauthorized(), false
	}
	return s.fail(http.StatusForbidden, "FORBIDDEN", "only a human may do this: log in"), false
}

func (s *Server) fail(status int, code, message string) answer {
	body := map[string]any{}
	if s.cfg.Envelope != "detail" {
		body["error"] = map[string]string{"code": code, "message": message}
	}
	if s.cfg.Envelope != "error" {
		body["detail"] = message
	}
	return answer{status: status, body: body}
}

func (s *Server) notFound() answer {
	return s.fail(http.StatusNotFound, "NOT_FOUND", "no such endpoint")
}

func (s *Server) notAllowed() answer {
	return s.fail(http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "method not allowed")
}

func (s *Server) unauthorized() answer {
	return s.fail(http.StatusUnauthorized, "UNAUTHORIZED", "missing, invalid or expired credentials")
}

func (a answer) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	b := a.bytes()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(a.status)
	_, _ = w.Write(b)
}

func (a answer) bytes() []byte {
	b, err := json.Marshal(a.body)
	if err != nil {
		return []byte(`{}`)
	}
	return b
}

// overLimit takes a request from the token bucket of the rate limit, and
// returns how many seconds to wait if it is empty.
func (s *Server) overLimit() int {
	if s.cfg.RateLimit <= 0 {
		return 0
	}
	now := s.cfg.Now()
	s.budget = min(float64(s.cfg.Burst), s.budget+now.Sub(s.filled).Seconds()*s.cfg.RateLimit)
	s.filled = now
	if s.budget >= 1 {
		s.budget--
		return 0
	}
	return int((1-s.budget)/s.cfg.RateLimit) + 1
}

func (s *Server) newID(kind string) string {
	s.ids++
	return kind + "_" + strconv.Itoa(s.ids)
}

func clientIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func prefix(key string) string { return key[:min(8, len(key))] }
