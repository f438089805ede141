package audit

import (
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
)

// tolerance is how much of a fragment's length may be missing at its end, and between its parts: the audio that is not sent, and the
// time between two frames.
const tolerance = 1200 * time.Millisecond

// acknowledged is a receipt.
type acknowledged struct {
	number string
	at     time.Time // producer timestamp
	acked  time.Time
	length time.Duration
	bytes  int64
	epoch  uint8
	used   bool // it belongs to a fragment of the hub
}

// acknowledgements are receipts by their producer timestamps, and of the same one by the time of their acknowledgement.
type acknowledgements []acknowledged

// receipts reads those of a range of producer timestamps, both ends included.
func (u *auditing) receipts(from, to time.Time) (list acknowledgements, err error) {
	err = u.o.Receipts.Read(u.of.Stream, from, to.Add(time.Millisecond), func(r receipt.Receipt) {
		list = append(list, acknowledged{number: r.Number, at: r.Producer, acked: r.Acked, length: r.Length, bytes: r.Bytes,
			epoch: r.Epoch})
	})
	if err != nil {
		return nil, u.receiptFault(err)
	}
	slices.SortStableFunc(list, func(a, b acknowledged) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.acked.Compare(b.acked)
	})
	return list, nil
}

// of returns the receipts of a fragment, and marks them as used. Those of another epoch are of another recording of the same time.
func (l acknowledgements) of(f uploaded) (own acknowledgements) {
	first, _ := slices.BinarySearchFunc(l, f.at, func(r acknowledged, t time.Time) int { return r.at.Compare(t) })
	for i := first; i < len(l) && !l[i].at.After(f.end); i++ {
		if l[i].epoch == f.epoch() {
			l[i].used = true
			own = append(own, l[i])
		}
	}
	return own
}

// inCloud is what the cloud lists of a range.
type inCloud struct {
	list    []kvs.StoredFragment // by producer timestamp
	numbers map[string]bool
	epochs  map[string]uint8 // by number: of which epoch it is, as far as there is a receipt
}

// stored lists a range of producer timestamps, of which there are these receipts.
func (u *auditing) stored(from, to time.Time, receipts acknowledgements) (inCloud, error) {
	found := inCloud{numbers: make(map[string]bool), epochs: make(map[string]uint8)}
	for _, r := range receipts {
		found.epochs[r.number] = r.epoch
	}
	err := u.o.Cloud.StoredFragments(u.ctx, u.of.Stream, from.Add(-slack), to.Add(slack), func(page []kvs.StoredFragment) {
		found.list = append(found.list, page...)
		u.report.Listed += len(page)
		u.each(u.report.Counts)
	})
	if err != nil {
		return found, u.fault(u.ctx, u.of.Stream, err)
	}
	for _, f := range found.list {
		found.numbers[f.Number] = true
	}
	slices.SortFunc(found.list, func(a, b kvs.StoredFragment) int { return a.Producer.Compare(b.Producer) })
	return found, nil
}

// holds reports whether the cloud has a fragment of the hub, in one piece or in parts. What has a receipt is found by its number, and
// the rest by producer timestamp and length.
func (c inCloud) holds(f uploaded, receipts acknowledgements) bool {
	first, _ := slices.BinarySearchFunc(c.list, f.at.Add(-slack), func(s kvs.StoredFragment, t time.Time) int { return s.Producer.Compare(t) })
	reach := time.Time{} // up to where it is covered
	for _, s := range c.list[first:] {
		if s.Producer.After(f.end.Add(slack)) {
			break
		}
		if !c.mayBe(s, f, receipts) {
			continue
		}
		if reach.IsZero() && s.Producer.After(f.at.Add(slack)) || !reach.IsZero() && s.Producer.After(reach.Add(tolerance)) {
			return false
		}
		reach = later(reach, s.Producer.Add(s.Length))
	}
	return !reach.IsZero() && !reach.Before(f.end.Add(-tolerance))
}

// mayBe reports whether what the cloud stored may be of a fragment with these receipts: one of them has its number, or no receipt has
// its number, and none of these has its time.
func (c inCloud) mayBe(s kvs.StoredFragment, f uploaded, receipts acknowledgements) bool {
	if epoch, known := c.epochs[s.Number]; known && epoch != f.epoch() {
		return false // another recording of the same time
	}
	sameTime := false
	for _, r := range receipts {
		if r.number == s.Number {
			return true
		}
		sameTime = sameTime || r.at.Sub(s.Producer).Abs() <= slack
	}
	return !sameTime
}
