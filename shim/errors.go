package shim

import (
	"errors"
	"slices"
	"strings"
)

// Code is the kind of a failure and, with that, the exit status.
type Code int

// The exit statuses of ass-exec's own failures; the README has the same table.
const (
	CodeUsage       Code = 64  // bad flag, no command
	CodeData        Code = 65  // a secret is there but cannot be used
	CodeNotFound    Code = 66  // a secret does not exist, or a namespace holds none
	CodeUnavailable Code = 69  // vault unreachable, 429 or 5xx until the budget ended
	CodeInternal    Code = 70  // a bug of ours
	CodePending     Code = 75  // a human's approval is needed, or did not come in time
	CodeProtocol    Code = 76  // a reply that is not this API's
	CodeDenied      Code = 77  // 401, 403, approval denied
	CodeConfig      Code = 78  // key, URL, CA, mapping, variable; certificate not trusted
	CodeCannotRun   Code = 126 // the command was found but cannot run
	CodeNoCommand   Code = 127 // the command was not found
	CodeSignal      Code = 128 // plus the number of the signal that came while fetching
)

// Codes lists every Code.
func Codes() []Code {
	return append(slices.Clone(precedence), CodeInternal, CodeSignal)
}

// precedence decides the exit status of several failures at once: what the
// operator has to mend first comes first.
var precedence = []Code{
	CodeUsage, CodeConfig, CodeDenied, CodePending, CodeUnavailable,
	CodeProtocol, CodeData, CodeNotFound, CodeNoCommand, CodeCannotRun,
}

// Error is one failure in the operator's words. No part of it is secret.
type Error struct {
	Code Code
	Msg  string // what is wrong, and where
	Hint string // what to do next
	Err  error  // the cause, if it is worth unwrapping
}

func (e *Error) Error() string { return e.Msg }

func (e *Error) Unwrap() error { return e.Err }

// Errors is every failure of a run that has any, in the order they are told.
type Errors []*Error

func (es Errors) Error() string {
	msgs := make([]string, len(es))
	for i, e := range es {
		msgs[i] = e.Msg
	}
	return strings.Join(msgs, "\n")
}

// orNil is es as an error, nil if there is none.
func (es Errors) orNil() error {
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

// ExitCode is the exit status that err stands for: 0 for nil.
func ExitCode(err error) int {
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

func InternalError() *Error {
	return &Error{
		Code: CodeInternal,
		Msg:  "internal error",
		Hint: "this is a bug of ass-exec: please report it with the version and the flags, without any value",
	}
}
