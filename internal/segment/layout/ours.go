package layout

import (
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// streamFiles are a stream's files other than those of its segments.
var streamFiles = []string{StreamFileName, ClockFileName, GapsFileName, HoldsFileName}

// IsOurs reports whether a file in a stream's directory was created by the store, possibly under the temporary name that
// atomicfile.Replace writes it to: nothing else is ever removed.
func IsOurs(name string) bool {
	name = strings.TrimSuffix(name, atomicfile.BesideSuffix)
	_, ok := ParseName(name)
	return ok || slices.Contains(streamFiles, name)
}

// NameInQuarantine returns the name of a file in the quarantine, where n others have the same name already.
func NameInQuarantine(name string, n int) string { return name + strings.Repeat(".again", n) }

// IsSetAside reports whether a file in a quarantine was moved there by the store.
func IsSetAside(name string) bool {
	for strings.HasSuffix(name, ".again") {
		name = strings.TrimSuffix(name, ".again")
	}
	_, ok := ParseName(name)
	return ok
}
