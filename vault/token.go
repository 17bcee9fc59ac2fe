package vault

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// tokenSource is the token of a session, and whether there may be another.
type tokenSource struct {
	mu       sync.Mutex // held while a token is asked for
	secret   Secret
	expires  time.Time // by our clock and what was asked for
	renewed  bool      // or tried to, in this budget
	renewErr *Error    // of that; nil if there is a new one
	approved bool      // by a human
}

// issue asks for the session's token, and waits for a human if it takes one.
func (s *Session) issue(ctx context.Context) *Error {
	req := s.tokenRequest()
	token, err := s.requestToken(ctx, req)
	if err != nil && err.Reason == Pending {
		token, err = s.awaitApproval(ctx, req, err)
		s.token.approved = true
	}
	if err != nil {
		err.Scopes = s.scopes
		return err
	}
	s.token.secret, s.token.expires = token, s.client.clock().Add(s.ttl())
	return nil
}

// ttl is the lifetime that is asked for.
func (s *Session) ttl() time.Duration {
	return max(1, (s.client.TokenTTL+time.Minute-1)/time.Minute) * time.Minute
}

func (s *Session) tokenRequest() request {
	return request{
		op: OpToken, method: http.MethodPost, url: "/v1/tokens",
		body: map[string]any{"scopes": s.scopes, "ttl": fmt.Sprintf("%dm", s.ttl()/time.Minute)},
	}
}

func (s *Session) requestToken(ctx context.Context, req request) (token Secret, err *Error) {
	err = s.do(ctx, req, s.client.Key, func(r *reply) (err *Error) {
		token, err = parseToken(r.object, s.client.Key)
		return err
	})
	return token, err
}

// parseToken takes the token out of a reply. An approval that is needed comes
// first: a reply that says so and holds a token all the same is not trusted.
func parseToken(o object, key Secret) (Secret, *Error) {
	if o.has("requires_approval") && string(o["requires_approval"]) != "false" {
		id, err := approvalID(o, key)
		if err != nil {
			return Secret{}, err
		}
		return Secret{}, &Error{Reason: Pending, ApprovalID: id, Text: "a human's approval is needed"}
	}
	token, _ := o.text("token")
	return checkToken(token)
}

// approvalID returns the id of an approval as it stands in a URL and in
// messages: escaped. It is empty if there is none.
func approvalID(o object, key Secret) (string, *Error) {
	text, _ := o.text("approval_id")
	id := url.PathEscape(text)
	if text == "." || text == ".." || quote(text, key) != quote(text) || len(id) > maxMessage {
		return "", protocolError("the approval id in the reply is not valid")
	}
	return id, nil
}

func checkToken(token string) (Secret, *Error) {
	if token == "" {
		return Secret{}, protocolError("the reply has no token")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Secret{}, protocolError("the token in the reply cannot be sent in a header")
	}
	return NewSecret(token), nil
}

// refresh replaces a token that has expired, before every request learns that by
// itself.
func (s *Session) refresh(ctx context.Context) *Error {
	if token, expired := s.current(); expired {
		return s.renew(ctx, token)
	}
	return nil
}

// authorized is do with the session's token. One that is refused with 401 may
// have expired or been used up: it is replaced once in a budget.
func (s *Session) authorized(ctx context.Context, req request, use func(*reply) *Error) *Error {
	token, _ := s.current()
	err := s.do(ctx, req, token, use)
	if err == nil || err.Status != http.StatusUnauthorized {
		return err
	}
	if renewErr := s.renew(ctx, token); renewErr != nil {
		return renewErr
	}
	fresh, _ := s.current()
	if fresh == token {
		return err
	}
	return s.do(ctx, req, fresh, use)
}

func (s *Session) current() (token Secret, expired bool) {
	s.token.mu.Lock()
	defer s.token.mu.Unlock()
	return s.token.secret, s.client.clock().After(s.token.expires)
}

// renew replaces the token that was refused, unless another request has done
// so, this budget has had its renewal, or a human would have to be asked again.
// All that were refused with it fail for the same cause, if there is no new one.
func (s *Session) renew(ctx context.Context, refused Secret) *Error {
	s.token.mu.Lock()
	defer s.token.mu.Unlock()
	if s.token.secret != refused || s.token.approved {
		return nil
	}
	if s.token.renewed {
		return s.token.renewErr
	}
	s.token.renewed = true
	token, err := s.requestToken(ctx, s.tokenRequest())
	if err != nil {
		err.Text = "no new token: " + err.Text
		s.token.renewErr = err
		return err
	}
	s.token.secret, s.token.expires = token, s.client.clock().Add(s.ttl())
	return nil
}

// Approved reports whether a human approved the token: then no other is asked
// for.
func (s *Session) Approved() bool { return s.token.approved }
