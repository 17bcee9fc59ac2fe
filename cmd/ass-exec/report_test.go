package main

import (
	"errors"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

func TestPanicIsToldByItsLinesAlone(t *testing.T) {
	var out strings.Builder
	report := newReporter(&out, false, true)
	status := func() (status int) {
		defer func() {
			if recover() != nil {
				status = report.bug(debug.Stack())
			}
		}()
		panic(canaryValue)
	}()
	first, _, _ := strings.Cut(out.String(), "\n")
	if status != 70 || strings.Contains(out.String(), canaryValue) || !regexp.MustCompile(`^ass-exec: error: internal error( < [a-z_0-9]+\.go:[0-9]+)+$`).MatchString(first) {
		t.Errorf("got status %d, %s", status, &out)
	}
}

func TestForeignErrorCountsAsABugAndIsNotQuoted(t *testing.T) {
	var out strings.Builder
	if status := newReporter(&out, false, false).failure(errors.New(canaryValue)); status != 70 || strings.Contains(out.String(), canaryValue) {
		t.Errorf("got status %d, %s", status, &out)
	}
}

func TestNothingPrintedCanMoveACursorOrForgeALine(t *testing.T) {
	var out strings.Builder
	newReporter(&out, false, false).failure(&exit.Error{Code: 65, Msg: "a\x1b[2J\nass-exec: info: b\u202e\u200b", Hint: "c\r\x9b"})
	newReporter(&out, false, false).failure(&exit.Error{Code: 65, Msg: "d\x9b2J"}) // CSI, to a terminal of 8 bits
	want := "ass-exec: error: a\\x1b[2J\\nass-exec: info: b\\u202e\\u200b\nass-exec: hint: c\\r\ufffd\nass-exec: error: d\ufffd2J\n"
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}
