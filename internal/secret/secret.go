// Package secret owns the string type for values that must never be shown:
// camera URLs with passwords, credentials, keys. It must not know what the
// secrets are for.
package secret

import (
	"fmt"
	"log/slog"
)

// Redacted is what every formatting of a String shows instead.
const Redacted = "[redacted]"

// String holds a secret. Every way of printing or encoding it shows Redacted;
// only Reveal returns the value.
type String struct{ value string }

// New wraps a secret value.
func New(value string) String { return String{value: value} }

// Reveal returns the secret itself. Never pass the result to a log, an error or a status.
func (s String) Reveal() string { return s.value }

// Empty reports whether there is no value.
func (s String) Empty() bool { return s.value == "" }

// Equal compares two secrets without showing either.
func (s String) Equal(o String) bool { return s.value == o.value }

// String implements fmt.Stringer.
func (s String) String() string { return Redacted }

// GoString implements fmt.GoStringer.
func (s String) GoString() string { return Redacted }

// Format implements fmt.Formatter, so that no verb can reach the value.
func (s String) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Redacted)) }

// MarshalText implements encoding.TextMarshaler (and thereby JSON).
func (s String) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// LogValue implements slog.LogValuer.
func (s String) LogValue() slog.Value { return slog.StringValue(Redacted) }
