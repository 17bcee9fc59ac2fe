package shim

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/vault"
	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// testWatch is a watcher that waits for the test instead of for a time.
type testWatch struct {
	t      *testing.T
	vault  *testVault
	waits  chan time.Duration
	polls  chan struct{}
	done   chan struct{} // closed when Run returns
	cancel func()
	log    strings.Builder
	starts []*Start
}

// watch prepares a command and watches its secrets, up to the first wait.
func watch(t *testing.T, v *testVault, mapping string, args ...string) *testWatch {
	t.Helper()
	w := &testWatch{t: t, vault: v, waits: make(chan time.Duration), polls: make(chan struct{}), done: make(chan struct{})}
	cfg := configFor(t, mapping, v.environ, append(args, "--watch=1h", "--timeout=10s")...)
	cfg.Approving = func(a vault.Approval, _ string) { _ = v.Decide(a.ID, "approved") }
	start, watcher, err := Prepare(t.Context, cfg, "test", logTo(&w.log, slog.LevelWarn))
	if err != nil {
		t.Fatal(err)
	}
	w.starts = append(w.starts, start)
	watcher.wait = func(ctx context.Context, d time.Duration) error {
		select {
		case w.waits <- d:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-w.polls:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	go func() {
		defer close(w.done)
		watcher.Run(ctx, func(s *Start) { w.starts = append(w.starts, s) })
	}()
	t.Cleanup(func() { cancel(); <-w.done })
	w.wait()
	return w
}

// poll lets the watcher poll once, and returns how long it waits after that.
func (w *testWatch) poll() time.Duration {
	w.t.Helper()
	w.polls <- struct{}{}
	return w.wait()
}

func (w *testWatch) wait() time.Duration {
	w.t.Helper()
	select {
	case d := <-w.waits:
		return d
	case <-w.done:
		w.t.Fatalf("the watch has ended: %s", &w.log)
	case <-time.After(time.Minute):
		w.t.Fatal("the watch does not wait")
	}
	return 0
}

func (w *testWatch) last() string {
	env := w.starts[len(w.starts)-1].Env
	return strings.Join(env[slices.IndexFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "ASS_CA_FILE=") })+1:], " ")
}

// A second read would cost requests, and might find something else than what
// was taken for a change.
func TestWatchPollsOnceAndActsOnWhatItPolled(t *testing.T) {
	v := newVault(t, devvault.Config{})
	v.Put("a/X", "1")
	v.Put("ns/Y", "2")
	w := watch(t, v, "X=a/X\nURL='x ${ass://a/X}'\n", "--namespace=ns")
	for _, tt := range []struct {
		change, path string // what is put there
		asked, env   string
	}{
		{"", "", "GET /secrets/a/X 200, GET /secrets?namespace=ns 200", "X=1 URL=x 1 Y=2"},
		{"3", "a/X", "GET /secrets/a/X 200, GET /secrets/ns/Y 200, GET /secrets?namespace=ns 200", "X=3 URL=x 3 Y=2"},
		{"4", "ns/Z", "GET /secrets/a/X 200, GET /secrets/ns/Y 200, GET /secrets/ns/Z 200, GET /secrets?namespace=ns 200", "X=3 URL=x 3 Y=2 Z=4"},
		{"", "", "GET /secrets/a/X 200, GET /secrets?namespace=ns 200", "X=3 URL=x 3 Y=2 Z=4"},
	} {
		n, starts := len(v.Requests()), len(w.starts)
		if tt.path != "" {
			v.Put(tt.path, tt.change)
			starts++
		}
		w.poll()
		asked := v.asked(n)
		slices.Sort(asked)
		if got := strings.Join(asked, ", "); got != tt.asked {
			t.Errorf("%s: got %s\nwant %s", tt.path, got, tt.asked)
		}
		if len(w.starts) != starts || w.last() != tt.env {
			t.Errorf("%s: got %d starts, %s; want %d, %s", tt.path, len(w.starts), w.last(), starts, tt.env)
		}
	}
	if w.log.Len() > 0 {
		t.Errorf("got %s", &w.log)
	}
}

