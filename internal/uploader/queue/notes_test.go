package queue

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// forgetful is a disk that does not say which fragments of its segment are uploaded.
type forgetful struct {
	*readOnly
	unread bool
}

func (s *forgetful) NotesUnread(segment.Key) bool { return s.unread }

// TestASegmentWhoseNotesAreUnread is not sent, as it may be in the cloud, is tried again as one that cannot be read, and counts as that for
// an upload that ends when nothing is pending. It is sent as soon as the notes are read, without the end of its pause.
func TestASegmentWhoseNotesAreUnread(t *testing.T) {
	t.Parallel()
	for name, tries := range map[string]int{"for a moment": 1, "for long": 8} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk, now := &forgetful{oneDone(t), true}, time.Unix(1_795_000_100, 0)
			disk.mends = true
			var reported error
			q := New(Options{
				Stream: "door", Store: disk, Isolation: apart{}, Audio: func() Audio { return AudioPlayable },
				Longest: func() time.Duration { return 0 }, Unreadable: func(err error) { reported = err }, Now: func() time.Time { return now },
			})
			defer q.Release()
			for try := range tries {
				q.Restart()
				if f, ok := q.Peek(); ok || !errors.Is(reported, syscall.EIO) || q.Readable() {
					t.Errorf("try %d: %v pends: %v; reported is %v", try, f.ID(), ok, reported)
				}
				at, ok := q.NextRetry(UnreadableFor)
				if want := min(time.Second<<try, UnreadableFor); !ok || at.Sub(now) != want {
					t.Errorf("try %d: it is tried again after %v, want %v", try, at.Sub(now), want)
				}
				if damaged, err := q.Settle(func(segment.Key) bool { return false }); len(damaged) > 0 || err != nil || disk.asked > 0 {
					t.Errorf("try %d: it is moved: %v, %v", try, damaged, err)
				}
				if now, reported = at, nil; try == tries-1 {
					break
				}
			}
			if q.Retry(func() bool { return false }); q.Readable() || disk.asked > 0 {
				t.Error("between uploads it counts as read")
			}
			disk.unread = false
			q.Restart()
			if f, ok := q.Peek(); ok || reported != nil || !q.Readable() {
				t.Errorf("once the notes are read %v pends: %v; reported is %v", f.ID(), ok, reported)
			}
			if _, err := q.Settle(func(segment.Key) bool { return false }); err != nil || disk.asked != 1 {
				t.Errorf("it is moved %d times: %v", disk.asked, err)
			}
		})
	}
}
