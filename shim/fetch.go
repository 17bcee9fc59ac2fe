package shim

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/shim/process"
	"github.com/agent-secret-store/ass-exec/vault"
)

// snapshot is what the vault said at one time.
type snapshot struct {
	began    time.Time
	secrets  map[vault.Ref]vault.Result
	listings []listing
}

// listing is what a namespace holds, or why it could not be listed.
type listing struct {
	namespace string
	items     []vault.SecretInfo
	err       *vault.Error
}

// open gets a token for all that the plan needs, within the time that is left.
func open(ctx context.Context, p plan, left time.Duration, version string, log *slog.Logger) (*vault.Session, error) {
	c := p.cfg
	client := &vault.Client{
		URL: c.URL, Key: p.key, Roots: p.roots, UserAgent: "ass-exec/" + version,
		TokenTTL: c.TokenTTL, Timeout: left, ApprovalTimeout: c.ApprovalTimeout,
		// With HTTP/2 the standard library would print the bearer.
		HTTP1Only: debugsHTTP2(c.Environ),
		OnRetry:   warnOfRetries(log), OnApproval: onApproval(c, log), OnApproved: c.Approved,
	}
	session, err := client.Open(ctx, scopes(p.bindings, c.Namespaces))
	if err != nil {
		return nil, openError(ctx, c, err)
	}
	return session, nil
}

// scopes asks for the named secrets one by one: one sensitive secret under a
// wildcard would hold up the whole token.
func scopes(bindings []mapping.Binding, namespaces []string) []string {
	var scopes []string
	for _, ref := range distinctRefs(bindings) {
		scopes = append(scopes, vault.ReadScope(string(ref)))
	}
	for _, namespace := range namespaces {
		scopes = append(scopes, vault.ReadScope(namespace+"/*"))
	}
	return scopes
}

// poll reads the secrets that the plan names and, at the same time, lists its
// namespaces.
func poll(ctx context.Context, session *vault.Session, p plan) snapshot {
	s := snapshot{began: time.Now(), listings: make([]listing, len(p.cfg.Namespaces))}
	var wg sync.WaitGroup
	wg.Go(func() { s.secrets = session.Read(ctx, distinctRefs(p.bindings)) })
	for i, namespace := range p.cfg.Namespaces {
		wg.Go(func() {
			items, err := session.List(ctx, namespace)
			s.listings[i] = listing{namespace, items, err}
		})
	}
	wg.Wait()
	return s
}

// fetchRest adds to a poll the secrets of bindings that it did not read.
func fetchRest(ctx context.Context, session *vault.Session, bindings []mapping.Binding, polled snapshot) snapshot {
	var rest []vault.Ref
	for _, ref := range distinctRefs(bindings) {
		if _, ok := polled.secrets[ref]; !ok {
			rest = append(rest, ref)
		}
	}
	if len(rest) == 0 {
		return polled
	}
	all := polled
	all.secrets = session.Read(ctx, rest)
	maps.Copy(all.secrets, polled.secrets)
	return all
}

// read counts the secrets that could be read.
func (s snapshot) read() int {
	n := 0
	for _, r := range s.secrets {
		if r.Err == nil {
			n++
		}
	}
	return n
}

func distinctRefs(bindings []mapping.Binding) []vault.Ref {
	var refs []vault.Ref
	seen := make(map[vault.Ref]bool)
	for _, b := range bindings {
		for _, ref := range b.Value.Refs() {
			if !seen[ref] {
				seen[ref] = true
				refs = append(refs, ref)
			}
		}
	}
	return refs
}

// debugsHTTP2 reports whether GODEBUG has the standard library print HTTP/2
// headers, the bearer among them.
func debugsHTTP2(environ []string) bool {
	v, _ := process.LookupEnv(environ, "GODEBUG")
	return strings.Contains(v, "http2debug")
}
