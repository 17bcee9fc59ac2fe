package devvault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// client speaks to a server as a test's hand would.
type client struct {
	t   *testing.T
	url string
}

func start(t *testing.T, cfg Config) (*Server, client) {
	t.Helper()
	v := New(cfg)
	s := httptest.NewServer(v)
	t.Cleanup(func() { v.Close(); s.Close() })
	return v, client{t, s.URL}
}

// do sends a request and returns the status with the body.
func (c client) do(method, path, bearer, body string) (int, string) {
	c.t.Helper()
	req, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(b))
}

// token asks for a token with one scope and more fields of the request.
func (c client) token(key, scope, more string) string {
	c.t.Helper()
	status, body := c.do("POST", "/v1/tokens", key, fmt.Sprintf(`{"scopes":[%q]%s}`, scope, more))
	var reply struct{ Token string }
	if err := json.Unmarshal([]byte(body), &reply); err != nil || status != 200 || reply.Token == "" {
		c.t.Fatalf("got %d %s", status, body)
	}
	return reply.Token
}

func (c client) want(status int, method, path, bearer, body string) string {
	c.t.Helper()
	got, reply := c.do(method, path, bearer, body)
	if got != status {
		c.t.Errorf("%s %s: got %d %s, want %d", method, path, got, reply, status)
	}
	return reply
}

func TestSecretIsReadInBothFormsOfItsPath(t *testing.T) {
	v, c := start(t, Config{})
	v.Put("production/gemini/K", "v1")
	v.Put("production/gemini/K", "v2")
	token := c.token(v.AgentKey(), "secrets:read:production/gemini/K", "")
	for _, path := range []string{"/v1/secrets/production/gemini/K", "/v1/secrets/production%2Fgemini/K"} {
		var got struct {
			Value, Namespace, Key string
			Version               int
		}
		if err := json.Unmarshal([]byte(c.want(200, "GET", path, token, "")), &got); err != nil {
			t.Fatal(err)
		}
		if got.Value != "v2" || got.Namespace != "production/gemini" || got.Key != "K" || got.Version != 2 {
			t.Errorf("%s: got %+v", path, got)
		}
	}
	for _, path := range []string{"/v1/secrets/production/../K", "/v1/secrets//K", "/v1/secrets/production%2F..%2FK/x", "//v1/secrets/a/B"} {
		if status, body := c.do("GET", path, token, ""); status != 400 && status != 404 {
			t.Errorf("%s: got %d %s, want no redirect", path, status, body)
		}
	}
}

func TestWhoMayReadSecrets(t *testing.T) {
	now := time.Now()
	v, c := start(t, Config{UserKey: "user", Now: func() time.Time { return now }})
	v.Put("a/b/K", "v")
	const path = "/v1/secrets/a/b/K"
	c.want(401, "GET", path, "", "")
	c.want(401, "GET", path, "nonsense", "")
	c.want(403, "GET", path, v.AgentKey(), "")
	c.want(200, "GET", path, "user", "")
	for scope, status := range map[string]int{
		"secrets:read:a/b/K": 200, "secrets:read:a/*": 200, "secrets:*:*": 200, "*": 200, "secrets:read:*K": 200,
		"secrets:write:a/b/K": 403, "secrets:read:a/b": 403, "secrets:read:a/b/KK": 403, "secrets:read:A/b/K": 403,
	} {
		c.want(status, "GET", path, c.token(v.AgentKey(), scope, ""), "")
	}
	c.want(403, "GET", path, c.token(v.AgentKey(), "*", `,"ip_allowlist":["10.0.0.1"]`), "")
	c.want(200, "GET", path, c.token(v.AgentKey(), "*", `,"ip_allowlist":["127.0.0.1"]`), "")

	twice := c.token(v.AgentKey(), "*", `,"max_uses":2`)
	c.want(200, "GET", path, twice, "")
	c.want(200, "GET", path, twice, "")
	c.want(401, "GET", path, twice, "")

	short, numeric := c.token(v.AgentKey(), "*", `,"ttl":"1m"`), c.token(v.AgentKey(), "*", `,"ttl":90`)
	now = now.Add(time.Minute)
	c.want(401, "GET", path, short, "")
	c.want(200, "GET", path, numeric, "")
	c.want(422, "POST", "/v1/tokens", v.AgentKey(), `{"scopes":["*"],"ttl":"soon"}`)
	c.want(422, "POST", "/v1/tokens", v.AgentKey(), `{"ttl":"1m"}`)
	c.want(401, "POST", "/v1/tokens", short, `{"scopes":["*"]}`)

	_, lenient := start(t, Config{AgentKey: "key", Lenient: true})
	lenient.want(201, "PUT", path, "key", `{"value":"v"}`)
	lenient.want(200, "GET", path, "key", "")
}

