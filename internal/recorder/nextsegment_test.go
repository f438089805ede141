package recorder

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// TestASegmentThatIsFinishedGrowsNoMore has a disk that refuses a new segment, and a camera that is gone when the disk works again.
func TestASegmentThatIsFinishedGrowsNoMore(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string]func(f *feed){
		"sealed":   func(f *feed) { f.v.endSession(); _ = f.v.seal() },
		"given up": func(f *feed) { f.v.segmenter.fail(errNoParameterSets) },
		"a panic":  func(f *feed) { f.v.Panicked(0, "a test") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &feed{t: t, keyEvery: 25}
				f.start()
				disk := &source{Store: f.o.Store}
				f.o.Store, f.o.SegmentDuration = disk, 2*time.Second
				f.play(50)
				disk.disk.Store(1)
				f.play(100)
				grows := func() bool {
					return slices.ContainsFunc(f.part.Snapshot().Conditions, func(c health.Condition) bool {
						return strings.Contains(c.Text, "keeps growing")
					})
				}
				if !grows() {
					t.Fatal("nothing is said of the disk")
				}
				disk.disk.Store(0)
				ends(f)
				if grows() {
					t.Error("it is still said that the segment grows")
				}
			})
		})
	}
}

// TestEveryScopeEndsWithoutASuccess reports each scope of a recorder, and ends the session and its segment, or waits.
func TestEveryScopeEndsWithoutASuccess(t *testing.T) {
	t.Parallel()
	const event, session, open = "an event", "the session", "the segment"
	for scope, with := range map[health.Scope]string{
		scopeDamage: session, scopeConstant: session, scopePace: session, scopeKeyframes: session, scopeClock: session,
		scopeAudio: session, scopeAudioRate: session, scopeAudioLoss: session, scopeForeign: session, scopeTracks: session,
		scopeNext: open, scopeJump: event, scopeUnset: event, scopeEpoch: event,
	} {
		t.Run(string(scope), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &feed{t: t, keyEvery: 25}
				f.start()
				f.play(50)
				fault := health.SystemFault(codeJump, nil, "A test.")
				if with == event {
					f.part.Note(scope, health.Info, fault, unsetShown)
				} else {
					f.part.Report(scope, health.Info, fault)
				}
				shown := func() bool { _, is := f.part.Snapshot().Worst(); return is }
				f.v.endSession()
				if shown() == (with == session) {
					t.Errorf("after the session: %t", shown())
				}
				if err := f.v.seal(); err != nil {
					t.Error(err)
				}
				if shown() != (with == event) {
					t.Errorf("after the segment: %t", shown())
				}
				f.pass(unsetShown)
				if shown() {
					t.Error("it is shown for ever")
				}
			})
		})
	}
}
