package uploader

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// recordAt makes a sealed segment that is dated at, with fragments of 2 s, and returns their times.
func (w *rig) recordAt(at time.Time, fragments int) (list []int64) {
	w.t.Helper()
	w.next, w.want = at, nil
	w.record(1, fragments)
	return w.want
}

// moved adds to times.
func moved(list []int64, add time.Duration) []int64 {
	out := slices.Clone(list)
	for i := range out {
		out[i] += add.Milliseconds()
	}
	return out
}

func (w *rig) endEpoch(from time.Time, add time.Duration, at time.Time) {
	w.t.Helper()
	must(w.t, w.store.BeginEpoch(door, from, time.Time{}, add, at))
}

const twoHours = 2 * time.Hour

// ahead records media with right times, some two hours ahead, and again with right times; it returns the producer timestamps.
func (w *rig) ahead(add time.Duration) (want []int64) {
	w.t.Helper()
	want = w.recordAt(begin, 3)
	wrong := w.recordAt(begin.Add(twoHours+10*time.Second), 3)
	w.endEpoch(begin.Add(twoHours), add, begin.Add(20*time.Second))
	return slices.Concat(want, moved(wrong, add), w.recordAt(begin.Add(20*time.Second), 3))
}

func TestEpochsAreUploadedInTheirOrder(t *testing.T) {
	t.Parallel()
	for name, add := range map[string]time.Duration{"with the corrected time": -twoHours, "with the files' times": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.want = w.ahead(add)
			w.drain(w.uploader())
			w.expectOnce()
			w.expectUploaded(0)
			sessions := w.health.Component(door, health.JobUploader).Value(health.UploadSessions)
			if want := int64(1); add != 0 && sessions != want {
				t.Errorf("%d sessions, want %d: the times rise", sessions, want)
			}
			if got := w.health.Component(door, health.JobUploader).Value(health.LastPersistedMedia); got > begin.Add(time.Minute).UnixMilli() {
				t.Errorf("the newest media in the cloud is said to be of %s", time.UnixMilli(got).UTC())
			}
		})
	}
}

func TestMediaOfAnUnsetClockIsUploadedWithTheRightTime(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	boot := time.Unix(20, 0)
	wrong := w.recordAt(boot, 3)
	add := begin.Sub(boot)
	must(t, w.store.NoteClock(door, boot.Add(100*time.Millisecond), boot.Add(6*time.Second), add))
	w.want = slices.Concat(moved(wrong, add), w.recordAt(begin.Add(10*time.Second), 2))
	w.drain(w.uploader())
	w.expectOnce()
	w.expectUploaded(0)
}

// What was sent before the offset was known stays as it is; the rest goes with the right time, in the same segment.
func TestAnOffsetThatIsNotedLaterHoldsForWhatIsLeft(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	u := w.uploader()
	stop := w.run(u)
	w.next = begin.Add(twoHours)
	writer := w.create(640)
	w.fragment(writer, 2*time.Second, 300)
	w.fragment(writer, 2*time.Second, 300)
	w.await(2)
	stop()
	w.fragment(writer, 2*time.Second, 300)
	w.fragment(writer, 2*time.Second, 300)
	must(t, writer.Seal())
	sent, left := w.want[:2], w.want[2:]
	w.endEpoch(begin.Add(twoHours), -twoHours, begin.Add(10*time.Second))
	w.want = slices.Concat(sent, moved(left, -twoHours), w.recordAt(begin.Add(20*time.Second), 2))
	w.drain(w.uploader())
	w.expectOnce()
	w.expectUploaded(0)
}

func TestOnDemandGoesByWhenItWasRecorded(t *testing.T) {
	t.Parallel()
	for name, add := range map[string]time.Duration{"known": -twoHours, "unknown": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			all := w.ahead(add)
			var last Progress
			must(t, w.uploader().Range(w.context(), begin.Add(9*time.Second), begin.Add(19900*time.Millisecond), func(p Progress) { last = p }))
			w.want = all[3:6]
			w.expectOnce()
			if last.Total != 3 || last.Done != 3 {
				t.Errorf("%+v", last)
			}
			must(t, w.uploader().Range(w.context(), begin.Add(twoHours), begin.Add(2*twoHours), func(p Progress) { last = p }))
			if last.Total != 0 {
				t.Errorf("of the time that the files show: %+v", last)
			}
			must(t, w.uploader().Range(w.context(), begin, begin.Add(time.Hour), func(p Progress) { last = p }))
			if last.Total != len(all) || last.Done != last.Total {
				t.Errorf("%+v", last)
			}
			w.want = slices.Sorted(slices.Values(all))
			w.expectAll()
			w.expectUploaded(0)
		})
	}
}

// A live upload sends the newest by the order of recording, not by what files are dated.
func TestLiveSendsTheNewestOfTheLastEpochFirst(t *testing.T) {
	t.Parallel()
	for name, add := range map[string]time.Duration{"known": -twoHours, "unknown": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.want = w.ahead(add)
			newest := w.want[len(w.want)-1]
			ctx, cancel := context.WithCancel(w.context())
			done := make(chan error, 1)
			u := w.uploader()
			go func() { done <- u.RunLive(ctx) }()
			w.await(len(w.want))
			cancel()
			must(t, <-done)
			if got := w.stored(); got[0] != newest {
				t.Errorf("the service has %v, want %v first", w.relative(got), w.relative([]int64{newest}))
			}
			slices.Sort(w.want)
			w.expectAll()
			for _, info := range w.store.Segments(door, time.Time{}, time.Time{}) {
				if info.State == segment.Writing || info.PendingBytes > 0 {
					t.Errorf("%+v", info)
				}
			}
		})
	}
}
