package devvault

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestLifetimeOfATokenIsMoreThanZeroAndAtMostAWeek(t *testing.T) {
	const unknown, limits = "unknown ttl", "ttl must be more than 0 and at most 7 days"
	for raw, want := range map[string]string{
		"": "1h0m0s", "null": "1h0m0s", `"90s"`: "1m30s", `"15m"`: "15m0s", `"2h"`: "2h0m0s", `"7d"`: "168h0m0s", "1": "1s", "604800": "168h0m0s",
		`"8d"`: limits, "604801": limits, "0": limits, "-1": limits, `"0m"`: limits, `"-5m"`: limits,
		`""`: unknown, `"m"`: unknown, `"5"`: unknown, `"5w"`: unknown, `"5.5m"`: unknown, "1.5": unknown, "[]": unknown, "true": unknown,
	} {
		ttl, err := parseTTL(json.RawMessage([]byte(raw)[:len(raw):len(raw)]))
		if raw == "" {
			ttl, err = parseTTL(nil)
		}
		got := ttl.String()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", raw, got, want)
		}
	}
}

func TestTroubleWithTokensIsAsConfigured(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		claim   string
		cfg     Config
		expires string
		reads   string // the statuses of three
	}{
		{"none", Config{}, "2026-01-02T03:05:05Z", "200 200 200"},
		{"one use each", Config{TokenMaxUses: 1}, "2026-01-02T03:05:05Z", "200 401 401"},
		{"expired at once", Config{TokensExpired: true}, "2026-01-02T03:04:04Z", "401 401 401"},
		{"a clock that is ahead", Config{Skew: time.Hour}, "2026-01-02T04:05:05Z", "200 200 200"},
		{"a clock that is behind", Config{Skew: -time.Hour}, "2026-01-02T02:05:05Z", "200 200 200"},
	} {
		tt.cfg.Now = func() time.Time { return now }
		v, c := start(t, tt.cfg)
		v.Put("a/B", "v")
		var reply struct {
			Token     string
			ExpiresAt string `json:"expires_at"`
		}
		body := c.want(200, "POST", "/v1/tokens", v.AgentKey(), `{"scopes":["*"],"ttl":"1m"}`)
		if err := json.Unmarshal([]byte(body), &reply); err != nil {
			t.Fatal(err)
		}
		var reads []string
		for range 3 {
			status, _ := c.do("GET", "/v1/secrets/a/B", reply.Token, "")
			reads = append(reads, fmt.Sprint(status))
		}
		if got := strings.Join(reads, " "); reply.ExpiresAt != tt.expires || got != tt.reads {
			t.Errorf("%s: got expires_at %s and reads %s; want %s, %s", tt.claim, reply.ExpiresAt, got, tt.expires, tt.reads)
		}
	}
}

func TestQuotesAreTakenOffInPairs(t *testing.T) {
	for value, want := range map[string]string{
		`"a"`: "a", `'a'`: "a", `""`: "", `"`: `"`, `'`: `'`, "": "", "a": "a", `"a'`: `"a'`, `a"`: `a"`, `"a`: `"a`, "aba": "aba",
	} {
		if got := unquote(value); got != want {
			t.Errorf("%s: got %s, want %s", value, got, want)
		}
	}
}

