package streams

import (
	"context"
	"errors"
	"io/fs"
	"sync"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/progress"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// mostRereadings is how often a side file is tried again, with pauses that double: 8 minutes at 2 s a beat. A disk that is reset has
// answered by then; a sector that is gone never will.
const mostRereadings = 7

// unread are segments of which it is not known what is uploaded, or refused, as their side files could not be read. They are not
// uploaded meanwhile: all of them would be sent twice.
type unread map[layout.ID]*rereading

type rereading struct {
	why   error
	tries int
	pause int // beats until the next try
}

// failed notes a try that failed, and reports whether it was the last one.
func (r *rereading) failed(why error) (last bool) {
	r.why, r.pause = why, 1<<r.tries
	r.tries++
	return r.tries > mostRereadings
}

// LoadNotes reads which fragments of a segment are uploaded. A side file that cannot be read is left to ReadNotes, which nobody calls
// with readOnly.
func (st *Stream) LoadNotes(k layout.ID, readOnly bool, log *zap.Logger) {
	p, refused, err := progress.Load(st.Files, st.Dir, k, readOnly)
	switch {
	case err == nil:
		st.note(k, p, refused)
	case readOnly:
		logevent.ProgressUnreadable.Log(log, zap.String("stream", st.Name), zap.Error(err))
	default:
		st.unreadable(k, err)
	}
}

func (st *Stream) unreadable(k layout.ID, err error) {
	r := new(rereading)
	r.failed(volume.Fault(st.Dir, err))
	st.unread[k] = r
}

// note takes what a side file says: of a finished segment, what is refused.
func (st *Stream) note(k layout.ID, p *progress.Progress, refused []progress.Refusal) {
	if !st.uploaded(k) {
		st.Use(k).Progress = p
	}
	for _, one := range refused {
		st.Refused.Add(k, one)
	}
}

func (st *Stream) uploaded(k layout.ID) bool {
	i, ok := st.Catalog.Find(k)
	return ok && st.Catalog.Entries[i].State == layout.Uploaded
}

// Noted reports whether it is known which fragments of a segment are uploaded.
func (st *Stream) Noted(k layout.ID) bool { return st.unread[k] == nil }

// ReadNotes tries again to read side files that could not be read, once a beat, and returns why some still cannot. One that never can
// counts as empty, unless present says that the stream's disk is gone: then nothing is known. owner is the lock of the stream's owner,
// which is not held.
func (st *Stream) ReadNotes(ctx context.Context, owner sync.Locker, present func() error, log *zap.Logger) (failed error) {
	owner.Lock()
	var due []layout.ID
	for k, r := range st.unread {
		if r.pause--; r.pause <= 0 {
			due = append(due, k)
		}
	}
	dir := st.Dir
	owner.Unlock()
	for _, k := range due {
		if ctx.Err() != nil {
			break
		}
		p, refused, err := progress.Load(st.Files, dir, k, false)
		if err != nil && present() != nil {
			break
		}
		owner.Lock()
		st.reread(k, p, refused, volume.Fault(dir, err), log)
		owner.Unlock()
	}
	owner.Lock()
	defer owner.Unlock()
	for _, r := range st.unread {
		failed = errors.Join(failed, r.why)
	}
	return failed
}

// reread takes what a side file says, or why it cannot be read.
func (st *Stream) reread(k layout.ID, p *progress.Progress, refused []progress.Refusal, err error, log *zap.Logger) {
	r := st.unread[k]
	switch {
	case r == nil: // the segment was deleted meanwhile
		return
	case err == nil:
		st.note(k, p, refused)
	case errors.Is(err, fs.ErrNotExist):
	case r.failed(err):
		lost := logevent.ProgressUnreadable
		if st.uploaded(k) {
			lost = logevent.RefusedUnreadable
		}
		lost.Log(log, zap.String("stream", st.Name), zap.Error(err))
	default:
		return
	}
	delete(st.unread, k)
	st.Watchers.Notify()
}

// LoadRefused reads which fragments of a finished segment are refused. A fragment that an earlier version refused for a
// broken connection, or that was to be tried again, makes the segment pending again. i is the segment's index in the catalog. A side
// file that cannot be read is left to ReadNotes, after which the next start makes the segment pending.
func (st *Stream) LoadRefused(i int, readOnly bool, log *zap.Logger) {
	e := st.Catalog.Entries[i]
	p, list, err := progress.Load(st.Files, st.Dir, e.ID, readOnly)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil && readOnly:
		logevent.RefusedUnreadable.Log(log, zap.String("stream", st.Name), zap.Error(err))
		return
	case err != nil:
		st.unreadable(e.ID, err)
		return
	}
	for _, one := range list {
		st.Refused.Add(e.ID, one)
	}
	if !p.Requeued() || readOnly {
		return
	}
	after := e
	after.State, after.Refused = layout.Sealed, false
	if err := st.Rename(e.Name(), after.Name()); err != nil {
		logevent.SegmentNotRequeued.Log(log, zap.String("stream", st.Name), zap.Error(err)) // the next start tries again
		return
	}
	st.Catalog.Replace(i, after)
	st.Use(e.ID).Progress = p
}
