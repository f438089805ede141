package segment

import (
	"errors"
	"os"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// Abandon is for a segment that Seal cannot be trusted with, as something panicked: what is in the
// file is finished as after a crash. What is only gathered is lost. It does nothing to a segment
// that is no longer being written.
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

// abandonFile leaves a file that could not be finished: it is repaired as after a crash.
func (w *Writer) abandonFile(why error) error {
	w.detach()
	_ = w.store.repairBroken() // Run tries again
	return why
}

// maxRewriteAtOnce is the size up to which a file is written again while its camera waits.
const maxRewriteAtOnce = 16 << 20

// rewrite leaves a file in doubt. It is no error when it is sound and durable afterwards.
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
