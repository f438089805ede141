package poison_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/poison"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

// inOrder is a segment whose times are those on the wire.
type inOrder struct{}

func (inOrder) Offsets(segment.Key, time.Duration) (wire, recorded time.Duration) { return 0, 0 }

func fragment(n int) queue.Fragment {
	return queue.NewFragment(inOrder{}, segment.Key{Stream: "door", Start: 1}, mkv.Fragment{Start: time.Duration(n) * time.Second})
}

func newList() *poison.List {
	return poison.New(backoff.Policy{Min: time.Second, Max: 30 * time.Second}, time.Now)
}

func TestTheServiceRefusesAFragmentOnlyWhileOthersPass(t *testing.T) {
	t.Parallel()
	x, other := fragment(1), fragment(2)
	alone := newList()
	for range 10 * poison.RefusedAfter {
		if alone.Failed(x, false, true, 0) {
			t.Fatal("it is refused although no other fragment passed since its first failure")
		}
	}
	among := newList()
	for n := 1; ; n++ {
		if among.Failed(x, false, true, 0) {
			if n != poison.RefusedAfter || among.Has(x.ID()) {
				t.Errorf("it is refused after %d failures, want %d, and is suspected still: %v", n, poison.RefusedAfter, among.Has(x.ID()))
			}
			return
		}
		if n == poison.RefusedAfter {
			t.Fatal("it is not refused")
		}
		among.Passed(other, true)
	}
}

func TestTheLineRefusesNoFragmentButSplitsIt(t *testing.T) {
	t.Parallel()
	l, x, next, other := newList(), fragment(1), fragment(2), fragment(3)
	for n := 1; n <= 100; n++ {
		if l.Failed(x, true, false, 0) {
			t.Fatal("it is refused, and the line broke")
		}
		if want := n >= poison.SplitAfter; l.ToSplit(x.ID()) != want || (l.Stuck() != nil) != want {
			t.Fatalf("after %d failures it is to be split: %v, and is stuck: %+v", n, l.ToSplit(x.ID()), l.Stuck())
		}
		l.Passed(other, true)
	}
	l.LineIsShort()
	for range poison.SplitSoon {
		l.Failed(next, true, false, 0)
	}
	if !l.ToSplit(next.ID()) {
		t.Error("the line is known to be short, and the next fragment is not split soon")
	}
}

func TestADeferredFragmentComesBackInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, x, other := newList(), fragment(1), fragment(2)
		for !l.Deferred(x.ID()) {
			l.Failed(x, true, false, time.Second)
		}
		if again := l.Passed(other, true); again || !l.Deferred(x.ID()) {
			t.Error("it is tried again before its pause is over")
		}
		due, ok := l.NextDue(func(queue.Fragment) bool { return true })
		if pause := time.Until(due); !ok || pause < 8*time.Second || pause > 5*time.Minute {
			t.Errorf("it pauses for %v, %v after a try of 1 s", pause, ok)
		}
		time.Sleep(time.Until(due))
		if l.Release() != 1 || l.Deferred(x.ID()) || !l.Has(x.ID()) {
			t.Error("it is not tried again, alone, after its pause")
		}
	})
}

func TestNobodyIsToBlameWhereNothingPasses(t *testing.T) {
	t.Parallel()
	l, x, other := newList(), fragment(1), fragment(2)
	for !l.Deferred(x.ID()) {
		l.Failed(x, true, false, 0)
	}
	l.Failed(other, true, false, 0)
	if l.Deferred(x.ID()) || l.Deferred(other.ID()) {
		t.Error("a fragment is passed over, and those that were tried instead fail too")
	}
	l.Prune(func(queue.ID) bool { return false })
	if l.Len() != 0 {
		t.Errorf("%d fragments are suspected that are gone", l.Len())
	}
}
