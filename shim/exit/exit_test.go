package exit

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"
)

func TestStatusIsWhatToMendFirst(t *testing.T) {
	of := func(codes ...Code) error {
		var es Errors
		for _, c := range codes {
			es = append(es, &Error{Code: c})
		}
		return es.OrNil()
	}
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{of(), 0},
		{of(NotFound), 66},
		{of(NotFound, Data, Protocol, Unavailable, Pending, Denied, Config), 78},
		{of(NotFound, Data, Protocol, Unavailable, Pending, Denied), 77},
		{of(NotFound, Data, Protocol, Unavailable, Pending), 75},
		{of(NotFound, Data, Protocol, Unavailable), 69},
		{of(NotFound, Data, Protocol), 76},
		{of(NotFound, Data), 65},
		{of(CannotRun, NotFound), 66},
		{of(Config, Usage), 64},
		{of(Signal+15, Internal), 143}, // neither has a place in the order
		{&Error{Code: CannotRun}, 126},
		{fmt.Errorf("while starting: %w", &Error{Code: NoCommand}), 127},
		{errors.New("a value"), 70},
	} {
		if got := Status(tt.err); got != tt.want {
			t.Errorf("%v: got %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestEveryCodeIsListedOnce(t *testing.T) {
	got := slices.Sorted(slices.Values(Codes()))
	want := []Code{64, 65, 66, 69, 70, 75, 76, 77, 78, 126, 127, 128}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	Codes()[0] = 0 // must not be everybody's
	if got := Codes()[0]; got != Usage {
		t.Errorf("got %v, want %v", got, Usage)
	}
}

func TestTextOfAForeignErrorIsLeftOut(t *testing.T) {
	got := AsErrors(errors.New("hunter2"))
	if len(got) != 1 || got[0].Code != Internal || got.Error() != "internal error" || got[0].Err != nil {
		t.Errorf("got %+v", got)
	}
}

func TestErrorsKeepTheirOrderAndCauses(t *testing.T) {
	es := Errors{{Msg: "one", Err: fs.ErrNotExist}, {Msg: "two"}}
	if got, want := es.Error(), "one\ntwo"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := AsErrors(fmt.Errorf("reported before: %w", es)); !slices.Equal(got, es) {
		t.Errorf("got %v, want %v", got, es)
	}
	if got := AsErrors(nil); got != nil {
		t.Errorf("got %v of no error", got)
	}
	if !errors.Is(es[0], fs.ErrNotExist) || es[0].Error() != "one" {
		t.Errorf("got %v, which hides its cause", es[0])
	}
}

// A nil Errors in an error is an error.
func TestNoFailureIsNoError(t *testing.T) {
	if err := (Errors{}).OrNil(); err != nil {
		t.Errorf("got %v", err)
	}
	if err := (Errors{{Code: Data}}).OrNil(); err == nil {
		t.Error("got nil of a failure")
	}
}

func TestCauseLeavesThePathOut(t *testing.T) {
	err := fmt.Errorf("reading it: %w", &fs.PathError{Op: "open", Path: "/etc/key", Err: fs.ErrPermission})
	if got, want := Cause(err), "permission denied"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := Cause(errors.New("no path")), "no path"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