func TestListingsAreAsConfigured(t *testing.T) {
	for _, tt := range []struct {
		cfg        Config
		path, want string
	}{
		{Config{}, "/v1/secrets?namespace=a", `200 ["B","C"]`},
		{Config{}, "/v1/secrets?namespace=/a/", `200 ["B","C"]`},
		{Config{}, "/v1/secrets", `200 ["B","C","D"]`},
		{Config{}, "/v1/secrets/none", `200 []`},
		{Config{FlatList: true}, "/v1/secrets?namespace=a", `200 ["B"]`},
		{Config{FlatList: true}, "/v1/secrets", `200 ["B","C","D"]`},
		{Config{NoQueryList: true}, "/v1/secrets?namespace=a", `404 null`},
		{Config{NoQueryList: true}, "/v1/secrets/a", `200 ["B","C"]`},
		{Config{PageSize: 2}, "/v1/secrets?page=2", `200 ["D"]`},
		{Config{PageSize: 2}, "/v1/secrets?page=3", `200 []`},
		{Config{PageSize: 2}, "/v1/secrets?page=0", `200 ["B","C"]`},
		{Config{PageSize: 2}, "/v1/secrets?page=x", `200 ["B","C"]`},
	} {
		v, c := start(t, tt.cfg)
		for _, path := range []string{"a/B", "a/b/C", "ab/D"} {
			v.Put(path, "v")
		}
		status, body := c.do("GET", tt.path, c.token(v.AgentKey(), "*", ""), "")
		var reply struct{ Items []struct{ Key string } }
		if err := json.Unmarshal([]byte(body), &reply); err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, item := range reply.Items {
			keys = append(keys, item.Key)
		}
		if reply.Items != nil && keys == nil {
			keys = []string{}
		}
		text, _ := json.Marshal(keys)
		if got := fmt.Sprintf("%d %s", status, text); got != tt.want {
			t.Errorf("%+v %s: got %s, want %s", tt.cfg, tt.path, got, tt.want)
		}
	}
}

func TestWhatIsNotInTheAPIIsRefused(t *testing.T) {
	v, c := start(t, Config{UserKey: "user"})
	v.Put("a/B", "v")
	token := c.token(v.AgentKey(), "*", "")
	for request, want := range map[string]int{
		"GET /v1/tokens " + v.AgentKey():         405,
		"POST /v1/tokens/x " + v.AgentKey():      405,
		"POST /v1/tokens " + token:               401,
		"POST /v1/tokens user":                   422,
		"PATCH /v1/secrets/a/B " + token:         405,
		"PUT /v1/secrets/a " + token:             405,
		"DELETE /v1/secrets/a " + token:          405,
		"POST /v1/secrets/rotate " + token:       405,
		"POST /v1/secrets/a/rotate user":         405,
		"POST /v1/secrets/a/NONE/rotate user":    404,
		"POST /v1/secrets/import " + token:       422,
		"POST /v1/namespaces " + token:           405,
		"GET /v1/namespaces " + token:            200,
		"GET /v1/namespaces nobody":              401,
		"GET /v1/approvals/agent/apr_9 user":     404,
		"GET /v1/approvals/agent/apr_9 nobody":   401,
		"GET /v1/approvals/agent/apr_9 " + token: 401,
		"GET /v1/approvals/x user":               404,
		"POST /v1/approvals/x/y user":            404,
		"PUT /v1/approvals/x/deny user":          404,
		"POST /v1/approvals/x/deny user":         404,
		"GET /v1/approvals nobody":               401,
		"GET /v1/approvals " + v.AgentKey():      403,
		"GET /v1/agents " + v.AgentKey():         403,
		"GET /v1/agents user":                    200,
		"PUT /v1/agents user":                    405,
		"GET /v1/agents/agt_dev user":            405,
		"DELETE /v1/agents/agt_9 user":           404,
		"POST /v1/agents user":                   422,
		"GET /v1/me nobody":                      401,
		"GET /v1/me/status user":                 200,
		"GET /v1/audit nobody":                   401,
		"GET /v1/nothing user":                   404,
		"GET /v2/health user":                    404,
		"GET /v1/health/ nobody":                 200,
	} {
		f := strings.Fields(request)
		c.want(want, f[0], f[1], f[2], "")
	}
}

