package retention

import (
	"path/filepath"
	"testing"
	"time"
)

// TestNoMediaGoesOfAStreamWhosePolicyIsNotKnown starts with the media of five streams that is older than their policies
// allow: one that is configured, one that was before this start, one of which nobody knows anything, one that is configured in
// a way that nobody can tell, and one of the last kind with a policy from before. The uploaded segment of each starts at 1,000 s.
func TestNoMediaGoesOfAStreamWhosePolicyIsNotKnown(t *testing.T) {
	t.Parallel()
	const old, sent = 0, 1000
	hour := Policy{MaxAge: time.Hour, DeleteAfterUpload: true}
	for name, row := range map[string]struct {
		full  bool // the disk runs low
		steps func(k *Keeper)
		left  map[string][]int
	}{
		"nothing is applied": {steps: func(*Keeper) {}, left: map[string][]int{
			"configured": {old}, "before": {old}, "nobody's": {old, sent}, "unclear": {old, sent}, "unclear before": {old}}},
		"what is known is applied": {steps: func(k *Keeper) { k.Begin() }, left: map[string][]int{
			"configured": {}, "before": {old}, "nobody's": {old, sent}, "unclear": {old, sent}, "unclear before": {old}}},
		"all is applied": {steps: func(k *Keeper) { k.Begin(); k.Applied("unclear", "unclear before") }, left: map[string][]int{
			"configured": {}, "before": {}, "nobody's": {}, "unclear": {old, sent}, "unclear before": {}}},
		"all is clear": {steps: func(k *Keeper) { k.Applied("unclear"); k.Applied() }, left: map[string][]int{
			"configured": {}, "before": {}, "nobody's": {}, "unclear": {}, "unclear before": {}}},
		"it becomes unclear again": {steps: func(k *Keeper) { k.Applied(); k.Applied("unclear") }, left: map[string][]int{
			"configured": {}, "before": {}, "nobody's": {}, "unclear": {old, sent}, "unclear before": {}}},
		// What is uploaded goes for the disk whatever the policy is.
		"a full disk before": {full: true, steps: func(*Keeper) {}, left: map[string][]int{
			"configured": {old}, "before": {old}, "nobody's": {old}, "unclear": {old}, "unclear before": {old}}},
		"a full disk": {full: true, steps: func(k *Keeper) { k.Begin() }, left: map[string][]int{
			"configured": {}, "before": {old}, "nobody's": {old}, "unclear": {old}, "unclear before": {old}}},
		"a full disk and all applied": {full: true, steps: func(k *Keeper) { k.Applied("unclear", "unclear before") }, left: map[string][]int{
			"configured": {}, "before": {}, "nobody's": {}, "unclear": {old}, "unclear before": {}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t)
			file := filepath.Join(t.TempDir(), "policies.json")
			y.startAgain(file)
			for _, stream := range []string{"before", "unclear before"} {
				y.keeper.SetPolicy(stream, hour)
			}
			y.pass() // saves them
			for stream := range row.left {
				y.add(stream, old*time.Second, mb, false)
				y.add(stream, sent*time.Second, mb, true)
			}
			y.keeper.o.Default = hour
			y.startAgain(file)
			y.free = 1 << 40
			if y.elapse(3 * time.Hour); row.full {
				y.free = 12 * mb
				y.keeper.o.MinFree = func(uint64) uint64 { return 11 * mb }
			}
			y.keeper.SetPolicy("configured", hour)
			row.steps(y.keeper)
			for range 20 {
				y.pass()
				y.elapse(time.Minute)
			}
			for stream, left := range row.left {
				y.expect(stream, left...)
			}
		})
	}
}

// TestPausedStreamsResumeWhilePoliciesAreNotKnown has other files fill the disk, and then leave some room, but not the reserve.
func TestPausedStreamsResumeWhilePoliciesAreNotKnown(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string]func(k *Keeper){
		"what is known is applied": func(k *Keeper) { k.Begin() },
		"all is applied":           func(k *Keeper) { k.Begin(); k.Applied() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t)
			y.startAgain(filepath.Join(t.TempDir(), "policies.json"))
			y.keeper.o.MinFree = func(uint64) uint64 { return 100 * mb }
			y.keeper.SetPolicy("door", Policy{OnFull: DenyNew})
			y.add("door", 0, mb, false)
			steps(y.keeper)
			for _, row := range []struct {
				free    uint64
				records bool
			}{{10 * mb, false}, {20 * mb, false}, {40 * mb, true}, {20 * mb, true}, {10 * mb, false}, {1 << 40, true}} {
				y.free = row.free
				y.pass()
				if got := y.records("door", time.Minute); got != row.records {
					t.Errorf("with %d MB free it is recorded %t, want %t", row.free/mb, got, row.records)
				}
			}
		})
	}
}
