package shim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/vault"
)

// codeOf is the exit status for each kind of the vault's failures.
func codeOf(reason vault.Reason) exit.Code {
	switch reason {
	case vault.Unavailable:
		return exit.Unavailable
	case vault.Denied:
		return exit.Denied
	case vault.Pending:
		return exit.Pending
	case vault.NotFound:
		return exit.NotFound
	case vault.Protocol, vault.TooMuch:
		return exit.Protocol
	case vault.Untrusted, vault.BadRoots, vault.BadProxy:
		return exit.Config
	case vault.Bug:
		return exit.Internal
	}
	return exit.Internal
}

// openError words a failure to get a token.
func openError(ctx context.Context, c Config, err error) error {
	var e *vault.Error
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !errors.As(err, &e) {
		return err
	}
	return exit.Errors{{Code: codeOf(e.Reason), Msg: tokenMessage(e), Hint: tokenHint(c, e), Err: e}}
}

func tokenMessage(e *vault.Error) string {
	scopes := strings.Join(e.Scopes, " ")
	switch {
	case e.Reason == vault.Denied && e.Op == vault.OpApproval && e.Status == 0:
		return fmt.Sprintf("approval %s of %s was denied by a human", e.ApprovalID, scopes)
	case (e.Reason == vault.Denied || e.Reason == vault.Protocol) && e.Op == vault.OpApproval:
		return fmt.Sprintf("the vault does not tell the state of approval %s of %s: %v", e.ApprovalID, scopes, e)
	case e.Reason == vault.Denied && e.Status == 401:
		return "the vault refuses the agent key: " + e.Error()
	case e.Reason == vault.Denied:
		return "the vault refused a token for " + scopes + ": " + e.Error()
	case e.Reason == vault.Pending && e.ApprovalID == "":
		return "a human must approve " + scopes + ", but the vault named no approval"
	case e.Reason == vault.Pending:
		return fmt.Sprintf("a human must approve %s: approval %s: %v", scopes, e.ApprovalID, e)
	case e.Reason == vault.Protocol || e.Reason == vault.NotFound:
		return "no token: " + e.Error()
	}
	return e.Error()
}

// tokenHint says what to do about a failure to get a token.
func tokenHint(c Config, e *vault.Error) string {
	host := c.URL.Host
	switch e.Reason {
	case vault.Unavailable:
		return fmt.Sprintf("check that %s is right (--api-url) and can be reached from here%s; --timeout is %s", host, proxyHint(c.URL, http.ProxyFromEnvironment), c.Timeout)
	case vault.Denied:
		if e.Op == vault.OpApproval && e.Status == 0 {
			return "ask the person who denied it, or ask for no sensitive secret"
		}
		if e.Op == vault.OpApproval {
			return howToApprove(e.ApprovalID) + " and start again"
		}
		if e.Status == 401 {
			return "check the agent key: it may be mistyped, revoked, or another vault's"
		}
		return "allow these scopes for the agent, check its namespaces and IP list, or remove the lines from the mapping"
	case vault.Pending:
		if e.ApprovalID == "" {
			return "look for it in the dashboard, or ask for no sensitive secret"
		}
		if errors.Is(e, vault.ErrApprovalOver) {
			return "start again, which asks for another approval"
		}
		return howToApprove(e.ApprovalID) + " and start again; --approval-timeout is " + c.ApprovalTimeout.String()
	case vault.Protocol, vault.NotFound, vault.TooMuch:
		return fmt.Sprintf("check --api-url: something other than the vault answered at %s (a proxy?)", c.URL)
	case vault.Untrusted:
		return untrustedHint(e)
	case vault.BadProxy:
		return badProxyHint(c.URL.Scheme, e)
	case vault.BadRoots:
		return "name a readable PEM file with the vault's certificate authority"
	}
	return ""
}

func untrustedHint(err error) string {
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	proxy := vault.ByProxy(err)
	switch {
	case proxy && errors.As(err, &name):
		return "check HTTPS_PROXY: the proxy's certificate is for another name"
	case proxy && !(errors.As(err, &invalid) && invalid.Reason == x509.Expired):
		return "if the proxy has an authority of its own, add its certificate to the file of --ca-file, beside the vault's; otherwise another server answers in the proxy's place"
	case errors.As(err, &name):
		return "check --api-url: the server's certificate is for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "check the clock here (" + time.Now().UTC().Format(time.RFC3339) + "), or have the certificate renewed"
	}
	return "if the vault has an authority of its own, name its certificate with --ca-file; otherwise another server answers in the vault's place"
}

// badProxyHint says what to change in the URL of a proxy.
func badProxyHint(scheme string, err error) string {
	variable := strings.ToUpper(scheme) + "_PROXY"
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return "write http:// instead of https:// in " + variable + ", if that is what the proxy speaks"
	}
	return "correct user and password in " + variable + ", like http://user:password@proxy.example:3128 with special characters percent-encoded; it was tried only once, so as not to lock the account"
}

