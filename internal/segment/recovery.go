package segment

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/repair"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// loadTorn adds a segment that was being written when the process ended.
func (s *Store) loadTorn(st *streams.Stream, k layout.ID) error {
	if _, twice := st.Catalog.Find(k); twice {
		return s.setAside(st, layout.WritingName(k), errors.New("it is there as a finished segment, too"))
	}
	if s.readOnly {
		if info, err := s.files.Stat(filepath.Join(st.Dir, layout.WritingName(k))); err == nil {
			st.Catalog.Insert(catalog.Entry{ID: k, Bytes: info.Size(), State: Writing})
		}
		return nil
	}
	if s.postpone(st, k) {
		return nil
	}
	e, err := s.recoverFile(context.Background(), st, k) // who opens the store waits
	var disk *health.Fault
	switch {
	case errors.Is(err, mkv.ErrEmpty):
	case errors.As(err, &disk):
		// For example on a full disk: the other streams are recorded, and Run tries again.
		st.Catalog.Remember(e)
		st.Catalog.Broken = append(st.Catalog.Broken, k)
		s.volume.Results.Report(err)
	case err != nil:
		st.Catalog.Remember(e)
		if kept := s.rememberEnd(st, k); kept != nil { // Run tries again
			st.Catalog.Broken = append(st.Catalog.Broken, k)
			s.volume.Results.Report(kept)
			return nil
		}
		return s.setAside(st, layout.WritingName(k), err)
	default:
		st.Catalog.Insert(e)
		if err := st.Sync(); err != nil { // after a power cut it has its old name, and is recovered again
			s.volume.Results.Report(volume.Fault(st.Dir, err))
		}
	}
	return nil
}

// postpone leaves a torn file to Run when many bytes were read already. Meanwhile no other segment may overlap it.
func (s *Store) postpone(st *streams.Stream, k layout.ID) bool {
	length, postponed := s.recovering.Postpone(filepath.Join(st.Dir, layout.WritingName(k)))
	if postponed {
		st.Catalog.Remember(catalog.Entry{ID: k, Length: length})
		st.Catalog.Broken = append(st.Catalog.Broken, k)
	}
	return postponed
}

// recoverFile repairs and seals a torn file; its new name is durable after sync. It fails with mkv.ErrEmpty when the file
// had no frame, and then the file is deleted; with a *health.Fault when the disk fails, and then the entry covers at least
// the file's media, also when ctx ends; and otherwise when the file cannot be understood.
func (s *Store) recoverFile(ctx context.Context, st *streams.Stream, k layout.ID) (catalog.Entry, error) {
	e := catalog.Entry{ID: k, State: Sealed}
	if err := st.Doubts.Rewrite(ctx, k); err != nil {
		return e, volume.Fault(st.Dir, err)
	}
	path := filepath.Join(st.Dir, layout.WritingName(k))
	r, err := repair.Recover(ctx, st.Files, path, func(f file, size int64) { s.recoverGaps(st, k, f, size) })
	if r.InDoubt {
		st.Doubts.Add(k)
	}
	e.Length, e.Bytes = r.Length, r.Size
	if errors.Is(err, repair.ErrDisk) {
		return e, volume.Fault(st.Dir, err)
	}
	if err != nil {
		return e, err
	}
	if err := st.Rename(layout.WritingName(k), e.Name()); err != nil {
		return e, volume.Fault(st.Dir, err)
	}
	r.Log(s.log, st.Name, e.Name())
	return e, nil
}

// repairBroken finishes the segments that their writers had to abandon, and those that Open postponed, and reports how that goes. They stay
// in the list of broken segments meanwhile: acknowledgements for their fragments are recorded as for any other.
func (s *Store) repairBroken(ctx context.Context) {
	whole, err := s.repair(ctx, func(*streams.Stream, layout.ID) bool { return true })
	if whole {
		s.volume.Results.Set(repairs, err)
	}
}

// repair repairs the broken segments that are wanted, until ctx ends. It returns false when others are left, which says nothing about the
// disk: ctx has ended, or somebody else repairs at this moment, and Run does it later.
func (s *Store) repair(ctx context.Context, wanted func(*streams.Stream, layout.ID) bool) (whole bool, all error) {
	if !s.repairing.TryLock() {
		return false, nil
	}
	defer s.repairing.Unlock()
	s.mu.Lock()
	broken := make(map[*streams.Stream][]layout.ID)
	for _, st := range s.streams {
		if len(st.Catalog.Broken) > 0 && !st.Deleting {
			broken[st] = slices.Clone(st.Catalog.Broken)
		}
	}
	s.mu.Unlock()
	for st, list := range broken {
		for _, k := range list {
			if ctx.Err() == nil && wanted(st, k) {
				all = errors.Join(all, s.repairSegment(ctx, st, k))
			}
		}
	}
	return ctx.Err() == nil, all
}

// repairSegment finishes a segment. When it fails, or ctx ends, the segment stays in the list of broken segments.
func (s *Store) repairSegment(ctx context.Context, st *streams.Stream, k layout.ID) error {
	var e catalog.Entry // empty when nothing is left of the segment
	err := st.Doubts.Try(k, func() (err error) { e, err = s.finishBroken(ctx, st, k); return err })
	if err != nil {
		return err
	}
	repaired := e.Bytes > 0
	var synced error
	if repaired {
		synced = st.Sync() // before a deletion counts on it
	}
	s.mu.Lock()
	st.Catalog.Broken = slices.DeleteFunc(st.Catalog.Broken, func(other layout.ID) bool { return other == k })
	if repaired {
		st.Catalog.Insert(e)
		st.Catalog.SetClock(st.Catalog.Clock) // it may be of an epoch that has ended since
		st.Recheck()
		st.Watchers.Notify()
	}
	s.mu.Unlock()
	st.Doubts.Clear(k)
	return volume.Fault(st.Dir, synced)
}

// finishBroken is recoverFile, and does what follows where nothing can be recovered: then it returns no entry.
func (s *Store) finishBroken(ctx context.Context, st *streams.Stream, k layout.ID) (none catalog.Entry, err error) {
	e, err := s.recoverFile(ctx, st, k)
	var disk *health.Fault
	switch {
	case err == nil:
		return e, nil
	case errors.Is(err, mkv.ErrEmpty):
		return none, s.rememberEnd(st, k)
	case errors.Is(err, fs.ErrNotExist):
		if err = s.streamPresent(st); err == nil { // the file is not deleted when its disk is gone
			err = s.rememberEnd(st, k)
		}
		return none, err
	case errors.As(err, &disk):
		return none, err
	}
	if kept := s.rememberEnd(st, k); kept != nil {
		return none, kept
	}
	return none, s.setAside(st, layout.WritingName(k), err)
}
