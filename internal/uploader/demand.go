package uploader

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Progress is how far an upload on demand has come. All count fragments.
type Progress struct {
	Total    int // that were asked for
	Done     int // of these in the cloud, also those that were before
	Refused  int // of these kept on the hub, as the service does not take them
	Finished bool
	// Bytes of those that are done, of TotalBytes.
	Bytes, TotalBytes int64
}

// Range uploads what was recorded from (inclusive) to (exclusive), in whole fragments, now and before
// everything else, and tells each how far it is. Run and Drain may go on beside it: they give way, and no fragment
// is sent by both. It returns nil at the end, and ctx's error when that comes first.
func (u *Uploader) Range(ctx context.Context, from, to time.Time, each func(Progress)) error {
	count := func() (Progress, bool) { return u.count(from, to) }
	return u.demand(ctx, &mode{from: from, to: to}, func() error { return nil }, count, each)
}

// demand does what Range says, with the fragments of m after prepare; count looks how far it is, and whether
// all of them can be read.
func (u *Uploader) demand(ctx context.Context, m *mode, prepare func() error, count func() (Progress, bool), each func(Progress)) error {
	u.wanted.Add(1)
	defer u.wanted.Add(-1)
	select {
	case u.nudge <- struct{}{}:
	default:
	}
	if err := u.begin(ctx); err != nil {
		return err
	}
	defer u.end()
	defer u.o.Health.SetState(u.o.Health.Snapshot().State) // what goes on beside it is as it was
	unreadable := health.SystemFault(CodeStore, nil,
		"A recording of stream %s from that time cannot be read and is not in the cloud: check the hub's disk.", u.o.Stream)
	if err := prepare(); err != nil {
		unreadable.Err = err
		return unreadable
	}
	p, _ := count()
	each(p)
	m.drain, m.demand, m.each = true, true, func(size int64) {
		p.Done++
		p.Bytes += size
		p.Total, p.TotalBytes = max(p.Total, p.Done), max(p.TotalBytes, p.Bytes) // of what is being recorded there may be more by now
		each(p)
	}
	if err := u.upload(ctx, *m); err != nil {
		return err
	}
	p, whole := count()
	if !whole || p.Done < p.Total && !u.queue.readable() {
		return unreadable
	}
	p.Total, p.TotalBytes = p.Done, p.Bytes // what was completed since the last look came too late
	p.Finished = true
	each(p)
	return nil
}

// count looks at every fragment of a range; whole is false when not all of it can be read.
func (u *Uploader) count(from, to time.Time) (p Progress, whole bool) {
	whole = true
	refused := u.refusedNow()
	for _, info := range u.o.Store.Segments(u.o.Stream, from, to) {
		list, err := u.fragmentsOf(info.Key)
		if err != nil {
			whole = whole && errors.Is(err, segment.ErrNotFound)
			continue
		}
		whole = whole && !u.damagedIn(info.Key, from, to)
		for _, f := range list {
			s := newShot(u.o.Store, info.Key, f)
			if !s.in(from, to) {
				continue
			}
			p.Total++
			p.TotalBytes += f.Size
			if u.o.Store.Done(s.key, f.Start) {
				p.Done++
				p.Bytes += f.Size
			}
			if refused[s.id()] {
				p.Refused++
			}
		}
	}
	return p, whole
}

// damagedIn reports whether something cannot be read that was recorded in [from, to).
func (u *Uploader) damagedIn(k segment.Key, from, to time.Time) bool {
	reader, err := u.o.Store.OpenSegment(k)
	if err != nil {
		return false // gone meanwhile
	}
	defer func() { _ = reader.Close() }() // was only read
	damaged, err := reader.Damaged()
	return err != nil || slices.ContainsFunc(damaged, func(f mkv.Fragment) bool { return newShot(u.o.Store, k, f).in(from, to) })
}

func (u *Uploader) fragmentsOf(k segment.Key) ([]mkv.Fragment, error) {
	reader, err := u.o.Store.OpenSegment(k)
	if err != nil {
		return nil, err
	}
	defer func() { _ = reader.Close() }() // was only read
	list, _, err := reader.Fragments()
	return list, err
}

// begin waits for the turn of this goroutine: one at a time sends. Whoever waits longest is next.
func (u *Uploader) begin(ctx context.Context) error {
	select {
	case u.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (u *Uploader) end() { <-u.turn }

// giveWay tells whether somebody asked for an upload who is not served yet.
func (e *session) giveWay() bool { return !e.mode.demand && e.u.wanted.Load() > 0 }
