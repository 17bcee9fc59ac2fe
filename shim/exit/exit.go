// Package exit has the exit statuses of ass-exec's own failures, and the one
// error type that carries them to main.
package exit

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// Code is the kind of a failure and, with that, the exit status.
type Code int

// The exit statuses of ass-exec's own failures; the README has the same table.
const (
	Usage       Code = 64  // bad flag, no command
	Data        Code = 65  // a secret is there but cannot be used
	NotFound    Code = 66  // a secret does not exist, or a namespace holds none
	Unavailable Code = 69  // vault unreachable, 429 or 5xx until the budget ended
	Internal    Code = 70  // a bug of ours
	Pending     Code = 75  // a human's approval is needed, or did not come in time
	Protocol    Code = 76  // a reply that is not this API's
	Denied      Code = 77  // 401, 403, approval denied
	Config      Code = 78  // key, URL, CA, mapping, variable; certificate not trusted
	CannotRun   Code = 126 // the command was found but cannot run
	NoCommand   Code = 127 // the command was not found
	Signal      Code = 128 // plus the number of the signal that came while fetching
)

// Codes lists every Code.
func Codes() []Code {
	return append(slices.Clone(precedence), Internal, Signal)
}

// precedence decides the exit status of several failures at once: what the
// user has to mend first comes first.
var precedence = []Code{
	Usage, Config, Denied, Pending, Unavailable,
	Protocol, Data, NotFound, NoCommand, CannotRun,
}

// Error is one failure in the user's words. No part of it is secret.
type Error struct {
	Code Code
	Msg  string // what is wrong, and where
	Hint string // what to do next
	Err  error  // the cause, if it is worth unwrapping
}

func (e *Error) Error() string { return e.Msg }

func (e *Error) Unwrap() error { return e.Err }

// Errors is every failure of a run that has any, in the order they are reported.
type Errors []*Error

func (es Errors) Error() string {
	msgs := make([]string, len(es))
	for i, e := range es {
		msgs[i] = e.Msg
	}
	return strings.Join(msgs, "\n")
}

// OrNil is es as an error, nil if there is none.
func (es Errors) OrNil() error {
	if len(es) == 0 {
		return nil
	}
	return es
}

// AsErrors returns the failures in err. One that is not of this package counts
// as a bug of ours, and its text, which may hold anything, is left out.
func AsErrors(err error) Errors {
	var es Errors
	var e *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &es):
		return es
	case errors.As(err, &e):
		return Errors{e}
	default:
		return Errors{InternalError()}
	}
}

// Status is the exit status that err stands for: 0 for nil.
func Status(err error) int {
	es := AsErrors(err)
	if len(es) == 0 {
		return 0
	}
	for _, code := range precedence {
		for _, e := range es {
			if e.Code == code {
				return int(code)
			}
		}
	}
	return int(es[0].Code)
}

// InternalError stands for a bug of ours, and says nothing of its cause, which
// may hold anything.
func InternalError() *Error {
	return &Error{
		Code: Internal,
		Msg:  "internal error",
		Hint: "this is a bug of ass-exec: please report it with the version and the flags, without any value",
	}
}

// Cause is the innermost text of a file system error, for messages that name the
// path themselves.
func Cause(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return err.Error()
}
