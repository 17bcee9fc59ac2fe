package shim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/vault"
)

func list(namespace string, refs ...vault.Ref) listing {
	l := listing{namespace: namespace}
	for _, ref := range refs {
		l.items = append(l.items, vault.SecretInfo{Ref: ref, Version: 1})
	}
	return l
}

func TestListedSecretsBecomeVariables(t *testing.T) {
	const collide = " | give it a name of its own with a mapping line, like NAME="
	mapped, err := mapping.Parse("m", []byte("MAPPED=ns/OTHER\nMINE=ns/x.y\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		listings []listing
		bindings string
		problems string
	}{
		{[]listing{list("ns", "ns/API_KEY")}, "API_KEY=ns/API_KEY (namespace ns)", "0 "},
		{[]listing{list("ns", "ns/db/api-key.v2")}, "API_KEY_V2=ns/db/api-key.v2 (namespace ns)", "0 "},
		{[]listing{list("ns", "ns/azAZ09@[`{:")}, "AZAZ09_____=ns/azAZ09@%5B%60%7B: (namespace ns)", "0 "},
		{[]listing{list("ns", "ns/mapped", "ns/KEPT", "ns/EMPTY")}, "EMPTY=ns/EMPTY (namespace ns)", "0 "},
		{[]listing{list("ns", "ns/sub/A"), list("ns/sub", "ns/sub/A")}, "A=ns/sub/A (namespace ns)", "0 "},
		{[]listing{list("ns", "ns/ü")}, "_=ns/%C3%BC (namespace ns)", "0 "},
		{
			[]listing{list("ns", "ns/a-b"), list("other", "other/a.b")},
			"A_B=ns/a-b (namespace ns)", "78 namespace: ns/a-b and other/a.b would both set A_B" + collide + "other/a.b",
		},
		{[]listing{list("ns", "ns/node-options")}, "", "78 namespace: ns/node-options would set NODE_OPTIONS, a protected name (code that Node.js loads)" + collide + "ns/node-options"},
		{[]listing{list("ns", "ns/2nd")}, "", "78 namespace: ns/2nd would set 2ND, which is not a valid variable name" + collide + "ns/2nd"},
		{[]listing{list("ns", "ns/x_y", "ns/x.y")}, "X_Y=ns/x_y (namespace ns)", "0 "}, // ns/x.y has a name of its own
		{[]listing{list("ns")}, "", "66 namespace ns holds no secret | check the spelling of --namespace, with ass secrets list ns"},
		{
			[]listing{{namespace: "ns", err: &vault.Error{Reason: vault.NotFound}}},
			"", "66 namespace ns holds no secret | check the spelling of --namespace, with ass secrets list ns",
		},
		{
			[]listing{{namespace: "ns", err: &vault.Error{Reason: vault.Protocol, Text: "text"}}, list("b", "b/B")},
			"B=b/B (namespace b)", "76 namespace ns: text | check --api-url, and whether there is a proxy in front of the vault; a mapping file does not need the listing",
		},
		{
			[]listing{{namespace: "ns", err: &vault.Error{Reason: vault.Denied, Text: "text"}}},
			"", "77 namespace ns: text | listing needs the scope secrets:read:ns/*; a mapping file does not need it",
		},
		{
			[]listing{{namespace: "ns", err: &vault.Error{Reason: vault.Unavailable, Text: "text"}}},
			"", "69 namespace ns: text | the vault gave a token and then failed: see its status, or raise --timeout",
		},
	} {
		p := plan{bindings: mapped, names: map[string]bool{"MAPPED": true, "MINE": true}, preserved: map[string]bool{"KEPT": true, "EMPTY": false}}
		bindings, problems := importListed(p, tt.listings)
		var got []string
		for _, b := range bindings {
			got = append(got, fmt.Sprintf("%s=%s (%s)", b.Name, b.Value, b.Origin))
		}
		if strings.Join(got, ", ") != tt.bindings || allOf(problems.OrNil()) != tt.problems {
			t.Errorf("%v:\ngot  %s\n%s\nwant %s\n%s", tt.listings, got, allOf(problems.OrNil()), tt.bindings, tt.problems)
		}
	}
}

func TestImportReplacesNoOtherValue(t *testing.T) {
	imported := []resolution{
		{Binding: mapping.Binding{Name: "A"}, value: "1"},
		{Binding: mapping.Binding{Name: "B"}, value: "1"},
		{Binding: mapping.Binding{Name: "C"}, value: "1"},
		{Binding: mapping.Binding{Name: "D"}, value: "1"},
		{Binding: mapping.Binding{Name: "E"}, errs: exit.Errors{{Msg: "wrong already"}}},
	}
	var got []string
	for _, r := range checkReplaced(imported, []string{"A=1", "B=2", "B=1", "C=", "C=2", "E=2"}) {
		if len(r.errs) > 0 {
			got = append(got, r.Name+": "+strings.SplitN(r.errs[0].Msg, ";", 2)[0])
		}
	}
	if want := "B: : B: the environment has another value for it, E: wrong already"; strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
	if len(imported[1].errs) > 0 {
		t.Error("what was given is changed")
	}
}
