package main

import (
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// account is what the cloud has of a camera, by the counters that its frames carry.
type account struct {
	fragments int              // that were read
	seen      map[uint64]uint8 // how often each frame came
	unstamped int
}

// countMedia reads what came into the cloud since it was last called.
func (s *soak) countMedia() {
	for _, c := range s.cameras {
		if err := s.count(c); err != nil {
			s.found("what the cloud has of %s cannot be read: %v", c.stream, err)
		}
	}
}

func (s *soak) count(c *camera) error {
	a := &c.media
	if a.seen == nil {
		a.seen = make(map[uint64]uint8)
	}
	files := s.cloud.Media().Reader()
	defer files.Close()
	for _, f := range s.cloud.Media().Fragments(c.stream)[a.fragments:] {
		err := files.Blocks(f, func(e strictmkv.Event) bool {
			if e.Track.Type != strictmkv.TypeVideo {
				return true
			}
			if stamp, ok := stamps.OfAccessUnit(e.Data); ok {
				a.seen[stamp.Counter] = min(a.seen[stamp.Counter], 200) + 1
			} else {
				a.unstamped++
			}
			return true
		})
		if err != nil {
			return err
		}
		a.fragments++
	}
	return nil
}

// tally compares what a camera sent with what the cloud has.
type tally struct {
	Stream   string `json:"stream"`
	Sessions int    `json:"sessions"`
	Sent     int    `json:"sent"`
	InCloud  int    `json:"in_cloud"`
	Cut      int    `json:"cut"`     // missing, of the last moments of a session that was ended
	Deleted  int    `json:"deleted"` // missing, of sessions before the configuration was deleted last
	Missing  int    `json:"missing"` // others
	Lost     int64  `json:"lost"`    // as the agent reports it
	Repeated int    `json:"repeated"`
	Strange  int    `json:"strange"` // in the cloud, and never sent
	Faults   int    `json:"faults"`  // after which media may come twice
	Wrong    string `json:"wrong,omitempty"`
}

// A fault of the line or of the service may repeat what was in flight: two fragments.
const inFlight = 20 * time.Second

// cutMoment is how much of a session's end may be on the wire, or in a fragment that was not begun, when the session is cut.
const cutMoment = 2 * time.Second

// compare makes the tally of a camera.
func (s *soak) compare(c *camera) tally { return s.compareWith(c, c.Sessions()) }

// compareWith is compare with these sessions.
func (s *soak) compareWith(c *camera, sessions []fakecam.Session) tally {
	s.mu.Lock()
	t := tally{Stream: c.stream, Lost: s.last.lostOf[c.stream], Faults: s.faults[""] + s.faults[c.stream]}
	s.mu.Unlock()
	known := 0
	for _, session := range sessions {
		t.Sessions++
		if session.Frames == 0 {
			continue
		}
		missing := t.Missing
		known += c.media.add(&t, session, uint64(cutMoment.Seconds()*c.fps))
		if session.Began.Before(c.purged) {
			t.Deleted, t.Missing = t.Deleted+t.Missing-missing, missing
		}
	}
	t.InCloud = len(c.media.seen)
	t.Strange = t.InCloud - known + c.media.unstamped
	for _, n := range c.media.seen {
		t.Repeated += int(n) - 1
	}
	repeats := int(float64(t.Faults) * inFlight.Seconds() * c.fps)
	switch {
	case t.Strange > 0:
		t.Wrong = fmt.Sprintf("%d frames are in the cloud that were never sent", t.Strange)
	case t.Repeated > repeats:
		t.Wrong = fmt.Sprintf("%d frames came twice, more than %d", t.Repeated, repeats)
	case c.partly: // most of it is not uploaded
	case c.udp && t.Missing > int(t.Lost):
		t.Wrong = fmt.Sprintf("%d frames are missing, and %d were reported lost", t.Missing, t.Lost)
	case !c.udp && t.Missing > 0:
		t.Wrong = fmt.Sprintf("%d frames are missing", t.Missing)
	}
	return t
}

// add adds a session to the tally, and returns how many of its frames are in the cloud.
func (a *account) add(t *tally, session fakecam.Session, cut uint64) (known int) {
	last := session.First + uint64(session.Frames) - 1
	t.Sent += session.Frames
	for counter := session.First; counter <= session.Last; counter++ {
		switch {
		case a.seen[counter] > 0:
			known++
		case counter > last: // it was not sent completely
		case !session.Ended.IsZero() && counter+cut > last:
			t.Cut++
		default:
			t.Missing++
		}
	}
	return known
}
