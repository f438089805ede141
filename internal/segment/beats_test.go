package segment

import (
	"errors"
	"os"
	"time"
)

// sync makes a segment durable by itself, as a beat does it where the disk has other data, too.
func (w *Writer) sync(time.Duration) error {
	f, _, due, err := w.Due()
	if err != nil || !due {
		return err
	}
	if err = f.Sync(); errors.Is(err, os.ErrClosed) {
		return nil
	}
	return w.Synced(err)
}
