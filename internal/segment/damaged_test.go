package segment

import (
	"errors"
	"os"
	"testing"
	"time"
)

// What cannot be read of a sealed segment is not in the cloud: the segment is never treated as completely uploaded, and is
// kept, also over a start.
func TestASegmentOfWhichAPartCannotBeReadIsNotUploadedWhole(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage func(t *testing.T, f *os.File, offset, size int64) // of the second of three fragments
		want   [][2]time.Duration
	}{
		"none": {func(*testing.T, *os.File, int64, int64) {}, nil},
		"a lost page in the second fragment": {func(t *testing.T, f *os.File, offset, size int64) {
			if _, err := f.WriteAt(make([]byte, size), offset); err != nil {
				t.Fatal(err)
			}
		}, [][2]time.Duration{{961 * time.Millisecond, 1999 * time.Millisecond}}},
		"a file that was cut": {func(t *testing.T, f *os.File, offset, _ int64) {
			if err := f.Truncate(offset); err != nil {
				t.Fatal(err)
			}
		}, [][2]time.Duration{{961 * time.Millisecond, 2960 * time.Millisecond}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, dir)
			w, err := s.Create("door", headerAt(begin))
			if err != nil {
				t.Fatal(err)
			}
			writeFragments(t, w, 0, 3)
			list, _ := w.shown.Completed()
			if err := w.Seal(); err != nil {
				t.Fatal(err)
			}
			k := w.Key()
			f, err := os.OpenFile(s.Path(k), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			c.damage(t, f, list[1].Offset, list[1].Size)
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			for _, fragment := range list {
				if err := s.MarkPersisted(k, fragment); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.MarkUploaded(k); errors.Is(err, ErrDamaged) != (c.want != nil) || c.want == nil && err != nil {
				t.Fatalf("marked: %v", err)
			}
			for range 2 {
				if got := s.infoOf(k); got.State != Uploaded || got.Refused != (c.want != nil) || got.RefusedFragments != len(c.want) {
					t.Errorf("%+v", got)
				}
				var spans [][2]time.Duration
				for _, r := range s.Refused("door") {
					spans = append(spans, [2]time.Duration{r.Fragment.Start, r.Fragment.Last})
				}
				if len(spans) != len(c.want) || len(spans) > 0 && spans[0] != c.want[0] {
					t.Errorf("refused are %v, want %v", spans, c.want)
				}
				s = reopen(t, s, dir)
			}
		})
	}
}
