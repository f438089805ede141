package repair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// ErrLater means that a repair that failed is not tried again yet.
var ErrLater = errors.New("the file waits to be repaired again")

// A repair that takes long and fails is tried again after triesPause times its duration, so that a failing disk is not kept busy with it,
// and has time for other files.
const (
	triesPause = 10
	triesSlow  = 100 * time.Millisecond
)

// failure is of a try to repair a segment.
type failure struct {
	err   error
	after time.Time // when it may be tried again
}

// Try has a segment repaired. While a pause after a try that failed is not over it does nothing, and fails with ErrLater and with the error
// of that try, which is still what is wrong. What ends by its context did not fail.
func (d *Doubts) Try(k layout.ID, repair func() error) error {
	d.mu.Lock()
	last := d.failed[k]
	d.mu.Unlock()
	began := time.Now()
	if began.Before(last.after) {
		return fmt.Errorf("%w: %w", ErrLater, last.err)
	}
	err := repair()
	d.mu.Lock()
	defer d.mu.Unlock()
	took := time.Since(began)
	switch {
	case err == nil:
		delete(d.failed, k)
	case errors.Is(err, context.Canceled):
	case took > triesSlow:
		d.failed[k] = failure{err, time.Now().Add(triesPause * took)}
	default:
		d.failed[k] = failure{err: err}
	}
	return err
}
