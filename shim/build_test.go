package shim

import (
	"slices"
	"testing"
)

func TestEnvironmentKeepsItsOrderAndHoldsEachSetNameOnce(t *testing.T) {
	parent := []string{"B=1", "A=first", "=novalname", "NOEQ", "", "ASS_AGENT_KEY=k", "Z=", "A=second", "ASS_API_KEY=u", "E=é\n"}
	got := buildEnv(parent, []assignment{
		{name: "ASS_AGENT_KEY", remove: true},
		{name: "ASS_API_KEY", remove: true},
		{name: "NEW2", value: "n=2"},
		{name: "A", value: "secret"},
		{name: "NEW1", value: ""},
	})
	want := []string{"B=1", "A=secret", "=novalname", "NOEQ", "", "Z=", "E=é\n", "NEW2=n=2", "NEW1="}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
