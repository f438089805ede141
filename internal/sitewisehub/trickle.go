package sitewisehub

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise/request"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise/trickle"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

// openTrickle opens the marks of the fragments that kept streams warm, which count whether or not that is still done.
func (h *Hub) openTrickle() {
	component := h.o.Health.Component("", health.JobSiteWise)
	marks, err := trickle.Open(h.o.State.Path(), atomicfile.OS{}, time.Now)
	if err != nil {
		h.o.Log.Debug("the journal of what keeps streams warm is set aside", zap.Error(err)) // its fragments become rows, which are true
	}
	h.marks = marks
	h.trickle = trickle.New(trickle.Options{
		Streams: func() (names []string) {
			for _, c := range h.source.Cameras() {
				names = append(names, c.Stream)
			}
			return names
		},
		Newest: h.newest, Trusted: h.o.WriteBack.Trusted, Marks: marks, Now: time.Now, Health: component, Log: h.o.Log,
		Busy: func(stream string) bool {
			return slices.ContainsFunc(h.requests.List(), func(r request.Request) bool { return r.Stream == stream && r.Status == request.Running })
		},
	})
}

// Asked notes that somebody asks for what was recorded of a stream from (inclusive) to (exclusive), however that is asked. h may be nil.
func (h *Hub) Asked(stream string, from, to time.Time) {
	if h == nil {
		return
	}
	if err := h.marks.Lift(stream, from, to); err != nil {
		h.o.Log.Debug("the journal of what keeps streams warm is not written", zap.Error(err)) // it is written again with the next mark
	}
}

// newest returns the newest complete fragment of a stream that was recorded since a time, if it is to be sent still.
func (h *Hub) newest(stream string, since time.Time) (found trickle.Fragment, ok bool) {
	store := h.o.Store
	var last queue.Fragment
	for _, info := range store.Segments(stream, since, time.Time{}) {
		list, err := uploader.Fragments(store, info.Key)
		if err != nil || len(list) == 0 {
			continue // deleted meanwhile, or nothing is complete
		}
		if f := list[len(list)-1]; !ok || f.Ended().After(last.Ended()) {
			last, ok = f, true
		}
	}
	if !ok || store.Done(last.Key, last.Stored.Start) {
		return found, false
	}
	mark := trickle.Mark{At: last.At(), End: last.End(), Shift: last.Began().UnixMilli() - last.At()}
	return trickle.Fragment{Mark: mark, Send: func(ctx context.Context, mark func() error) error {
		return h.o.On(ctx, stream, func(ctx context.Context, u *uploader.Uploader) error {
			if !u.Rests() {
				return trickle.ErrBusy
			}
			if err := mark(); err != nil {
				return err
			}
			err := u.Spare(ctx, last)
			if errors.Is(err, uploader.ErrMadeWay) || errors.Is(err, context.Canceled) { // also where the stream's upload ends
				return trickle.ErrBusy
			}
			return err
		})
	}}, true
}
