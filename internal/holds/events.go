package holds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/event"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

const (
	// maxRefused bounds of how many holds it is known why they were refused.
	maxRefused = 10_000
	// maxShownID bounds the event's id in that of its hold, in bytes: with the rest it has at most the 64 of a hold.
	maxShownID = 45
	// sumBytes of a checksum make the hold's ID one of the event and the stream.
	sumBytes = 6
)

// ofEvent is the hold of an event on a stream.
func ofEvent(e *event.Event, stream, by string) hold.Hold {
	sum := sha256.Sum256([]byte(e.ID + "\x00" + stream))
	h := hold.Hold{
		ID:     "event:" + e.ID[:min(len(e.ID), maxShownID)] + ":" + hex.EncodeToString(sum[:sumBytes]),
		Stream: stream, From: e.From, To: e.To, Reason: "event " + e.ID, Source: by, Until: e.To.Add(e.Hold),
	}
	if e.Reason != "" {
		h.Reason += ": " + e.Reason
	}
	return h
}

// Duration is how long a hold of that many seconds after the end of an event lasts. Its error is a *health.Fault.
func Duration(seconds float64) (time.Duration, error) {
	if !(seconds >= 0 && seconds <= event.MaxHold.Seconds()) {
		return 0, health.UserFault(hold.CodeRequest, nil, "The hold of an event is a number of seconds from 0 to %.0f.", event.MaxHold.Seconds())
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// Ensure has the media of an event held on all its streams, if it is to be; also as far as the event was extended. by is who triggered it.
// Without asked, as that trigger did not ask for it, a hold that somebody removed is not added again. What cannot be held is logged, and
// Of says why. settled is false where that may be otherwise if it is tried again, as the disk failed or ctx ended.
func (h *Holds) Ensure(ctx context.Context, e *event.Event, by string, asked bool) (settled bool) {
	if e.Hold <= 0 {
		return true
	}
	defer h.o.Changed()
	settled = true
	for _, stream := range e.Streams {
		wanted := ofEvent(e, stream, by)
		if _, exists := h.o.Book.Find(stream, wanted.ID); !asked && !exists && h.refusal(wanted.ID) == "" {
			continue
		}
		id := wanted.ID
		wanted, err := hold.Complete(wanted, h.o.Now())
		if err == nil {
			_, err = h.o.Book.Extend(ctx, wanted)
		}
		if h.note(id, err) && err != nil {
			logevent.EventNotHeld.Log(h.o.Log, zap.String("event", e.ID), zap.String("stream", stream), zap.Error(err))
		}
		settled = settled && (err == nil || refuses(err))
	}
	return settled
}

// refuses reports whether an error is the answer to what was asked for, and not that of a disk.
func refuses(err error) bool {
	var fault *health.Fault
	return errors.As(err, &fault) && fault.Class == health.UserError
}

func (h *Holds) refusal(id string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refused[id]
}

// note keeps why a hold was refused, and reports whether that was not known.
func (h *Holds) note(id string, err error) bool {
	text := sentence(err)
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.refused[id]
	switch {
	case err == nil:
		delete(h.refused, id)
	case before == "" && len(h.refused) >= maxRefused: // Of says it in other words
	default:
		h.refused[id] = text
	}
	return before != text
}

// sentence is an error for people.
func sentence(err error) string {
	var fault *health.Fault
	switch {
	case err == nil:
		return ""
	case errors.As(err, &fault):
		return fault.Text
	default:
		return "The hold was broken off; trigger the event again while it is open, or use `kvs-edge-agent hold add`."
	}
}

// Of returns whether the media of an event on a stream is held: the ID of its hold, until when, and why it is not, or why what an
// extension added to it is not. All are zero where the event is not to be held, or not any more.
func (h *Holds) Of(e *event.Event, stream string) (id string, until time.Time, notHeld string) {
	if e.Hold <= 0 {
		return "", time.Time{}, ""
	}
	wanted := ofEvent(e, stream, "")
	refusal := h.refusal(wanted.ID)
	kept, exists := h.o.Book.Find(stream, wanted.ID)
	switch {
	case exists:
		return kept.ID, kept.Until, refusal
	case wanted.Over(h.o.Now()):
		return "", time.Time{}, ""
	case refusal == "":
		refusal = "The hold of the event until " + humanize.Time(wanted.Until) + " was refused, or somebody removed it; the log says which."
	}
	return "", time.Time{}, refusal
}

// Show completes what the local API says of an event on a stream.
func (h *Holds) Show(e *event.Event, out *localapi.EventStream) {
	out.Hold, out.HeldUntil, out.NotHeld = h.Of(e, out.Stream)
}

// NotHeld says why some of the media of an event is not held although it should be.
func (h *Holds) NotHeld(e *event.Event) string {
	for _, stream := range e.Streams {
		if _, _, why := h.Of(e, stream); why != "" {
			return why
		}
	}
	return ""
}

// Late says that a trigger asked for a hold of an event that had ended without one; empty: it did not.
func Late(t event.Trigger, e event.Event) string {
	if t.Hold == 0 || e.Hold > 0 {
		return ""
	}
	return "The event had ended before, so its media is not held: `kvs-edge-agent hold add` holds what is still on the hub."
}
