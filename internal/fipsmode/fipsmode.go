// Package fipsmode owns what happens in a mode of FIPS 140-3 in which the agent cannot run. It must not know anything else.
package fipsmode

import (
	"crypto/fips140"
	"os"
)

const onlyApproved = "kvs-edge-agent: GODEBUG=fips140=only is not supported, as cameras need algorithms that are not approved, such as " +
	"MD5 for Digest authentication: use GODEBUG=fips140=on, in which TLS uses approved ones alone.\n"

// exitSettings is the exit code of wrong settings.
const exitSettings = 2

// In that mode a library that uses MD5 when it is initialised would end the program with a stack trace. Go initialises packages
// in the order of their paths as soon as what they import is initialised, so this one, which imports less than that library
// and is in front of it, is first.
// Source: Go Language Specification, "Program initialization".
func init() {
	if fips140.Enforced() {
		_, _ = os.Stderr.WriteString(onlyApproved)
		os.Exit(exitSettings)
	}
}
