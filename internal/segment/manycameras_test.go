package segment

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

const (
	cardBy        = 10 * time.Millisecond // an operation of the disk; one at a time
	cardCameras   = 64
	cardFrame     = 5_000 // bytes, 25 a second: 1 Mbit/s
	cardGOP       = 50    // frames
	cardFragments = 5     // GOPs of a fragment
	cardSegment   = 5 * 60 * 25
	cardQueue     = 5 * 25
	cardStart     = 2 * cardGOP * cardFragments * frameInterval // until all cameras are recorded
)

// card is a disk of 100 operations a second that has nothing but recordings.
type card struct{ *slowDisk }

// SyncFS implements flush.Whole.
func (d card) SyncFS(string) error {
	d.wait()
	return nil
}

// sentFrame is a frame that a camera sent.
type sentFrame struct {
	i  int
	at time.Time
}

// mark is a frame that was written: it is durable once that many bytes of its segment are.
type mark struct {
	w     *Writer
	bytes int64
	at    time.Time
}

// cardCamera is recorded and uploaded.
type cardCamera struct {
	name    string
	store   *Store
	segment int // frames of a segment
	frames  chan sentFrame
	lost    int
	behind  int           // frames that waited at most
	watched time.Duration // until the first camera ends; before and during that frames may be durable later

	mu     sync.Mutex
	marks  []mark
	oldest time.Duration // age at which a frame got durable, at most
}

func (c *cardCamera) shoot(frames int) {
	defer close(c.frames)
	ticker := time.NewTicker(frameInterval)
	defer ticker.Stop()
	for i := range frames {
		select {
		case c.frames <- sentFrame{i, <-ticker.C}:
			c.behind = max(c.behind, len(c.frames))
		default:
			c.lost++
		}
	}
}

const followEvery = 20 * time.Millisecond

// follow notes how old frames are when they are durable.
func (c *cardCamera) follow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.marks) > 0 {
		m := c.marks[0]
		c.oldest = max(c.oldest, time.Since(m.at)-followEvery) // it may have been durable since the last look
		if !m.w.shown.Finished() && m.w.shown.Synced() < m.bytes {
			return
		}
		c.marks = c.marks[1:]
	}
}

func (c *cardCamera) record(began time.Time) (err error) {
	frame := [][]byte{make([]byte, cardFrame)}
	var w *Writer
	first := 0
	end := func() error {
		f, err := w.EndFragment()
		return errors.Join(err, c.store.MarkPersisted(w.Key(), f))
	}
	for s := range c.frames {
		if s.i%cardGOP == 0 && (w == nil || (s.i-first)%(cardGOP*cardFragments) == 0) {
			if w != nil {
				if err := end(); err != nil {
					return err
				}
			}
			if w == nil || s.i-first >= max(c.segment, cardGOP) {
				if w != nil {
					if err := w.Seal(); err != nil {
						return err
					}
				}
				var h mkv.Header = headerAt(began.Add(time.Duration(s.i) * frameInterval))
				if w, err = c.store.Create(c.name, h); err != nil {
					return err
				}
				if first = s.i; s.i > 0 {
					c.segment = cardSegment
				}
			}
			if err := w.BeginFragment(time.Duration(s.i-first)*frameInterval, true); err != nil {
				return err
			}
		}
		if err := w.WriteFrame(1, time.Duration(s.i-first)*frameInterval, s.i%cardGOP == 0, frame); err != nil {
			return err
		}
		if age := s.at.Sub(began); age > cardStart && age < c.watched {
			bytes := w.Bytes()
			c.mu.Lock()
			c.marks = append(c.marks, mark{w, bytes, s.at})
			c.mu.Unlock()
		}
	}
	return errors.Join(end(), w.Seal())
}

// TestADiskOf100OperationsASecondCarries64Cameras records to a disk on which each write, sync and rename takes 10 ms, one at a time, and
// which has nothing but recordings. Frames are durable after the flush interval, or half of it later, where segments of many cameras end
// at once.
func TestADiskOf100OperationsASecondCarries64Cameras(t *testing.T) {
	t.Parallel()
	seconds := testtools.Proof(t, "card", testtools.Sizes[int]{Short: 40, Middle: 120, Long: 3600})
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(Options{Dir: t.TempDir(), Files: card{&slowDisk{by: cardBy, turn: make(chan struct{}, 1)}}})
		if err != nil {
			t.Fatal(err)
		}
		cameras := make([]*cardCamera, cardCameras)
		for i := range cameras {
			c := &cardCamera{
				name: fmt.Sprintf("camera-%d", i), store: s, frames: make(chan sentFrame, cardQueue),
				watched: time.Duration(seconds-4) * time.Second,
			}
			c.segment = cardSegment * (i + 1) / cardCameras / cardGOP * cardGOP // they end at different times
			cameras[i] = c
			w, err := s.Create(c.name, headerAt(time.Now().Add(-time.Hour))) // a new stream has its directory made first
			if err == nil {
				err = w.Seal()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var recorders, others sync.WaitGroup
		others.Go(func() { _ = s.Run(ctx) })
		began := time.Now()
		for i, c := range cameras {
			recorders.Go(func() {
				// Fragments end at different times.
				time.Sleep(time.Duration(i) * cardGOP * cardFragments * frameInterval / cardCameras)
				recorders.Go(func() { c.shoot(seconds * 25) })
				if err := c.record(began); err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
			})
		}
		others.Go(func() {
			for ; ctx.Err() == nil; time.Sleep(followEvery) {
				for _, c := range cameras {
					c.follow()
				}
			}
		})
		recorders.Wait()
		longest, beat := s.SyncLag()
		cancel()
		others.Wait()
		var oldest time.Duration
		behind := 0
		for _, c := range cameras {
			oldest, behind = max(oldest, c.oldest), max(behind, c.behind)
			if c.lost > 0 {
				t.Errorf("%s: %d frames are lost", c.name, c.lost)
			}
			frames := 0
			for _, info := range s.Segments(c.name, time.Time{}, time.Time{}) {
				for _, f := range fragmentsOf(t, s, info.Key) {
					frames += f.Frames
				}
			}
			if frames != seconds*25 {
				t.Errorf("%s: %d frames are on the disk of %d", c.name, frames, seconds*25)
			}
		}
		t.Logf("%d cameras for %d s: a frame is durable after %s at most, a beat takes up to %s, %d frames waited",
			cardCameras, seconds, oldest, longest, behind)
		if most := beat + beat/2; oldest > most { // where segments of several cameras end in one beat, it takes longer than the earlier ones
			t.Errorf("a frame was %s old before it was durable: more than %s", oldest, most)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
