package vault

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
)

const (
	firstPoll = 2 * time.Second
	maxPoll   = 15 * time.Second
	// approvalLag is how long an approval that is granted may take to show in
	// the answer to a token request.
	approvalLag = 15 * time.Second
)

// Approval is a request that waits for a human.
type Approval struct {
	ID     string // escaped
	Scopes []string
	Left   time.Duration // how long it will be waited for
}

// approval is the state of an approval as the vault tells it.
type approval struct {
	status     string
	token      Secret        // with some vaults, once it is approved
	expiresAt  time.Time     // by our clock
	retryAfter time.Duration // how long the vault asks to wait
}

// ErrApprovalOver is the cause of the failure of an approval that nobody can grant
// any more.
var ErrApprovalOver = errors.New("the approval is over")

// awaitApproval waits until a human has granted the approval of pending, and
// returns the token. The time it takes does not count against the budget.
func (s *Session) awaitApproval(ctx context.Context, req request, pending *Error) (Secret, *Error) {
	if s.client.ApprovalTimeout <= 0 || pending.ApprovalID == "" {
		return Secret{}, pending
	}
	fail := func(reason Reason, text string, err error) (Secret, *Error) {
		return Secret{}, &Error{Reason: reason, Op: OpApproval, ApprovalID: pending.ApprovalID, Text: text, Err: err}
	}
	start := s.client.clock()
	deadline := start.Add(s.client.ApprovalTimeout)
	late, cause := "the wait for the approval timed out", error(nil)
	var retryAfter time.Duration
	for pause := firstPoll; ; pause = min(pause*3/2, maxPoll) {
		left := deadline.Sub(s.client.clock())
		if left <= 0 {
			return fail(Pending, late, cause)
		}
		if s.client.OnApproval != nil {
			s.client.OnApproval(Approval{ID: pending.ApprovalID, Scopes: s.scopes, Left: left})
		}
		if err := s.sleep(ctx, min(max(pause, retryAfter), left)); err != nil {
			return fail(Pending, "the wait for the approval was canceled", err)
		}
		state, err := s.poll(ctx, pending.ApprovalID)
		if err != nil {
			return Secret{}, err
		}
		retryAfter = state.retryAfter
		if !state.expiresAt.IsZero() && state.expiresAt.Before(deadline) {
			deadline, late, cause = state.expiresAt, "the approval has expired", ErrApprovalOver
		}
		switch status := strings.ToLower(state.status); status {
		case "approved", "granted":
			if s.client.OnApproved != nil {
				s.client.OnApproved()
			}
			s.budget.extend(s.client.clock().Sub(start))
			return s.collect(ctx, req, state, pending)
		case "denied", "rejected":
			return fail(Denied, "a human denied the approval", nil)
		case "expired", "timed_out", "cancelled", "canceled":
			return fail(Pending, "the approval is "+status, ErrApprovalOver)
		}
		// Anything else, a status not known included, is not an answer yet.
	}
}

// poll asks once for the state of an approval. A temporary failure counts as no
// answer yet, since the wait has a limit of its own.
func (s *Session) poll(ctx context.Context, id string) (approval, *Error) {
	req := request{op: OpApproval, method: http.MethodGet, url: "/v1/approvals/agent/" + id}
	var state approval
	err := s.attempt(ctx, req, s.client.Key, func(r *reply) (err *Error) {
		if state, err = parseApproval(r.object); !state.expiresAt.IsZero() {
			now := s.client.clock()
			state.expiresAt = state.expiresAt.Add(now.Sub(serverTime(r.header, now)))
		}
		return err
	})
	switch {
	case err == nil:
		return state, nil
	case err.temporary():
		return approval{retryAfter: err.retryAfter}, nil
	case err.Status == http.StatusNotFound || err.Status == http.StatusMethodNotAllowed:
		err = &Error{Reason: Pending, Status: err.Status, Text: "the vault does not show agents the state of an approval"}
	}
	err.Op, err.ApprovalID = OpApproval, id
	return approval{}, err
}

func parseApproval(o object) (approval, *Error) {
	var state approval
	var err *Error
	state.status, _ = o.text("status")
	if token, _ := o.text("token"); token != "" {
		// What expires is then the token.
		state.token, err = checkToken(token)
		return state, err
	}
	if expires, ok := o.text("expires_at"); ok {
		state.expiresAt, _ = time.Parse(time.RFC3339, expires)
	}
	return state, nil
}

// collect gets the token of an approval that is granted: from its own state,
// or by the same token request again. That one may still see the approval as
// pending for a moment; a new approval would mean asking a human for ever.
func (s *Session) collect(ctx context.Context, req request, state approval, pending *Error) (Secret, *Error) {
	if !state.token.Empty() {
		return state.token, nil
	}
	deadline := s.client.clock().Add(approvalLag)
	for {
		token, err := s.requestToken(ctx, req)
		if err == nil || err.Reason != Pending {
			return token, err
		}
		if err.ApprovalID != pending.ApprovalID {
			err.Text = "the approval " + pending.ApprovalID + " is granted, but the vault requires another"
			return Secret{}, err
		}
		if !s.client.clock().Before(deadline) {
			err.Text = "the approval is granted, but the vault does not issue the token"
			return Secret{}, err
		}
		if err := s.sleep(ctx, firstPoll); err != nil {
			return Secret{}, &Error{Reason: Pending, Op: OpApproval, ApprovalID: pending.ApprovalID, Text: "the wait for the token was canceled", Err: err}
		}
	}
}

// sleep waits, on the same kind of timer as the retries.
func (s *Session) sleep(ctx context.Context, d time.Duration) error {
	timer := s.client.timer()
	defer timer.Stop()
	timer.Start(max(0, d))
	select {
	case <-timer.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
