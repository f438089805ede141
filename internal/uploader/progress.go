package uploader

import (
	"errors"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/refused"
)

// progress saves that fragments and segments are done, and reports failures of the disk.
type progress struct {
	stream  string
	store   store
	queue   *queue.Queue
	refused *refused.List
	report  *report
	unsaved bool // the last write of a fragment's state failed
}

// saved is called with the result of saving that a fragment is done. For a deleted fragment there is nothing to save.
func (p *progress) saved(err error) {
	p.unsaved = err != nil && !errors.Is(err, segment.ErrNotFound)
	if p.unsaved {
		p.report.unreadable(err)
	}
}

// settle moves to uploaded the segments of which every fragment is done and none is in flight.
func (p *progress) settle(f *flight) {
	damaged, err := p.queue.Settle(f.has)
	for _, key := range damaged {
		p.report.damaged(key)
	}
	switch {
	case err != nil:
		p.report.unreadable(err)
	case p.queue.Readable():
		p.readable()
	}
}

// readable ends the condition about the disk, unless progress still waits for it, or refused fragments still cannot be queued.
func (p *progress) readable() {
	if (!p.unsaved || !p.store.NotesPending(p.stream)) && !p.refused.DiskFails() {
		p.report.readable()
	}
}
