package segment

import (
	"testing"
)

// An upload looks for fragments whenever something changed, by reading. The end of a reader is not a change: the upload would look
// again at once, and for ever, while a segment is open and has nothing for it.
func TestReadingWakesNobody(t *testing.T) {
	t.Parallel()
	s, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	w, err := s.Create("door", headerAt(begin))
	if err != nil {
		t.Fatal(err)
	}
	changes, stop := s.Changes("door")
	defer stop()
	r, err := s.OpenSegment(w.Key())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changes:
		t.Error("a reader that ended looks like a change")
	default:
	}
	if err := w.Abandon(); err != nil {
		t.Fatal(err)
	}
}
