package segment

import (
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
)

// What shares the space of the recording directory is of the same disk, for the account as for the guard.
func TestWhatSharesTheSpaceIsOfTheSameDisk(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, Options{Dir: t.TempDir()})
	for _, shared := range []bool{true, false} {
		k := addSegment(t, s, "door", begin, 2)
		s.mu.Lock()
		s.streams["door"].Device++ // a subvolume's
		s.streams["door"].Shared = shared
		s.mu.Unlock()
		before := s.Deleted()
		if got := s.SameDisk("door"); got != shared {
			t.Errorf("the same disk: %t, want %t", got, shared)
		}
		s.mu.Lock()
		s.book(s.streams["door"], catalog.Entry{ID: k.ID(), Bytes: 5}, "none.garbage")
		s.streams["door"].Device--
		s.mu.Unlock()
		if booked := s.Deleted() > before; booked != shared {
			t.Errorf("booked: %t, want %t", booked, shared)
		}
		if err := s.DeleteStream(t.Context(), "door"); err != nil {
			t.Fatal(err)
		}
	}
}
