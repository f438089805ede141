package uploader

import (
	"context"
	"time"
)

// Progress is how far an upload on demand has come. All count fragments.
type Progress struct {
	Total    int // that were asked for
	Done     int // of these in the cloud, also those that were before
	Refused  int // of these refused by the service since the demand, for good
	Finished bool
}

// Range uploads what is recorded from (inclusive) to (exclusive), in whole fragments, now and before
// everything else, and tells each how far it is. Run and Drain may go on beside it: they give way, and no fragment
// is sent by both. It returns nil at the end, and ctx's error when that comes first.
func (u *Uploader) Range(ctx context.Context, from, to time.Time, each func(Progress)) error {
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
	skipped := u.numbers.skipped.Load()
	p := u.count(from, to)
	each(p)
	err := u.upload(ctx, mode{drain: true, demand: true, from: from.UnixMilli(), to: to.UnixMilli(), each: func() {
		p.Done++
		p.Total = max(p.Total, p.Done) // of what is being recorded there may be more by now
		each(p)
	}})
	if err != nil {
		return err
	}
	p = u.count(from, to)
	p.Refused, p.Finished = int(u.numbers.skipped.Load()-skipped), true
	each(p)
	return nil
}

// count looks at every fragment of a range.
func (u *Uploader) count(from, to time.Time) (p Progress) {
	for _, info := range u.o.Store.Segments(u.o.Stream, from, to) {
		reader, err := u.o.Store.OpenSegment(info.Key)
		if err != nil {
			continue // gone, or unreadable and reported elsewhere
		}
		list, _, err := reader.Fragments()
		_ = reader.Close() // was only read
		if err != nil {
			continue
		}
		for _, f := range list {
			s := shot{key: info.Key, frag: f}
			if s.end() < from.UnixMilli() || s.at() >= to.UnixMilli() {
				continue
			}
			p.Total++
			if u.o.Store.Done(s.key, f.Start) {
				p.Done++
			}
		}
	}
	return p
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
