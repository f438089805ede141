package segment

import (
	"errors"
	"os"
	"slices"

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

// abandonFile leaves a file that could not be finished to repairBroken, which repairs it as after a crash.
func (w *Writer) abandonFile(why error) error {
	w.detach()
	_ = w.store.repairBroken() // Run tries again
	return why
}

// maxRewriteAtOnce is the size up to which a file is written again while its camera waits.
const maxRewriteAtOnce = 16 << 20

// rewrite writes again a file whose sync failed. It returns nil when the file is intact and synced afterwards.
func (w *Writer) rewrite(why error) error {
	w.detach()
	if w.mkv.Size() > maxRewriteAtOnce {
		return why // Run does it
	}
	_ = w.store.repairBroken()
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if slices.Contains(w.stream.Catalog.Broken, w.key.ID()) {
		return why
	}
	return nil
}

// detach leaves the file to repairBroken.
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
