//go:build keepsignals && linux && go1.27

package process

// No compatibility promise covers the variables of the Go runtime that
// sigstate_linux.go reads: a renamed one fails to link, but one that means
// something else would give the command other signals, silently. For a newer Go,
// compare runtime/signal_unix.go and os_linux.go with what sigstate_linux.go says
// about them, run its tests, and raise the version above.
var _ = signal_state_is_not_known_for_this_Go_version_build_without_keepsignals_or_see_sigstate_unknown_go
