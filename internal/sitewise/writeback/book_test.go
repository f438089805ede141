package writeback

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise/rows"
)

// The fragments of the property: there is no gap between one and the next.
const (
	slotLength = 10 * time.Second
	slotEvery  = 15 * time.Second // two apart have a gap
	slots      = 40
)

// slotReceipt is that of the fragment in a slot.
func slotReceipt(slot int) receipt.Receipt {
	at := begin.Truncate(time.Second).Add(time.Duration(slot) * slotEvery)
	return receipt.Receipt{Producer: at, Acked: at.Add(time.Minute), Length: slotLength - frame}
}

// TestTheBookInAnyOrder: in whatever order fragments are sent that somebody asked for and that nobody did, and whenever the agent starts
// again, there is a row for each run of fragments in which somebody asked for one, over all of it, and none for other runs.
func TestTheBookInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var b book
		sent, marks := map[int]bool{}, map[int]bool{} // by slot
		var order []int                               // of the receipts
		trickles := func(at int64) bool {
			slot := int(time.UnixMilli(at).Sub(begin.Truncate(time.Second)) / slotEvery)
			return marks[slot]
		}
		send := func(slot int) {
			sent[slot] = true
			order = append(order, slot)
			b.take(slotReceipt(slot), marks[slot])
		}
		for step := range rapid.IntRange(1, 30).Draw(t, "steps") {
			name := fmt.Sprint("step ", step)
			slot := rapid.IntRange(0, slots-1).Draw(t, name)
			switch rapid.SampledFrom([]string{"trickle", "request", "request", "settle", "start"}).Draw(t, name) {
			case "trickle":
				if !sent[slot] {
					marks[slot] = true
					if rapid.Bool().Draw(t, "it arrives") { // else the agent was killed after the mark
						send(slot)
					}
				}
			case "request":
				known := rapid.Bool().Draw(t, "known to be asked for")
				for last := min(slots-1, slot+rapid.IntRange(0, 5).Draw(t, "length")); slot <= last; slot++ {
					if known {
						delete(marks, slot)
					}
					if !sent[slot] || rapid.IntRange(0, 9).Draw(t, "again") == 0 {
						send(slot)
					}
				}
			case "settle":
				b.settle(trickles)
			case "start":
				slices.SortFunc(order, func(x, y int) int { return cmp.Compare(x, y) })
				b = book{}
				for _, slot := range order {
					b.take(slotReceipt(slot), marks[slot])
				}
			}
		}
		b.settle(trickles)
		got := rows.Desired(nil, b.list(), limitsOf(uploaded, slotLength))
		if diff := gocmp.Diff(wantedRows(sent, marks), got); diff != "" {
			t.Fatalf("sent %v, of which trickled %v:\n%s", sent, marks, diff)
		}
	})
}

// wantedRows are those of the runs in which somebody asked for a fragment.
func wantedRows(sent, marks map[int]bool) (list []rows.Row) {
	for slot := 0; slot < slots; slot++ {
		first, asked := slot, false
		for ; sent[slot]; slot++ {
			asked = asked || !marks[slot]
		}
		if asked {
			end := slotReceipt(slot - 1)
			list = append(list, rows.Row{Start: slotReceipt(first).Producer.Unix(), End: end.Producer.Add(end.Length).UnixMilli()})
		}
	}
	return list
}

// The book is bounded, also of lone fragments.
func TestTheBookIsBounded(t *testing.T) {
	t.Parallel()
	var b book
	for i := range maxChunks + 100 {
		b.take(receipt.Receipt{Producer: begin.Add(time.Duration(i) * time.Minute), Acked: begin, Length: time.Second}, true)
	}
	if n := len(b.alone); n != maxChunks {
		t.Errorf("%d fragments are alone", n)
	}
	b.settle(func(int64) bool { return true })
	if len(b.chunks) > 0 {
		t.Errorf("%d are taken in", len(b.chunks))
	}
	b.prune(begin.Add(time.Duration(maxChunks)*time.Minute).UnixMilli(), 0, nil)
	if n := len(b.alone); n != 100 {
		t.Errorf("%d fragments are left", n)
	}
}
