package streams

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/progress"
)

// active is what is held of a segment that is being written, read or uploaded.
type active struct {
	Recording *Recording // nil when finished
	Leases    int
	Progress  *progress.Progress // nil when nothing of it is persisted
	Moving    *move              // nil unless its file gets another name now
}

// move is a change of a file's name under way, without the store's mu: a disk that hangs in it
// holds up nobody but who changes the same segment. Until it is done, the segment is in the state
// from which it goes.
type move struct {
	To    string
	Ended chan struct{} // closed when it is done or has failed
}

// Begin says that a segment's file will have another name. Call it when nothing moves it.
func (a *active) Begin(to string) { a.Moving = &move{To: to, Ended: make(chan struct{})} }

// End says that it has it, or has not got it.
func (a *active) End() {
	close(a.Moving.Ended)
	a.Moving = nil
}

// InUse reports whether the segment is being written, read or renamed.
func (a *active) InUse() bool {
	return a != nil && (a.Leases > 0 || a.Recording != nil || a.Moving != nil)
}

// FileNames are the name of a segment's file, and the one that it gets now, if it does. There are none when there is no
// such segment.
func (st *Stream) FileNames(k layout.ID) []string {
	i, ok := st.Catalog.Find(k)
	if !ok {
		return nil
	}
	names := []string{st.Catalog.Entries[i].Name()}
	if a := st.Active[k]; a != nil && a.Moving != nil {
		names = append(names, a.Moving.To)
	}
	return names
}

// Recorded reports whether a segment is being written.
func (st *Stream) Recorded() bool {
	for _, a := range st.Active {
		if a.Recording != nil {
			return true
		}
	}
	return false
}

// Use returns a segment's active part, made on first use.
func (st *Stream) Use(k layout.ID) *active {
	a := st.Active[k]
	if a == nil {
		a = &active{}
		st.Active[k] = a
	}
	return a
}

// Release forgets an active part that nothing needs any more.
func (st *Stream) Release(k layout.ID) {
	if a := st.Active[k]; a != nil && a.Recording == nil && a.Leases == 0 && a.Progress == nil && a.Moving == nil {
		delete(st.Active, k)
	}
}

// Forget takes a segment out of the index, with all that is known of it. The caller ends its notes, if there are
// any.
func (st *Stream) Forget(k layout.ID) (notes *progress.Progress) {
	if a := st.Active[k]; a != nil {
		notes, a.Progress = a.Progress, nil
	}
	if i, ok := st.Catalog.Find(k); ok {
		st.Catalog.Remove(i)
	}
	st.Gaps.Forget(k)
	st.Refused.Drop(k)
	return notes
}
