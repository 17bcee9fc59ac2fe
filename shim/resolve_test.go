package shim

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/vault"
)

// resolved is what an option string makes of a secret.
func resolved(t *testing.T, options, secret string) (string, error) {
	t.Helper()
	r, err := mapping.ParseReference("a/B?" + options)
	if err != nil {
		t.Fatal(err)
	}
	result := vault.Result{Value: vault.NewSecret(secret)}
	if secret == "" {
		result.Err = &vault.Error{Reason: vault.NotFound}
	}
	v, _, err := valueOf(r, result)
	return v, err
}

func TestFieldIsDecodedThenEncoded(t *testing.T) {
	for _, tt := range []struct{ options, secret, want string }{
		{"encode=url", "p@ss/w#rd ü+~-._%", "p%40ss%2Fw%23rd%20%C3%BC%2B~-._%25"},
		{"encode=url", "AZaz09", "AZaz09"},
		{"encode=url", "\x00\xff", "%00%FF"},
		{"encode=json", "a\"b\\c\n<&>ü", `a\"b\\c\n<&>ü`},
		{"encode=json", `"`, `\"`},
		{"encode=base64", "\xff\xfe~", "//5+"},
		{"encode=base64", "a", "YQ=="},
		{"encode=none", "p@ss", "p@ss"},
		{"decode=base64&encode=url", "YS9i", "a%2Fb"},
		{"encode=base64&decode=base64&field=k", `{"k":"YS9i"}`, "YS9i"},
		{"decode=base64", "Zg==", "f"},
		{"decode=base64", "Zg", "f"},
		{"decode=base64", " Zm9v\r\nYg=\n=\n", "foob"},
		{"decode=base64", "//5+", "\xff\xfe~"},
		{"decode=base64", "__5-", "\xff\xfe~"},
		{"decode=base64", "_w", "\xff"},
		{"decode=base64", "_w==", "\xff"},
		{"default=a/b&encode=url", "", "a/b"},
		{"default=a/b&decode=base64&encode=base64", "", "a/b"},
	} {
		if got, err := resolved(t, tt.options, tt.secret); err != nil || got != tt.want {
			t.Errorf("%s of %q: got %q, %v; want %q", tt.options, tt.secret, got, err, tt.want)
		}
	}
}

func TestVersionIsToldWhereItIsKnown(t *testing.T) {
	value := vault.NewSecret("value")
	r := resolution{Binding: mapping.Binding{Name: "X", Origin: "m:1"}, fetched: []fetched{
		{ref: "a/B", version: 7, value: value}, {ref: "a/C", value: value}, {ref: "a/D"},
	}}
	var log strings.Builder
	r.log(logTo(&log, slog.LevelInfo))
	want := `level=INFO msg="m:1: X from a/B, version 7"
level=INFO msg="m:1: X from a/C"
level=INFO msg="m:1: X from its default: a/D does not exist"
`
	if log.String() != want {
		t.Errorf("got\n%swant\n%s", &log, want)
	}
}

func TestUnusableSecretsAreDataErrors(t *testing.T) {
	for _, tt := range []struct{ options, secret, want string }{
		{"decode=base64", "Zg=", "the secret is not base64"},
		{"decode=base64", "Zg===", "the secret is not base64"},
		{"decode=base64", "Zm9v=", "the secret is not base64"},
		{"decode=base64", "Zg==Zg==", "the secret is not base64"},
		{"decode=base64", "Z", "the secret is not base64"},
		{"decode=base64", "=", "the secret is not base64"},
		{"decode=base64", "_/5-", "the secret is not base64"},
		{"decode=base64", "Zm 9v", "the secret is not base64"},
		{"encode=json", "\xff", "the secret is not UTF-8, which a JSON string must be: take encode=base64"},
	} {
		if got, err := resolved(t, tt.options, tt.secret); err == nil || err.Error() != tt.want {
			t.Errorf("%s of %q: got %q, %v; want %s", tt.options, tt.secret, got, err, tt.want)
		}
	}
}