func TestApprovalExpiresAtItsTime(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	v, c := start(t, Config{UserKey: "user", ApprovalTTL: time.Minute, Now: func() time.Time { return now }})
	v.PutTier("a/K", "v", "critical")
	v.PutTier("a/L", "v", "sensitive")
	c.want(200, "POST", "/v1/tokens", v.AgentKey(), `{"scopes":["secrets:write:a/K"]}`)
	for after, want := range map[time.Duration]string{0: "pending", time.Minute - 1: "pending", time.Minute: "expired"} {
		then := now
		now = now.Add(after)
		copied := *v.approvals[0]
		if v.expire(&copied); copied.Status != want || copied.Tier != "critical" {
			t.Errorf("after %s: got %s, %s; want %s, critical", after, copied.Status, copied.Tier, want)
		}
		now = then
	}
	now = now.Add(time.Minute)
	if got := fmt.Sprint(v.Approvals()); !strings.HasSuffix(got, " expired [secrets:write:a/K]}]") {
		t.Errorf("got %s", got)
	}
	c.want(409, "POST", "/v1/approvals/"+v.approvals[0].ID+"/approve", "user", "")
}

func TestApprovalIsUsedOnceForTheSameScopesByItsAgent(t *testing.T) {
	v, c := start(t, Config{UserKey: "user"})
	v.PutTier("a/K", "v", "sensitive")
	other := v.createAgentFor(t, "user")
	ask := func(key, scopes string) bool {
		return strings.Contains(c.want(200, "POST", "/v1/tokens", key, `{"scopes":[`+scopes+`]}`), `"token":`)
	}
	const scopes = `"secrets:read:a/K"`
	if ask(v.AgentKey(), scopes) {
		t.Fatal("got a token that nobody approved")
	}
	id := v.Approvals()[0].ID
	c.want(422, "POST", "/v1/approvals/"+id+"/approve", "user", `{"reason":7}`)
	c.want(404, "GET", "/v1/approvals/agent/"+id, other, "")
	if err := v.Decide(id, "approved"); err != nil {
		t.Fatal(err)
	}
	if err := v.Decide("apr_x", "approved"); err == nil {
		t.Error("an approval that does not exist was decided")
	}
	for _, tt := range []struct {
		claim, key, scopes string
		want               bool
	}{
		{"another agent", other, scopes, false},
		{"other scopes", v.AgentKey(), `"secrets:read:a/K","secrets:read:a/L"`, false},
		{"the same", v.AgentKey(), scopes, true},
		{"the same again", v.AgentKey(), scopes, false},
	} {
		if got := ask(tt.key, tt.scopes); got != tt.want {
			t.Errorf("%s: got a token: %v", tt.claim, got)
		}
	}
}

