package uploader

import (
	"context"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/refused"
)

// stateOnRequest is that of an upload that waits for requests.
const stateOnRequest = "on request"

// RunOnRequest uploads nothing by itself, until ctx ends: only Range and Refused do. What they sent and the service refused is sent
// again as by Run. It returns nil.
func (u *Uploader) RunOnRequest(ctx context.Context) error {
	again := time.NewTicker(refused.LookEvery)
	defer again.Stop()
	var since time.Time // of segments that may be complete by now; zero: all
	for u.lock.lock(ctx) == nil {
		since = u.settleSince(since)
		if !u.sendRefused(ctx) {
			break
		}
		u.rested()
		u.lock.unlock()
		select {
		case <-ctx.Done():
		case <-u.lock.ended.C():
			since = time.Time{}
		case <-again.C:
		}
	}
	u.report.pause(stateStopped)
	return nil
}

// settleSince moves to uploaded the segments recorded since then of which all is in the cloud, but which were being recorded when it
// was sent, or which an upload left behind that was broken off: no later upload comes by them. It returns since when segments may
// follow.
func (u *Uploader) settleSince(since time.Time) time.Time {
	next := u.o.Store.LastRecorded(u.o.Stream)
	for _, s := range u.o.Store.Segments(u.o.Stream, since, time.Time{}) {
		switch {
		case s.State == segment.Writing:
			next = earlier(next, s.RecordedFrom)
		case s.State == segment.Sealed && s.PendingBytes == 0:
			if err := u.o.Store.MarkUploaded(s.Key); err != nil {
				next = earlier(next, s.RecordedFrom) // it is tried again
			}
		}
	}
	return next
}

// earlier returns the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// sendRefused sends refused fragments again that are due, one after the other, each alone. Where the line's cap does not allow it,
// that waits for a request. It reports false when the lock was lost, as ctx has ended.
func (u *Uploader) sendRefused(ctx context.Context) bool {
	held := true
	for held && ctx.Err() == nil && !u.lock.requested() {
		f, ok := u.refused.RequeueDue()
		if !ok {
			break
		}
		u.poison.Add(f)
		only := f.ID()
		_ = u.upload(ctx, mode{
			drain: true, onDemand: true, from: f.Began(), to: f.Began().Add(time.Millisecond),
			without: func(id queue.ID) bool { return id != only },
			stepAside: func() bool {
				u.lock.unlock()
				held = u.lock.lock(ctx) == nil
				return held
			},
		}) // it is pending then, as everything else
	}
	return held
}

// rested reports that no upload is under way: what is on the disk is not to be uploaded, so no problem with it is left.
func (u *Uploader) rested() {
	u.poison.Prune(u.queue.Pends)
	u.report.stuck(nil)
	u.report.noneLeft()
	if u.queue.Restart(); u.queue.Readable() {
		u.progress.readable()
	}
	u.report.pause(stateOnRequest)
}
