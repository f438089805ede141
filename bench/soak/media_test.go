package main

import (
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_700_000_000, 0)
	// A session that was ended after 100 frames of 10 a second, and one that lasts.
	sessions := []fakecam.Session{
		{First: 1, Last: 101, Frames: 100, Began: began, Ended: began.Add(10 * time.Second)},
		{First: 1<<32 + 1, Last: 1<<32 + 50, Frames: 50, Began: began.Add(20 * time.Second)},
	}
	for name, c := range map[string]struct {
		change func(seen map[uint64]uint8, c *camera)
		lost   int64 // that the agent reports
		faults int
		wrong  string
		want   tally
	}{
		"all": {want: tally{InCloud: 150}},
		"cut at the end": {change: func(seen map[uint64]uint8, _ *camera) { delete(seen, 100); delete(seen, 81) },
			want: tally{InCloud: 148, Cut: 2}},
		"missing before": {change: func(seen map[uint64]uint8, _ *camera) { delete(seen, 80) },
			wrong: "1 frames are missing", want: tally{InCloud: 149, Missing: 1}},
		"missing of the last": {change: func(seen map[uint64]uint8, _ *camera) { delete(seen, 1<<32+50) },
			wrong: "1 frames are missing", want: tally{InCloud: 149, Missing: 1}},
		"lost by a network": {change: func(seen map[uint64]uint8, c *camera) { delete(seen, 8); c.udp = true },
			lost: 1,
			want: tally{InCloud: 149, Missing: 1, Lost: 1}},
		"lost in silence": {change: func(seen map[uint64]uint8, c *camera) { delete(seen, 8); c.udp = true },
			wrong: "1 frames are missing, and 0 were reported lost", want: tally{InCloud: 149, Missing: 1}},
		"lost, but not by a network": {change: func(seen map[uint64]uint8, _ *camera) { delete(seen, 8) },
			lost:  1,
			wrong: "1 frames are missing", want: tally{InCloud: 149, Missing: 1, Lost: 1}},
		"deleted with the configuration": {change: func(seen map[uint64]uint8, c *camera) { delete(seen, 8); c.purged = began.Add(time.Second) },
			want: tally{InCloud: 149, Deleted: 1}},
		"twice": {change: func(seen map[uint64]uint8, _ *camera) { seen[7] = 2 },
			wrong: "1 frames came twice", want: tally{InCloud: 150, Repeated: 1}},
		"twice after a fault": {change: func(seen map[uint64]uint8, _ *camera) { seen[7] = 2 },
			faults: 1, want: tally{InCloud: 150, Repeated: 1, Faults: 1}},
		"never sent": {change: func(seen map[uint64]uint8, _ *camera) { seen[999] = 1 },
			wrong: "1 frames are in the cloud", want: tally{InCloud: 151, Strange: 1}},
		"on request": {change: func(seen map[uint64]uint8, c *camera) { clear(seen); c.partly = true },
			want: tally{Cut: 20, Missing: 130}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := &camera{stream: "door", fps: 10, media: account{seen: map[uint64]uint8{}}}
			for _, session := range sessions {
				for i := range session.Frames {
					one.media.seen[session.First+uint64(i)] = 1
				}
			}
			if c.change != nil {
				c.change(one.media.seen, one)
			}
			s := &soak{faults: map[string]int{"door": c.faults}}
			s.last.lostOf = map[string]int64{"door": c.lost}
			got := s.compareWith(one, sessions)
			if (got.Wrong == "") != (c.wrong == "") || !strings.HasPrefix(got.Wrong, c.wrong) {
				t.Errorf("it says %q, want %q", got.Wrong, c.wrong)
			}
			c.want.Stream, c.want.Sessions, c.want.Sent, got.Wrong = "door", 2, 150, ""
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
