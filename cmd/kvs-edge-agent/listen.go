package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/pflag"
)

// loopback is a flag with an address of this machine alone, on which stand-ins listen: 127.0.0.1, or [::1] with or
// without its brackets. The zero value is none.
type loopback struct{ netip.Addr }

var _ pflag.Value = (*loopback)(nil)

// Set implements pflag.Value.
func (l *loopback) Set(text string) error {
	plain := text
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if plain, ok = strings.CutSuffix(inner, "]"); !ok {
			plain = ""
		}
	}
	address, err := netip.ParseAddr(plain)
	if address = address.Unmap(); err != nil || !address.IsLoopback() || address.Zone() != "" {
		return fmt.Errorf("%q is not an address of this machine alone: give 127.0.0.1 or [::1], without a port", text)
	}
	l.Addr = address
	return nil
}

// Type implements pflag.Value.
func (l *loopback) Type() string { return "address" }

// String implements pflag.Value.
func (l *loopback) String() string {
	if !l.IsValid() {
		return ""
	}
	return l.Addr.String()
}
