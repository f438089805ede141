package streams

import (
	"errors"
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Limit bounds how much of the disk a stream's segments use. The segment that is being written is counted with its size once
// it is finished, so that the limit is kept at any moment.
type Limit struct {
	// Bytes is the limit. 0: none.
	Bytes int64
	// Ahead is how much of it should be free for the segment that is being written.
	Ahead int64
	// Deny has no segment begin while less than Ahead is free.
	Deny bool
	// Low is called while less than Ahead is free, from the goroutine that writes: it must not wait, nor call the store.
	Low func()
	// Full is the reason that is reported when a frame is not written as there is no room. Required with Bytes.
	Full *health.Fault
}

// ErrPaused means that the stream accepts no new media now; it wraps the reason, a *health.Fault.
var ErrPaused = errors.New("recording is paused")

// limitState is a stream's limit, and whether it is applied.
type limitState struct {
	Limit
	// armed is false while a limit that was lowered waits for a deletion. A frame that exceeds it is then written, as
	// otherwise a change of the limit would lose media.
	armed bool
	shut  bool // a frame was not written: no segment begins before Ahead is free again
}

// limitSteps is how often Low is called while Ahead is used up.
const limitSteps = 8

// maxSlack is what is left for audio and the end of a file where a video frame has no room.
const maxSlack = 64 << 10

// slack is part of Ahead.
func (b *limitState) slack() int64 { return min(maxSlack, b.Ahead/limitSteps) }

// SetLimit limits the stream. A limit below the present use applies once enough is deleted.
func (st *Stream) SetLimit(l Limit) {
	before := st.limit
	st.limit = limitState{Limit: l, shut: before.shut}
	switch free := st.Room() - st.taken(); {
	case before.Bytes == 0:
		st.limit.armed = free >= 0
	default:
		st.limit.armed = free >= l.Ahead || before.armed && l.Bytes >= before.Bytes
	}
	st.Recheck()
}

// Counted returns how much of the quarantined bytes counts for a limit: at most three quarters of it, so that recording
// continues when a quarantined file is larger than the limit.
func (l Limit) Counted(quarantined int64) int64 { return min(quarantined, l.Bytes/4*3) }

// sideFiles is the share of a limit that is left for the side files with the upload progress: 1/sideFiles.
const sideFiles = 1000

// room returns what the limit leaves for segments and quarantined files.
func (l Limit) room() int64 { return l.Bytes - l.Bytes/sideFiles }

// Most returns how much segments and quarantined files may use while Ahead is free. Deletions for the limit end there, too: a
// stream of which nothing more is deleted, and that still waits for Ahead, would wait for ever.
func (l Limit) Most() int64 { return l.room() - l.Ahead }

// Room returns what the limit leaves for segments.
func (st *Stream) Room() int64 { return st.limit.room() - st.limit.Counted(st.QuarantinedBytes) }

// taken returns how much of its limit a stream's segments use, or will use when the one being written is finished. Held ones do not
// count.
func (st *Stream) taken() int64 {
	growing, held := st.growing()
	return st.Catalog.Bytes - st.Catalog.HeldBytes + growing - held + st.freeing
}

// growing returns the bytes of the segment that is being written that the index does not count yet, and how many of them are held.
func (st *Stream) growing() (bytes, held int64) {
	for k, a := range st.Active {
		if i, ok := st.Catalog.Find(k); ok && a.Recording != nil {
			e := st.Catalog.Entries[i]
			more := max(0, a.Recording.final.Load()-e.Bytes)
			if bytes += more; e.Held {
				held += more
			}
		}
	}
	return bytes, held
}

// Recheck makes the writers check the limit again.
func (st *Stream) Recheck() {
	for _, a := range st.Active {
		if a.Recording != nil {
			a.Recording.allowed.Store(0)
		}
	}
}

// full returns the error of a stream that has no room.
func (b *limitState) full() error { return fmt.Errorf("%w: %w", ErrPaused, b.Full) }

// Admit fails with ErrPaused when no segment may begin: recording is paused, the stream is being deleted, or there is
// no room.
func (st *Stream) Admit() error {
	if st.Paused != nil {
		return fmt.Errorf("%w: %w", ErrPaused, st.Paused)
	}
	if st.Deleting {
		return fmt.Errorf("%w: %w", ErrPaused, health.SystemFault("deleting", nil, "The media of this stream is being deleted."))
	}
	b := &st.limit
	if b.Bytes == 0 {
		return nil
	}
	free := st.Room() - st.taken()
	if free >= b.Ahead {
		b.armed, b.shut = true, false
		return nil
	}
	b.low()
	if b.shut || b.Deny || b.armed && free < 2*b.slack() {
		return b.full()
	}
	return nil
}

func (b *limitState) low() {
	if b.Low != nil {
		b.Low()
	}
}

// Allow makes sure that the file of a segment that is being written may have that many bytes once it is finished. Video
// leaves the slack free.
func (st *Stream) Allow(k layout.ID, r *Recording, final int64, video bool) error {
	b := &st.limit
	i, ok := st.Catalog.Find(k)
	if b.Bytes == 0 || !ok || st.Catalog.Entries[i].Held {
		r.allowed.Store(1 << 62) // until Recheck
		return nil
	}
	most := st.Room() - (st.Catalog.Bytes - st.Catalog.HeldBytes - st.Catalog.Entries[i].Bytes) - st.freeing // of this file
	slack := int64(0)
	if video {
		slack = b.slack()
	}
	switch free := most - final; {
	case free >= b.Ahead:
		b.armed = true
		r.allowed.Store(most - b.Ahead)
		return nil
	case b.armed && free < slack:
		b.shut = true
		b.low()
		return b.full()
	case b.armed:
		r.allowed.Store(min(most-b.slack(), final+b.Ahead/limitSteps))
	default:
		r.allowed.Store(final + b.Ahead/limitSteps)
	}
	b.low()
	return nil
}
