package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
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

// regionUsage describes the flag --region of the stand-ins.
const regionUsage = "the region to play, from which the partition of all ARNs follows: cn-north-1 or us-gov-west-1 for example"

// checkRegion refuses what is not the name of a region.
func checkRegion(name string) error {
	if wrong := settings.RegionFault(name); wrong != "" {
		return &exitError{exitSettings, errors.New("--region " + wrong)}
	}
	return nil
}