func TestSecretsAreWrittenListedRotatedAndDeleted(t *testing.T) {
	v, c := start(t, Config{UserKey: "user", PageSize: 2})
	key := c.token(v.AgentKey(), "secrets:*:a/*", "")
	c.want(201, "PUT", "/v1/secrets/a/b/ONE", key, `{"value":"1","access_tier":"standard","metadata":null}`)
	c.want(200, "PUT", "/v1/secrets/a/b/ONE", key, `{"value":"2"}`)
	c.want(422, "PUT", "/v1/secrets/a/b/TWO", key, `{"value":null}`)
	reply := c.want(200, "POST", "/v1/secrets/import", key, `{"namespace":"a/c","content":"# x\nexport A=\"1\"\nB=2\n"}`)
	if want := `{"imported":["A","B"],"imported_count":2,"keys":["A","B"],"namespace":"a/c","skipped":0}`; reply != want {
		t.Errorf("got %s, want %s", reply, want)
	}
	for path, want := range map[string]string{
		"/v1/secrets?namespace=a":        "ONE A of 3",
		"/v1/secrets?namespace=a&page=2": "B of 3",
		"/v1/secrets?namespace=a%2Fc":    "A B of 2",
		"/v1/secrets/a":                  "ONE A of 3",
		"/v1/secrets/a%2Fc":              "A B of 2",
	} {
		var got struct {
			Items []struct{ Key string }
			Total int
		}
		if err := json.Unmarshal([]byte(c.want(200, "GET", path, key, "")), &got); err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, item := range got.Items {
			text += item.Key + " "
		}
		if text += fmt.Sprint("of ", got.Total); text != want {
			t.Errorf("%s: got %s, want %s", path, text, want)
		}
	}
	c.want(403, "POST", "/v1/secrets/a/b/ONE/rotate", key, "")
	rotated := c.want(200, "POST", "/v1/secrets/a/b/ONE/rotate", "user", `{"new_value":"3"}`)
	if !strings.Contains(rotated, `"version":3`) || !strings.Contains(rotated, `"value":"3"`) {
		t.Errorf("got %s", rotated)
	}
	c.want(200, "POST", "/v1/secrets/a/b/ONE/rotate", "user", "")
	c.want(204, "DELETE", "/v1/secrets/a/b/ONE", key, "")
	c.want(404, "DELETE", "/v1/secrets/a/b/ONE", key, "")
	c.want(404, "GET", "/v1/secrets/a/b/ONE", key, "")
}

