package segment

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

func TestWhatOthersHoldOpenIsKnown(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	w := beginSegment(t, s, 0)
	if err := w.BeginFragment(0, true); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFrame(1, 0, true, [][]byte{make([]byte, 1000)}); err != nil {
		t.Fatal(err)
	}
	ask := func(what string, wantHeld, wantKnown bool) {
		t.Helper()
		if held, known := s.Held(w.Key()); held != wantHeld || known != wantKnown {
			t.Errorf("%s: held %v, known %v; want %v, %v", what, held, known, wantHeld, wantKnown)
		}
	}
	ask("being written", false, false)
	seal(t, w)
	ask("nobody reads it", false, true)
	names, err := filepath.Glob(filepath.Join(s.dir, "door", "*.mkv"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	other, err := os.Open(names[0]) // a descriptor that is not the store's, as another process has it
	if err != nil {
		t.Fatal(err)
	}
	ask("open elsewhere", true, true)
	r, err := s.OpenSegment(w.Key())
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	ask("open here only", false, false)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	ask("closed", false, true)
	link := filepath.Join(t.TempDir(), "snapshot.mkv")
	if err := os.Link(names[0], link); err != nil {
		t.Skip("no hard links here: ", err)
	}
	ask("another name", true, true)
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	ask("the other name is gone", false, true)
	if err := s.Delete(w.Key()); err != nil {
		t.Fatal(err)
	}
	ask("gone", false, false)
}

// A process that opens the file during the check does not wait.
func TestAskingWhoHoldsAFileHoldsUpNobody(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 300 {
			volume.Held(path)
		}
	}()
	for asking := true; asking; {
		watch := testtools.Stopwatch(t)
		f, err := os.Open(path)
		if err != nil {
			t.Error(err)
			break
		}
		if took := watch(); took > 10*time.Second {
			t.Errorf("opening took %s", took)
		}
		_ = f.Close()
		select {
		case <-done:
			asking = false
		default:
		}
	}
	<-done
}