// createAgentFor creates a second agent as a human would.
func (s *Server) createAgentFor(t *testing.T, user string) (key string) {
	t.Helper()
	r := httptest.NewRequest("POST", "/v1/agents", strings.NewReader(`{"name":"other"}`))
	r.Header.Set("Authorization", "Bearer "+user)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var made struct {
		APIKey string `json:"api_key"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != http.StatusCreated || len(made.APIKey) != 28 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	return made.APIKey
}

func TestLimitSaysWhenToComeBack(t *testing.T) {
	for rate, want := range map[float64]string{4: "1", 1: "2", 0.5: "3", 0.1: "11"} {
		now := time.Now()
		v := New(Config{RateLimit: rate, Burst: 1, Now: func() time.Time { return now }})
		for _, want := range []string{"", want} {
			w := httptest.NewRecorder()
			v.ServeHTTP(w, httptest.NewRequest("GET", "/v1/health", nil))
			if got := w.Header().Get("Retry-After"); got != want {
				t.Errorf("%g a second: got Retry-After %q, want %q", rate, got, want)
			}
		}
	}
	if v := New(Config{RateLimit: 0.5}); v.cfg.Burst != 1 {
		t.Errorf("got a burst of %d", v.cfg.Burst)
	}
}

func TestCertificateIsSignedForItsHosts(t *testing.T) {
	cert, ca, err := Certificate("vault", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	block, _ := pem.Decode(ca)
	authority, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(authority)
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for host, want := range map[string]bool{"vault": true, "127.0.0.1": true, "other": false, "127.0.0.2": false} {
		for at, valid := range map[time.Duration]bool{-50 * time.Minute: true, -70 * time.Minute: false, 29 * 24 * time.Hour: true, 31 * 24 * time.Hour: false} {
			_, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: now.Add(at)})
			if (err == nil) != (want && valid) {
				t.Errorf("%s after %s: got %v", host, at, err)
			}
		}
	}
}

func TestKeysAreShownByTheirBeginning(t *testing.T) {
	for key, want := range map[string]string{"": "", "short": "short", "12345678": "12345678", "123456789": "12345678"} {
		if got := prefix(key); got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
}

func TestWriteChangesOnlyWhatItNames(t *testing.T) {
	v, c := start(t, Config{})
	token := c.token(v.AgentKey(), "*", "")
	for _, tt := range []struct{ body, want string }{
		{`{"value":"1"}`, `custom standard {}`},
		{`{"value":"2","secret_type":"api_key","access_tier":"sensitive","metadata":{"a":1}}`, `api_key sensitive {"a":1}`},
		{`{"value":"3","metadata":null}`, `api_key sensitive {"a":1}`},
		{`{"value":"4","access_tier":"critical"}`, `api_key critical {"a":1}`},
	} {
		_, reply := c.do("PUT", "/v1/secrets/a/B", token, tt.body)
		var row secret
		if err := json.Unmarshal([]byte(reply), &row); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%s %s %s", row.Type, row.Tier, row.Metadata); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.body, got, tt.want)
		}
	}
}

func TestFieldThatIsWrongIsNamedInEachEnvelope(t *testing.T) {
	for envelope, want := range map[string]string{
		"":       `{"detail":"ttl: unknown ttl","error":{"code":"VALIDATION_ERROR","message":"ttl: unknown ttl"}}`,
		"error":  `{"error":{"code":"VALIDATION_ERROR","message":"ttl: unknown ttl"}}`,
		"detail": `{"detail":[{"loc":["body","ttl"],"msg":"unknown ttl","type":"value_error"}]}`,
	} {
		v, c := start(t, Config{Envelope: envelope})
		if got := c.want(422, "POST", "/v1/tokens", v.AgentKey(), `{"scopes":["*"],"ttl":"soon"}`); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestAuditSaysWhoDidWhat(t *testing.T) {
	v, c := start(t, Config{UserKey: "user"})
	c.want(201, "PUT", "/v1/secrets/a/B", c.token(v.AgentKey(), "*", ""), `{"value":"v"}`)
	c.want(200, "GET", "/v1/secrets/a/B", "user", "")
	var reply struct {
		Events []struct {
			ID, IP string
			Type   string `json:"event_type"`
			Actor  string `json:"actor_id"`
			Kind   string `json:"actor_type"`
			Of     string `json:"resource_id"`
		}
	}
	if err := json.Unmarshal([]byte(c.want(200, "GET", "/v1/audit", "user", "")), &reply); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range reply.Events {
		got = append(got, strings.Join([]string{e.ID, e.Type, e.Actor, e.Kind, e.Of}, " "))
	}
	want := "evt_5 secret.read usr_dev user a/B, evt_4 secret.created agt_dev agent a/B, evt_2 token.issued agt_dev agent tok_1"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("got %s, want %s", text, want)
	}
}

func TestPageAfterTheLastIsEmpty(t *testing.T) {
	_, c := start(t, Config{UserKey: "user"})
	last := strconv.Itoa(math.MaxInt)
	for page, want := range map[string]string{
		"2": `"page":2`, last: `"page":` + last, last + "0": `"page":1`, "-1": `"page":1`,
	} {
		if got := c.want(200, "GET", "/v1/audit?limit=100&page="+page, "user", ""); got != `{"events":[],"limit":100,`+want+`,"total":0}` {
			t.Errorf("page %s: got %s", page, got)
		}
	}
}