// Of several secrets one is changed and another is gone: nothing is done until
// both are there.
func TestWatchNeverActsWithLessThanAll(t *testing.T) {
	v := newVault(t, devvault.Config{})
	v.Put("a/X", "1")
	v.Put("ns/Y", "2")
	w := watch(t, v, "X=a/X\n", "--namespace=ns")
	v.Put("a/X", "3")
	v.Inject(devvault.Fault{Endpoint: "secrets", Kind: "empty", Skip: 1, Count: 3}) // not the poll's, but that of ns/Y
	w.poll()
	if len(w.starts) != 1 {
		t.Errorf("got %s", w.last())
	}
	v.Heal()
	w.poll()
	if w.last() != "X=3 Y=2" {
		t.Errorf("got %s", w.last())
	}
	want := `level=WARN msg="checking for new secrets failed: namespace ns: Y: ns/Y: the secret is empty; the command keeps those it has"` +
		"\nlevel=WARN msg=\"checking for new secrets works again\"\n"
	if got := w.log.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestWatchAsksAVaultInTroubleLessAndLess(t *testing.T) {
	v := newVault(t, devvault.Config{})
	v.Put("a/X", "1")
	w := watch(t, v, "X=a/X\n")
	v.Inject(devvault.Fault{Endpoint: "secrets", Kind: "status", Status: 403})
	for i, want := range []time.Duration{2, 4, 8, 16, 16, 16} {
		if got := w.poll(); got < want*time.Hour*9/10 || got > want*time.Hour*11/10 {
			t.Errorf("after failure %d: got %s, want about %dh", i+1, got, want)
		}
	}
	v.Heal()
	if got := w.poll(); got > 66*time.Minute {
		t.Errorf("after the trouble: got %s, want about 1h", got)
	}
	want := `level=WARN msg="checking for new secrets failed: access denied (403): Forbidden; the command keeps those it has"` +
		"\nlevel=WARN msg=\"checking for new secrets works again\"\n"
	if got := w.log.String(); got != want || len(w.starts) != 1 {
		t.Errorf("got %d starts,\n%swant 1,\n%s", len(w.starts), got, want)
	}
}

// A start warns of it: there somebody waits.
func TestWatchWarnsOfNoRetry(t *testing.T) {
	v := newVault(t, devvault.Config{})
	v.Put("a/X", "1")
	w := watch(t, v, "X=a/X\n")
	n := len(v.Requests())
	v.Inject(devvault.Fault{Endpoint: "secrets", Kind: "status", Status: 503, RetryAfter: "0", Count: 1})
	w.poll()
	if got := strings.Join(v.asked(n), ", "); got != "GET /secrets/a/X 503, GET /secrets/a/X 200" {
		t.Errorf("got %s", got)
	}
	if w.log.Len() > 0 {
		t.Errorf("got %s", &w.log)
	}
}

// Another token would take a human's approval again, and nobody looks out for
// the request.
func TestWatchEndsWithATokenThatAHumanApproved(t *testing.T) {
	v := newVault(t, devvault.Config{TokenMaxUses: 2})
	v.PutTier("a/X", "1", "sensitive")
	w := watch(t, v, "X=a/X\n")
	v.Inject(devvault.Fault{Endpoint: "secrets", Kind: "status", Status: 403, Count: 1})
	w.poll() // which is no reason to end
	w.poll()
	w.polls <- struct{}{}
	select {
	case <-w.done:
	case <-w.waits:
		t.Error("the watch goes on")
	}
	want := `level=WARN msg="checking for new secrets failed: access denied (403): Forbidden; the command keeps those it has"` +
		"\nlevel=WARN msg=\"checking for new secrets works again\"" +
		"\nlevel=WARN msg=\"a new token needs a human's approval: the secrets are no longer watched: the command keeps those it has\"\n"
	if got := w.log.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if n := len(v.Approvals()); n != 1 {
		t.Errorf("got %d approvals", n)
	}
}

// However many secrets were refused, one request for a token is all.
func TestWatchEndsWhereANewTokenNeedsAHuman(t *testing.T) {
	v := newVault(t, devvault.Config{TokenMaxUses: 3})
	for _, name := range []string{"X", "Y", "Z"} {
		v.Put("a/"+name, "1")
	}
	w := watch(t, v, "X=a/X\nY=a/Y\nZ=a/Z\n")
	v.PutTier("a/X", "1", "sensitive")
	w.polls <- struct{}{}
	select {
	case <-w.done:
	case <-w.waits:
		t.Error("the watch goes on")
	}
	want := "level=WARN msg=\"a new token needs a human's approval: the secrets are no longer watched: the command keeps those it has\"\n"
	if got, n := w.log.String(), len(v.Approvals()); got != want || n != 1 {
		t.Errorf("got %d approvals,\n%swant 1,\n%s", n, got, want)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	v := newVault(t, devvault.Config{})
	v.Put("a/X", "1")
	w := watch(t, v, "X=a/X\n")
	v.Put("a/X", "2")
	v.Inject(devvault.Fault{Endpoint: "secrets", Kind: "hang"})
	w.polls <- struct{}{}
	w.cancel()
	<-w.done
	if w.log.String() != "" || len(w.starts) != 1 {
		t.Errorf("got %d starts, %s", len(w.starts), &w.log)
	}
	if err := sleep(t.Context(), 1); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sleep(ctx, time.Hour); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}

// A process that stays overwrites its environment, in which the key was; the
// token must be renewed all the same.
func TestTokenIsRenewedAfterTheEnvironmentIsWiped(t *testing.T) {
	v := newVault(t, devvault.Config{TokenMaxUses: 1})
	v.Put("a/X", "1")
	key := []byte(v.environ[3])
	v.environ[3] = unsafe.String(&key[0], len(key))
	w := watch(t, v, "X=a/X\n", "--token-ttl=7m")
	clear(key[len("ASS_AGENT_KEY="):])
	for _, value := range []string{"2", "3"} {
		n := len(v.Requests())
		v.Put("a/X", value)
		w.poll()
		if got, want := strings.Join(v.asked(n), ", "), "GET /secrets/a/X 401, POST /tokens 200, GET /secrets/a/X 200"; got != want {
			t.Errorf("got %s, want %s; %s", got, want, &w.log)
		}
		if w.last() != "X="+value {
			t.Errorf("got %s, want X=%s", w.last(), value)
		}
	}
	const body = `{"scopes":["secrets:read:a/X"],"ttl":"7m"}`
	if got := strings.Join(v.bodies, "\n"); got != body+"\n"+body+"\n"+body {
		t.Errorf("got %s\nwant %s three times", got, body)
	}
}

func TestJitterIsATenthUpAndDown(t *testing.T) {
	seen := make(map[time.Duration]bool)
	for range 2000 {
		seen[jitter(20)] = true
	}
	for d := time.Duration(18); d <= 22; d++ {
		if !seen[d] {
			t.Errorf("%d never came", d)
		}
		delete(seen, d)
	}
	if len(seen) > 0 {
		t.Errorf("got %v", seen)
	}
}

func TestFingerprintsTellEveryChangeApart(t *testing.T) {
	secret := func(version int64, value string) vault.Result {
		return vault.Result{Version: version, Value: vault.NewSecret(value)}
	}
	one := func(r vault.Result) snapshot { return snapshot{secrets: map[vault.Ref]vault.Result{"a/X": r}} }
	list := func(items ...vault.SecretInfo) snapshot { return snapshot{listings: []listing{{items: items}}} }
	first := fmt.Sprint(fingerprints(one(secret(1, "v"))))
	if strings.Contains(first, "v ") || strings.Contains(first, "v]") {
		t.Errorf("the value is in %s", first)
	}
	states := map[string]string{}
	for name, s := range map[string]snapshot{
		"first": one(secret(1, "v")), "version": one(secret(2, "v")), "value": one(secret(1, "w")), "gone": one(vault.Result{Err: &vault.Error{Reason: vault.NotFound}}),
		"listed": list(vault.SecretInfo{Ref: "a/X", Version: 1}), "another version": list(vault.SecretInfo{Ref: "a/X", Version: 2}),
		"another secret": list(vault.SecretInfo{Ref: "a/X", Version: 1}, vault.SecretInfo{Ref: "a/Y", Version: 1}),
	} {
		state := fmt.Sprint(fingerprints(s))
		if other := states[state]; other != "" {
			t.Errorf("%s and %s are both %s", name, other, state)
		}
		states[state] = name
	}
	began := one(secret(1, "v"))
	began.began = time.Now()
	if got := fmt.Sprint(fingerprints(began)); got != first {
		t.Errorf("got %s for the same state as %s", got, first)
	}
}

// A secret that does not exist is the resolution's business.
func TestPollFailsWhereItSaysNothing(t *testing.T) {
	w := &Watcher{session: &vault.Session{}}
	for reason, want := range map[vault.Reason]exit.Code{
		vault.NotFound: 0, vault.Unavailable: exit.Unavailable, vault.Denied: exit.Denied, vault.Protocol: exit.Protocol, vault.Untrusted: exit.Config,
	} {
		e := &vault.Error{Reason: reason, Text: "text"}
		for _, s := range []snapshot{
			{secrets: map[vault.Ref]vault.Result{"a/X": {}, "a/Y": {Err: e}}},
			{listings: []listing{{}, {err: e}}},
		} {
			if got := w.failure(s); exit.Status(got) != int(want) {
				t.Errorf("%v: got %v, want %d", reason, got, want)
			}
		}
	}
	many := map[vault.Ref]vault.Result{"a/X": {Err: &vault.Error{Reason: vault.Pending}}}
	for i := range 100 {
		many[vault.Ref(fmt.Sprint("a/Y", i))] = vault.Result{Err: &vault.Error{Reason: vault.Unavailable}}
	}
	err := w.failure(snapshot{secrets: many})
	if fmt.Sprint(err) != "a new token needs a human's approval: the secrets are no longer watched" {
		t.Errorf("got %v", err)
	}
}
