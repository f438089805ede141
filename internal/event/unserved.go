package event

import (
	"context"
	"time"

	"go.uber.org/zap"
)

const (
	// patience is how long an event waits for the upload of its stream to come back, once that is known to be gone: configurations are
	// deleted and made again.
	patience = 10 * time.Minute
	// lookEvery is how often that is checked.
	lookEvery = 30 * time.Second
)

// Unserved is what EndUnserved needs. All are required.
type Unserved struct {
	// Fragments lists the fragments of a span: those that are on the hub, and those that were sent, as far as anybody remembers.
	Fragments func(stream string, s Span) []Fragment
	// Each is called now and then with the events whose holds are due.
	HoldsDue func(ctx context.Context, list []*Event)
}

// EndUnserved ends events on streams that are not uploaded by this hub any more, and has holds added that are due, until ctx ends. What is
// on the hub of these events stays there. It returns nil.
func (s *Store) EndUnserved(ctx context.Context, o Unserved) error {
	since := make(map[string]time.Time)
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		o.HoldsDue(ctx, s.HoldsDue())
		now := s.o.Now()
		gone := make(map[string]time.Time)
		for _, stream := range s.unserved() {
			at, known := since[stream]
			if !known {
				at = now
			}
			if gone[stream] = at; now.Sub(at) >= patience {
				s.endOn(stream, now, o)
			}
		}
		since = gone
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
}

// endOn ends the events on a stream that is not uploaded.
func (s *Store) endOn(stream string, now time.Time, o Unserved) {
	going, version := s.Going(stream)
	for _, e := range going {
		if now.Before(e.To.Add(Settles)) {
			continue
		}
		p := Count(o.Fragments(stream, Span{e.From, e.To}))
		p.Unsent = p.Recorded - p.Uploaded - p.Refused
		noted, _ := s.Progress(e, stream)
		if p.Lost = max(e.Lost[stream].Fragments, noted.Recorded-p.Recorded, 0); p.Lost > 0 {
			p.Recorded += p.Lost
			p.Bytes += max(e.Lost[stream].Bytes, noted.Bytes-p.Bytes, 0)
		}
		if err := s.Finish(e.ID, stream, version, p); err != nil {
			s.o.Log.Debug("end of an event not saved", zap.Error(err)) // it is tried again
		}
	}
}
