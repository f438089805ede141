package layout

import (
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// streamFiles are those of a stream that are beside its segments.
var streamFiles = []string{StreamFileName, ClockFileName, GapsFileName}

// IsOurs reports whether a file in a stream's directory is one that the store made, maybe under the name under which
// atomicfile.Replace writes it first: nothing else is ever removed.
func IsOurs(name string) bool {
	name = strings.TrimSuffix(name, atomicfile.BesideSuffix)
	_, ok := ParseName(name)
	return ok || slices.Contains(streamFiles, name)
}

// AsideName returns the name of a file in the quarantine, where n others have the same already.
func AsideName(name string, n int) string { return name + strings.Repeat(".again", n) }

// IsSetAside reports whether a file in a quarantine is one that the store put there.
func IsSetAside(name string) bool {
	for strings.HasSuffix(name, ".again") {
		name = strings.TrimSuffix(name, ".again")
	}
	_, ok := ParseName(name)
	return ok
}
