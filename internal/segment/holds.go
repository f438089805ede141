package segment

import (
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/holding"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// newHolds returns the book of holds. most is Options.HoldMost.
func (s *Store) newHolds(most func(uint64) int64) *holding.Book {
	if most == nil {
		most = hold.Max{}.Of
	}
	return holding.New(holding.Options{
		Lock: &s.mu, Streams: func() map[string]*streams.Stream { return s.streams }, Usable: s.usable, Present: s.streamPresent,
		Prepare: func() error { return s.volume.NeedFormat(layout.FormatHolds) },
		Disk: func(st *streams.Stream) uint64 {
			if s.onDisk(st) {
				return 0
			}
			return st.Device
		},
		Total: func(dir string) (uint64, error) {
			_, total, err := volume.FreeSpace(dir)
			return total, err
		},
		Most: most, Log: s.log, Health: s.health,
	})
}

// usable fails when the store, or a stream of it, cannot be written to. Call with mu held.
func (s *Store) usable(stream string) error {
	if s.closed || s.readOnly {
		return fmt.Errorf("the store of stream %s is %w", stream, ErrClosed)
	}
	return s.volume.Unread.Of(stream)
}

// Holding returns the holds of the store's streams: what they hold, Delete and DeleteStream leave.
func (s *Store) Holding() *holding.Book { return s.holds }

// ExpireHolds ends the holds whose time is over, by a clock that can be trusted.
func (s *Store) ExpireHolds(now time.Time) { s.holds.Expire(now) }