func TestErrorsComeInBothEnvelopesOrOne(t *testing.T) {
	for envelope, want := range map[string]string{
		"":       `{"detail":"secret not found: a/B","error":{"code":"SECRET_NOT_FOUND","message":"secret not found: a/B"}}`,
		"error":  `{"error":{"code":"SECRET_NOT_FOUND","message":"secret not found: a/B"}}`,
		"detail": `{"detail":"secret not found: a/B"}`,
	} {
		v, c := start(t, Config{Envelope: envelope})
		if got := c.want(404, "GET", "/v1/secrets/a/B", c.token(v.AgentKey(), "*", ""), ""); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestSensitiveSecretsNeedAHuman(t *testing.T) {
	for _, inStatus := range []bool{false, true} {
		v, c := start(t, Config{UserKey: "user", TokenInStatus: inStatus})
		v.PutTier("a/K", "v", "sensitive")
		ask := func() string {
			return c.want(200, "POST", "/v1/tokens", v.AgentKey(), `{"scopes":["secrets:read:a/*"]}`)
		}
		if got, want := ask(), `{"approval_id":"apr_2","requires_approval":true}`; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		if again := ask(); !strings.Contains(again, `"requires_approval":true`) || strings.Contains(again, `"apr_2"`) {
			t.Errorf("got %s, want another approval", again)
		}
		c.want(403, "POST", "/v1/approvals/apr_2/approve", v.AgentKey(), "")
		c.want(200, "POST", "/v1/approvals/apr_2/approve", "user", "")
		c.want(409, "POST", "/v1/approvals/apr_2/deny", "user", `{"reason":"late"}`)
		status := c.want(200, "GET", "/v1/approvals/agent/apr_2", v.AgentKey(), "")
		if strings.Contains(status, `"token":`) != inStatus {
			t.Errorf("got %s", status)
		}
		if again := ask(); strings.Contains(again, `"token":`) == inStatus {
			t.Errorf("got %s", again)
		}
		if items := c.want(200, "GET", "/v1/approvals?status=approved", "user", ""); strings.Count(items, `"apr_`) != 1 {
			t.Errorf("got %s", items)
		}
	}
}

func TestAgentsAreConfinedToTheirNamespaces(t *testing.T) {
	_, c := start(t, Config{UserKey: "user"})
	var made struct {
		ID     string
		APIKey string `json:"api_key"`
	}
	reply := c.want(201, "POST", "/v1/agents", "user", `{"name":"ci","allowed_namespaces":["ci"],"allowed_scopes":["secrets:read:*"]}`)
	if err := json.Unmarshal([]byte(reply), &made); err != nil {
		t.Fatal(err)
	}
	c.token(made.APIKey, "secrets:read:ci/K", "")
	c.want(403, "POST", "/v1/tokens", made.APIKey, `{"scopes":["secrets:read:production/K"]}`)
	c.want(403, "POST", "/v1/tokens", made.APIKey, `{"scopes":["secrets:write:ci/K"]}`)
	c.want(204, "DELETE", "/v1/agents/"+made.ID, "user", "")
	c.want(401, "POST", "/v1/tokens", made.APIKey, `{"scopes":["secrets:read:ci/K"]}`)
	c.want(200, "GET", "/v1/me", "user", "")
	audit := c.want(200, "GET", "/v1/audit?limit=1&page=2", "user", "")
	if !strings.Contains(audit, `"event_type":"agent.created"`) || !strings.Contains(audit, `"total":2`) {
		t.Errorf("got %s", audit)
	}
	c.want(403, "GET", "/v1/audit", c.token("user", "*", ""), "")
}

func TestRateLimitRefillsWithTime(t *testing.T) {
	now := time.Now()
	_, c := start(t, Config{RateLimit: 2, Now: func() time.Time { return now }})
	c.want(200, "GET", "/v1/health", "", "")
	c.want(200, "GET", "/v1/health", "", "")
	c.want(429, "GET", "/v1/health", "", "")
	now = now.Add(time.Second)
	c.want(200, "GET", "/v1/health", "", "")
}

func TestRateLimitAllowsABurstAfterAPause(t *testing.T) {
	now := time.Now()
	_, c := start(t, Config{RateLimit: 10, Burst: 2, Now: func() time.Time { return now }})
	for range 2 {
		c.want(200, "GET", "/v1/health", "", "")
		c.want(200, "GET", "/v1/health", "", "")
		c.want(429, "GET", "/v1/health", "", "")
		now = now.Add(100 * time.Millisecond)
		c.want(200, "GET", "/v1/health", "", "")
		c.want(429, "GET", "/v1/health", "", "")
		now = now.Add(time.Minute)
	}
}

func TestSeedIsTakenWholeOrNotAtAll(t *testing.T) {
	for seed, want := range map[string]string{
		`{"secrets":{"a/B":"v","a/C":{"value":"w","access_tier":"critical"}}}`: "",
		`{"secrets":{"a/B":"v","C":"w"}}`:                                      `seed: "C": a path has a namespace and a key, like production/app/DEBUG`,
		`{"secrets":{"a/B":{"vlaue":"v"}}}`:                                    `seed: "a/B": json: unknown field "vlaue"`,
		`{"secrets":{"a/B":{}}}`:                                               `seed: "a/B": no value`,
		`{"secrets":{"a/B":{"value":"v","access_tier":"secret"}}}`:             `seed: "a/B": unknown access_tier "secret"`,
		`{"secret":{}}`: `seed: json: unknown field "secret"`,
	} {
		v := New(Config{})
		err := v.Seed(strings.NewReader(seed))
		if got := fmt.Sprint(err); want != "" && got != want || want == "" && err != nil {
			t.Errorf("%s: got %v, want %s", seed, err, want)
		}
		if n := len(v.secrets); err != nil && n != 0 || err == nil && n != 2 {
			t.Errorf("%s: got %d secrets", seed, n)
		}
	}
}

func TestMalformedFaultsAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		"kind=nonsense":             `fault: unknown kind "nonsense"`,
		"kind=hang,endpoint=x":      `fault: unknown endpoint "x"`,
		"kind=status":               "fault: kind=status needs a status= from 200 to 599",
		"kind=hang,count=x":         `fault: count=x: strconv.Atoi: parsing "x": invalid syntax`,
		"kind=hang,colour=red":      "fault: colour=red: unknown field",
		"kind=latency,delay=moment": `fault: delay=moment: time: invalid duration "moment"`,
	} {
		if _, err := ParseFault(text); fmt.Sprint(err) != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestRequestsAreRecordedWithoutTheirBearer(t *testing.T) {
	v, c := start(t, Config{AgentKey: "key"})
	c.want(200, "GET", "/v1/health", "", "")
	c.want(401, "GET", "/v1/secrets?namespace=a", "canary", "")
	got := fmt.Sprint(v.Requests())
	if strings.Contains(got, "canary") || !bytes.Contains([]byte(got), []byte("GET /v1/secrets?namespace=a unknown")) {
		t.Errorf("got %s", got)
	}
}
