package streams

import (
	"cmp"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/progress"
)

// Refused is a fragment that the service does not accept: it is on this disk only.
type Refused struct {
	Key      Key
	Fragment mkv.Fragment // its Start, Last and Size
	Code     string       // the service's error, such as 4006 INVALID_MKV_DATA
	At       time.Time    // of the last refusal; zero when that is not known
	Tries    int          // how often it was queued again automatically
}

// RefusedFragments returns the stream's refused fragments, oldest first.
func (st *Stream) RefusedFragments() []Refused {
	if st.Refused.Count == 0 {
		return nil
	}
	list := make([]Refused, 0, st.Refused.Count)
	for k, all := range st.Refused.Of {
		list = st.appendRefused(list, k, all)
	}
	return inOrder(list)
}

// RequeuedFragments returns the stream's fragments that were refused and are pending again, oldest first.
func (st *Stream) RequeuedFragments() (list []Refused) {
	for k, a := range st.Active {
		if a.Progress != nil {
			list = st.appendRefused(list, k, a.Progress.Again())
		}
	}
	return inOrder(list)
}

func (st *Stream) appendRefused(list []Refused, k layout.ID, all []progress.Refusal) []Refused {
	for _, one := range all {
		r := Refused{
			Key:      KeyOf(st.Name, k),
			Fragment: mkv.Fragment{Start: one.Start, Last: one.Last, Size: one.Size},
			Code:     one.Code, Tries: one.Tries,
		}
		if one.At > 0 {
			r.At = time.UnixMilli(one.At).UTC()
		}
		list = append(list, r)
	}
	return list
}

func inOrder(list []Refused) []Refused {
	slices.SortFunc(list, func(a, b Refused) int {
		return cmp.Or(a.Key.ID().Compare(b.Key.ID()), cmp.Compare(a.Fragment.Start, b.Fragment.Start))
	})
	return list
}

// RefuseAgain reverses PendAgain for those of a segment's fragments that were not done meanwhile, and returns their refusals. They are
// not written yet.
func (st *Stream) RefuseAgain(k layout.ID, starts []time.Duration) (p *progress.Progress, list []progress.Refusal) {
	a := st.Active[k]
	if a == nil || a.Progress == nil {
		return nil, nil
	}
	for _, start := range starts {
		if one, ok := a.Progress.RefuseAgain(start); ok {
			st.Refused.Add(k, one)
			list = append(list, one)
		}
	}
	return a.Progress, list
}

// Requeued returns the refusals of a segment's fragments with those starts, as they are once the fragments are pending
// again: with counted it was another try.
func (st *Stream) Requeued(k layout.ID, starts []time.Duration, counted bool) (list []progress.Refusal) {
	for _, one := range st.Refused.Of[k] {
		if slices.Contains(starts, one.Start) {
			if counted {
				one.Tries++
			}
			list = append(list, one)
		}
	}
	return list
}

// PendAgain makes the fragments of refusals, as Requeued returns them, pending again.
func (st *Stream) PendAgain(p *progress.Progress, k layout.ID, list []progress.Refusal) {
	for _, one := range list {
		if _, ok := st.Refused.Take(k, one.Start); ok {
			p.Undo(one)
		}
	}
}
