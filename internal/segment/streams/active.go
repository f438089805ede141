package streams

import (
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/progress"
)

// active is the state of a segment that is being written, read or uploaded.
type active struct {
	Recording *Recording // nil when finished
	Leases    int
	awaited   bool               // somebody was refused it, as it is in use
	Progress  *progress.Progress // nil when none of its fragments is persisted or refused
	Moving    *move              // nil unless its file is being renamed
}

// move is a rename of a file in progress, without the store's mu: a disk that hangs in it delays only others that change the
// same segment. Until it is done, the segment is in its old state.
type move struct {
	To      string
	Deletes bool          // it is deleted thereby
	Ended   chan struct{} // closed when the rename is done or has failed
}

// Begin records that a segment's file is being renamed. Call it when no other rename is in progress.
func (a *active) Begin(to string) { a.Moving = &move{To: to, Ended: make(chan struct{})} }

// BeginDeletion is Begin for a file that is renamed to garbage.
func (a *active) BeginDeletion(to string) {
	a.Begin(to)
	a.Moving.Deletes = true
}

// End records that the rename is done or has failed.
func (a *active) End() {
	close(a.Moving.Ended)
	a.Moving = nil
}

// InUse reports whether the segment is being written, read or renamed.
func (a *active) InUse() bool {
	return a != nil && (a.Leases > 0 || a.Recording != nil || a.Moving != nil)
}

// Await records that somebody was refused the segment, as it is in use.
func (a *active) Await() {
	if a != nil {
		a.awaited = true
	}
}

// EndLease ends a lease, and reports whether somebody waits for the end of the last one.
func (a *active) EndLease() (awaited bool) {
	a.Leases--
	if awaited = a.awaited && a.Leases == 0; awaited {
		a.awaited = false
	}
	return awaited
}

// FileNames returns the name of a segment's file, and the one that it is being renamed to, if any. There are none when there
// is no such segment.
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

// Idle returns the path of a segment's file; idle is false when the segment is in use, or when there is none.
func (st *Stream) Idle(k layout.ID) (path string, idle bool) {
	if st == nil {
		return "", false
	}
	i, ok := st.Catalog.Find(k)
	if !ok || st.Active[k].InUse() {
		return "", false
	}
	return filepath.Join(st.Dir, st.Catalog.Entries[i].Name()), true
}

// Media reports whether a segment that is being written has a fragment, and whether a power cut leaves one.
func (st *Stream) Media(k layout.ID) (some, synced bool) {
	a := st.Active[k]
	if a == nil || a.Recording == nil {
		return false, false
	}
	list := a.Recording.SoFar()
	return len(list) > 0, len(list) > 0 && list[0].Offset+list[0].Size <= a.Recording.Synced()
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

// Use returns a segment's active state, created on first use.
func (st *Stream) Use(k layout.ID) *active {
	a := st.Active[k]
	if a == nil {
		a = &active{}
		st.Active[k] = a
	}
	return a
}

// Release drops an active state that is no longer needed.
func (st *Stream) Release(k layout.ID) {
	if a := st.Active[k]; a != nil && a.Recording == nil && a.Leases == 0 && a.Progress == nil && a.Moving == nil {
		delete(st.Active, k)
	}
}

// Forget removes a segment from the index, with everything known about it. The caller ends its Progress, if there is one.
func (st *Stream) Forget(k layout.ID) (notes *progress.Progress) {
	if a := st.Active[k]; a != nil {
		notes, a.Progress = a.Progress, nil
	}
	if i, ok := st.Catalog.Find(k); ok {
		st.Catalog.Remove(i)
	}
	st.Gaps.Forget(k)
	st.Refused.Drop(k)
	delete(st.unread, k)
	return notes
}
