package catalog

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

func TestAnIndexStaysSmall(t *testing.T) {
	t.Parallel()
	const n = 100_000
	var x Index
	for i := range n {
		x.Insert(Entry{ID: layout.ID{Start: int64(i) * 300_000}, Length: 299_960, State: layout.Uploaded})
	}
	if held := cap(x.Entries) * 32; held > 100*n {
		t.Errorf("%d bytes for a segment, want at most 100", held/n)
	}
}

// The sums and the shortcuts of an index must be what counting finds, whatever happened to it.
func TestAnIndexAgreesWithCounting(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	var x Index
	for range 20_000 {
		switch n := len(x.Entries); {
		case n == 0 || random.IntN(3) == 0 && n < 60:
			e := Entry{ID: someID(random), Bytes: random.Int64N(100), Length: uint32(random.IntN(10)), State: layout.State(random.IntN(3))}
			e.Refused = e.State == layout.Uploaded && random.IntN(2) == 0
			if _, there := x.Find(e.ID); !there {
				x.Insert(e)
			}
		case random.IntN(2) == 0:
			x.Remove(random.IntN(n))
		default:
			i := random.IntN(n)
			e := x.Entries[i]
			e.State, e.Refused = layout.State(random.IntN(3)), false
			x.Replace(i, e)
		}
		checkIndex(t, &x, someID(random))
		if t.Failed() {
			return
		}
	}
}

func someID(random *rand.Rand) layout.ID {
	return layout.ID{Start: int64(random.IntN(1000)) * 10, Epoch: uint32(random.IntN(3))}
}

func checkIndex(t *testing.T, x *Index, from layout.ID) {
	t.Helper()
	if !slices.IsSortedFunc(x.Entries, func(a, b Entry) int { return a.Compare(b.ID) }) {
		t.Error("the index is not in order")
	}
	var bytes, pendingBytes, pendingMillis int64
	var counts [kinds]int
	for _, e := range x.Entries {
		bytes += e.Bytes
		counts[e.Kind()]++
		if e.Pends() {
			pendingBytes += e.Bytes
			pendingMillis += int64(e.Length)
		}
	}
	if bytes != x.Bytes || pendingBytes != x.PendingBytes || pendingMillis != x.PendingMillis {
		t.Errorf("the sums are %d %d %d, want %d %d %d", x.Bytes, x.PendingBytes, x.PendingMillis, bytes, pendingBytes, pendingMillis)
	}
	for k := range kinds {
		want := slices.IndexFunc(x.Entries, func(e Entry) bool { return e.Kind() == k && !e.Before(from) })
		got, ok := x.Next(k, from)
		if ok != (want >= 0) || ok && got != want || counts[k] != x.Number(k) {
			t.Errorf("next of kind %d from %s is %d %v, want %d", k, from, got, ok, want)
		}
		if from.Start%7 == 0 { // so that the shortcut moves as well
			x.Next(k, layout.First)
		}
	}
}
