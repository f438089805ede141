// Package played is the check that Kinesis Video Streams would play what a test uploaded.
package played

import (
	"slices"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/playcheck"
)

// most is how many fragments are named of those that break a rule.
const most = 5

// Excuses are the rules that a test's uploads may break, with the reasons.
type Excuses map[string]string

// Check fails the test for each rule of playcheck that something breaks that was ever stored in the directory of a local cloud.
func Check(tb testing.TB, dir string, excused Excuses) {
	tb.Helper()
	if tb.Failed() || tb.Skipped() {
		return
	}
	for name, reason := range excused {
		if !slices.ContainsFunc(playcheck.Rules, func(r playcheck.Rule) bool { return r.Name == name }) || reason == "" {
			tb.Errorf("the excuse %q needs the name of a rule and a reason: %q", name, reason)
		}
	}
	faults, err := playcheck.Directory(dir)
	if err != nil {
		tb.Errorf("what was uploaded cannot be checked: %v", err)
	}
	counts := map[string]int{}
	for _, f := range faults {
		if _, ok := excused[f.Rule]; ok {
			continue
		}
		if counts[f.Rule]++; counts[f.Rule] <= most {
			tb.Errorf("AWS would not play what was uploaded: %v", f)
		}
	}
}
