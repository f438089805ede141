package segment

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// Abandon ends a segment that Seal cannot be trusted with, as the recorder panicked: what is in the file is finished as
// after a crash, and frames still in memory are lost. It does nothing to a segment that is no longer being written.
func (w *Writer) Abandon() error {
	w.mu.Lock()
	done := w.shown.Finished()
	w.sealing = true
	w.mu.Unlock()
	if done {
		return nil
	}
	err := w.file.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	return volume.Fault(w.stream.Dir, w.abandonFile(err))
}

// abandonFile leaves a file that could not be finished to be repaired as after a crash.
func (w *Writer) abandonFile(why error) error {
	w.detach()
	w.repairSmall()
	return why
}

// rewrite writes again a file whose sync failed. It returns nil when the file is intact and synced afterwards.
func (w *Writer) rewrite(why error) error {
	w.detach()
	w.repairSmall()
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if slices.Contains(w.stream.Catalog.Broken, w.key.ID()) {
		return why
	}
	return nil
}

// maxRepairAtOnce is the size up to which a file is repaired while its camera waits.
const maxRepairAtOnce = 16 << 20

// repairSmall repairs the file of this segment, if that takes no time to speak of: its camera waits, and may have a next segment on a disk
// that is well again. Otherwise, and when it fails, Run does it; and it does all that others left.
func (w *Writer) repairSmall() {
	if w.mkv.Size() <= maxRepairAtOnce {
		_, _ = w.store.repair(context.Background(), func(st *streams.Stream, k layout.ID) bool { return st == w.stream && k == w.key.ID() })
	}
}

// detach leaves the file to who repairs it.
func (w *Writer) detach() {
	s, st := w.store, w.stream
	if w.InDoubt() {
		st.Doubts.Add(w.key.ID())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := st.Catalog.Find(w.key.ID()); ok {
		st.Catalog.Detach(i)
	}
	w.finishWriting()
}
