package segment

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/repair"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// Verified is the result of Verify for a segment.
type Verified struct {
	Fragments  int // that were found, also the damaged ones
	NoChecksum int // of these without a checksum, as all of earlier versions
	Damaged    []DamagedMedia
}

// DamagedMedia is media that differs from what was recorded.
type DamagedMedia struct {
	Gap
	Err error // what is wrong with it
}

// Verify reads a complete segment. It returns an error for a fault of the file itself; damaged media is listed. A segment
// that is being written is read up to its last completed fragment. It ends with the error of ctx.
func (s *Store) Verify(ctx context.Context, k Key) (Verified, error) {
	r, err := s.OpenSegmentWhile(ctx, k)
	if err != nil {
		return Verified{}, err
	}
	defer func() { _ = r.Close() }()
	m, err := r.container()
	if err != nil {
		return Verified{}, err
	}
	info := s.infoOf(k)
	found, err := m.Verify(info.State != Writing)
	if ctx.Err() != nil { // unread media is not damaged
		return Verified{}, ctx.Err()
	}
	v := Verified{Fragments: len(found.Fragments), NoChecksum: found.Unsummed}
	for _, d := range found.Damaged {
		gap := Gap{From: k.StartTime().Add(d.From), To: k.StartTime().Add(d.To)}
		if d.To == 0 {
			gap.To = info.End
		}
		v.Damaged = append(v.Damaged, DamagedMedia{gap, d.Err})
	}
	if err == nil && r.header.Start.UnixMilli() != k.Start {
		err = fmt.Errorf("the file says that it starts at %s", r.header.Start.Format(time.RFC3339Nano))
	}
	return v, err
}

// Quarantined returns the files that recovery moved to quarantine, in the order of their paths.
func (s *Store) Quarantined() ([]string, error) {
	s.mu.Lock()
	var dirs []string
	for _, st := range s.streams {
		dirs = append(dirs, st.Dir)
	}
	s.mu.Unlock()
	var list []string
	for _, dir := range dirs {
		files, err := repair.Quarantined(dir)
		list = append(list, files...)
		if err != nil {
			return list, s.reading(volume.Fault(filepath.Join(dir, layout.QuarantineName), err))
		}
	}
	slices.Sort(list)
	return list, nil
}

// damagedReason is recorded for media that cannot be read any more. It counts as refused: it is not uploaded, and the file
// is kept.
const damagedReason = "DAMAGED_ON_DISK"

// Damaged returns the parts of a finished segment that cannot be read, as fragments: the ranges between readable fragments,
// and up to the end that the segment's name states.
func (r *Reader) Damaged() ([]mkv.Fragment, error) {
	if r.shown != nil {
		return nil, nil // it was written a moment ago
	}
	list, _, err := r.Fragments()
	if err != nil {
		return nil, err
	}
	m, err := r.container()
	if err != nil {
		return nil, err
	}
	return repair.Damaged(m, list, r.store.infoOf(r.key).End.Sub(r.key.StartTime()))
}

// noteDamaged records the unreadable parts of a segment whose other fragments are done, and reports whether there are any.
func (s *Store) noteDamaged(r *Reader) (any bool, err error) {
	damaged, err := r.Damaged()
	if err != nil {
		return false, err
	}
	for _, f := range damaged {
		if err := s.MarkRefused(r.key, f, damagedReason); err != nil {
			return true, err
		}
	}
	return len(damaged) > 0, nil
}