// proxyHint names the proxy that the vault is asked through, if any.
func proxyHint(u *url.URL, proxyOf func(*http.Request) (*url.URL, error)) string {
	proxy, err := proxyOf(&http.Request{URL: u})
	if err != nil || proxy == nil {
		return ""
	}
	return " through the proxy " + proxy.Host + " (HTTPS_PROXY, NO_PROXY)"
}

// secretError words a failure to read one secret.
func secretError(b mapping.Binding, ref vault.Ref, e *vault.Error) *exit.Error {
	out := &exit.Error{Code: codeOf(e.Reason), Msg: fmt.Sprintf("%s: %s: %s: %v", b.Origin, b.Name, ref, e), Err: e}
	switch e.Reason {
	case vault.NotFound:
		out.Msg = fmt.Sprintf("%s: %s: %s does not exist", b.Origin, b.Name, ref)
		out.Hint = "check the spelling" + howToList(ref.Namespace()) + ", or make it " + b.Lenient()
	case vault.Denied:
		out.Hint = "let the agent read " + ref.Namespace() + "; if the token expired or was used up, raise --token-ttl"
	default:
		out.Hint = readHint(e.Reason)
	}
	return out
}

// readHint says what to do about a failure after there was a token, where that
// is the same for a secret and a listing.
func readHint(r vault.Reason) string {
	switch r {
	case vault.Unavailable:
		return "the vault gave a token and then failed: see its status, or raise --timeout"
	case vault.Protocol:
		return "check --api-url, and whether there is a proxy in front of the vault"
	case vault.Pending:
		return "a new token needs a human's approval: start again"
	case vault.Untrusted, vault.BadRoots:
		return "check --ca-file and the clock: the vault's certificate was valid a moment ago"
	case vault.BadProxy:
		return "check user and password in the proxy's URL: they worked a moment ago"
	case vault.TooMuch:
		return "map fewer secrets per start, or smaller ones"
	case vault.Bug:
		return exit.InternalError().Hint
	}
	return ""
}

func dataError(b mapping.Binding, ref vault.Ref, err error) *exit.Error {
	return &exit.Error{
		Code: exit.Data, Msg: fmt.Sprintf("%s: %s: %s: %v", b.Origin, b.Name, ref, err),
		Hint: "correct the secret in the vault, or the reference to it",
	}
}

// repeatWarning is how long the same warning is not repeated.
const repeatWarning = 10 * time.Second

// warnOfRetries tells the user why the start is held up, from the first failed
// attempt on: a new cause at once, a known one again after repeatWarning.
func warnOfRetries(log *slog.Logger) func(*vault.Error, time.Duration) {
	var mu sync.Mutex
	lastWarned := make(map[string]time.Time)
	return func(e *vault.Error, wait time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		cause := e.Cause()
		maps.DeleteFunc(lastWarned, func(_ string, at time.Time) bool { return time.Since(at) >= repeatWarning })
		if _, recent := lastWarned[cause]; recent {
			return
		}
		lastWarned[cause] = time.Now()
		log.Warn(cause + "; trying again in " + max(time.Millisecond, wait.Round(time.Millisecond)).String())
	}
}

// onApproval shows an approval that is awaited, in the log by default.
func onApproval(c Config, log *slog.Logger) func(vault.Approval) {
	if c.Approving == nil {
		return warnOfApproval(log)
	}
	return func(a vault.Approval) { c.Approving(a, howToApprove(a.ID)) }
}

// warnOfApproval tells the user how to approve, and every minute how much time
// is left for it.
func warnOfApproval(log *slog.Logger) func(vault.Approval) {
	const repeat = time.Minute
	var leftThen time.Duration // at the last warning
	return func(a vault.Approval) {
		if leftThen != 0 && leftThen-a.Left < repeat {
			return
		}
		leftThen = a.Left
		log.Warn(fmt.Sprintf("waiting for a human to approve %s: %s; %s left",
			strings.Join(a.Scopes, " "), howToApprove(a.ID), max(time.Second, a.Left.Round(time.Second))))
	}
}

// howToApprove is the command that approves.
func howToApprove(id string) string {
	if len(id) > 128 || !isPlainWord(id) || strings.Contains(id, "/") {
		return "approve it in the dashboard"
	}
	return "run ass approvals approve " + id
}

// howToList is the command that lists a namespace, which a mapping of a stranger
// may have named.
func howToList(namespace string) string {
	if !isPlainWord(namespace) {
		return " in the dashboard"
	}
	return ", with ass secrets list " + namespace
}

// isPlainWord reports whether a text has no meaning to the shell that a command
// is pasted into, and is no flag.
func isPlainWord(s string) bool {
	strange := func(r rune) bool {
		return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-/", r)
	}
	return s != "" && !strings.ContainsAny(s[:1], "_.-") && !strings.ContainsFunc(s, strange)
}
