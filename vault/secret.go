package vault

import (
	"fmt"
	"io"
)

const redacted = "[redacted]"

// Secret holds a value that no fmt verb, encoder or logger prints: a secret's
// value, an agent key, a token. Reveal is the only way out. The zero Secret is
// the empty one.
type Secret struct {
	// A pointer, because fmt reaches the fields of an unexported field
	// without asking for its methods; then it prints an address.
	v *string
}

// NewSecret wraps a value.
func NewSecret(v string) Secret { return Secret{&v} }

// Reveal returns the value itself.
func (s Secret) Reveal() string {
	if s.v == nil {
		return ""
	}
	return *s.v
}

// Empty reports whether there is no value, or one of no bytes.
func (s Secret) Empty() bool { return s.v == nil || *s.v == "" }

// Format prints [redacted] for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalText makes every encoder, slog's among them, write [redacted].
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
