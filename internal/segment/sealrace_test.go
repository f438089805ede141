package segment

import (
	"errors"
	"sync"
	"testing"
	"time"
)

// TestSealingAndMarkingUploadedDoNotCollide has an uploader that is done with all fragments in the
// instant in which the recorder seals their segment: one of the two renames must not take the file
// away from the other.
func TestSealingAndMarkingUploadedDoNotCollide(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for i := range 200 {
		w, err := s.Create("door", headerAt(begin.Add(time.Duration(i)*time.Minute)))
		if err != nil {
			t.Fatal(err)
		}
		writeFragments(t, w, 0, 1)
		persistAll(t, s, w.Key())
		var uploader sync.WaitGroup
		uploader.Go(func() {
			for {
				if err := s.MarkUploaded(w.Key()); !errors.Is(err, ErrIncomplete) {
					if err != nil {
						t.Errorf("segment %d cannot be marked as uploaded: %v", i, err)
					}
					return
				}
			}
		})
		if err := w.Seal(); err != nil {
			t.Fatalf("segment %d cannot be sealed: %v", i, err)
		}
		uploader.Wait()
	}
	for _, info := range s.Segments("door", time.Time{}, time.Time{}) {
		if info.State != Uploaded {
			t.Errorf("segment %v is %v", info.StartTime(), info.State)
		}
	}
}
