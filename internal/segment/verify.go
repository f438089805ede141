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

// Verified is what Verify read of a segment.
type Verified struct {
	Fragments  int // that could be found, also the damaged ones
	NoChecksum int // of these, as all of earlier versions
	Damaged    []DamagedMedia
}

// DamagedMedia is media that is not what was recorded.
type DamagedMedia struct {
	Gap
	Err error // what is wrong with it
}

// Verify reads a segment as a whole. It fails with what is wrong with the file itself; what is wrong with
// its media is listed. One that is being written is read as far as it is completed. It ends with the error of ctx.
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
	if ctx.Err() != nil { // what was not read is not damaged
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

// Quarantined lists the files that recovery set aside, in the order of their paths.
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

// damagedReason is noted of media that cannot be read any more. It counts as refused: it is not in the cloud, and
// what is left of it is kept.
const damagedReason = "DAMAGED_ON_DISK"

// Damaged lists what of a finished segment cannot be read, as if it were fragments: between those that can be, and up
// to the end that the segment's name has.
func (r *Reader) Damaged() ([]mkv.Fragment, error) {
	if r.shown != nil {
		return nil, nil // what was written a moment ago
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

// noteDamaged notes what of a segment cannot be read, of which all else is done, and reports whether there is any.
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
