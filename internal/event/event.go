// Package event owns the events of a hub: something happened in front of a camera at a time, so that the media from some seconds
// before it to some seconds after it goes to the cloud at once. It keeps them on disk, says which are open, and follows each until
// its media is in the cloud. It must not know who triggers them, nor how media is cut and sent.
package event

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

// The limits of events.
const (
	MaxOpen    = 16                    // of a stream: events that have not ended
	MaxKept    = 10_000                // of a hub
	MaxStreams = 16                    // of an event
	MaxRoll    = time.Hour             // of the pre-roll, and of the post-roll
	MaxLength  = 24 * time.Hour        // of an event that is extended repeatedly
	MaxID      = 64                    // bytes
	MaxHold    = 3660 * 24 * time.Hour // after the end of an event
	maxReason  = 200                   // runes
	maxSource  = 32                    // runes
	maxEarly   = time.Minute           // how far after the hub's time the time of an event may be
)

// The default rolls.
const (
	DefaultPre  = 10 * time.Second
	DefaultPost = 30 * time.Second
)

// earliest is the earliest time that an event may have: recordings have none before.
var earliest = time.Unix(0, 0).UTC()

// code is that of a trigger that is refused.
const code = "event"

// Event is something that happened. Its values are never changed: a change makes another one.
type Event struct {
	ID      string    `json:"id"`
	Streams []string  `json:"streams"`
	Time    time.Time `json:"time"` // when it happened
	From    time.Time `json:"from"` // its media is that from From (inclusive)
	To      time.Time `json:"to"`   // to To (exclusive)
	Reason  string    `json:"reason,omitempty"`
	Source  string    `json:"source,omitempty"` // who triggered it: cli, api, mqtt, …
	// Hold is how long after its end its media is kept on the hub in any case. 0: as the stream's policy says.
	Hold time.Duration `json:"hold,omitempty"`
	// HoldBy is who asked for the hold, while it is not known yet whether that could be added.
	HoldBy string `json:"holdBy,omitempty"`
	// Triggers is how many there were: those after the first have extended it.
	Triggers int `json:"triggers"`
	// Lost has what was deleted on the hub before it was in the cloud, by stream, in fragments.
	Lost map[string]Loss `json:"lost,omitempty"`
	// Done has its final progress, by stream.
	Done map[string]Progress `json:"done,omitempty"`
}

// Loss is media that was deleted before it was in the cloud.
type Loss struct {
	Fragments int   `json:"fragments"`
	Bytes     int64 `json:"bytes"`
}

// Progress is how much of an event's media of a stream there is, in fragments.
type Progress struct {
	Recorded int   `json:"recorded"`          // on the hub, or before it was deleted there
	Uploaded int   `json:"uploaded"`          // of Recorded: in the cloud
	Refused  int   `json:"refused,omitempty"` // of Recorded: the service does not accept them, so they stay on the hub
	Lost     int   `json:"lost,omitempty"`    // of Recorded: deleted on the hub before they were in the cloud
	Unsent   int   `json:"unsent,omitempty"`  // of Recorded: stay on the hub, as the stream was no longer uploaded at the end
	Bytes    int64 `json:"bytes"`             // of Recorded
	Sent     int64 `json:"sent"`              // bytes of Uploaded
}

// Open reports whether the event has not ended.
func (e *Event) Open(now time.Time) bool { return now.Before(e.To) }

// Finished reports whether its progress is final, for all its streams.
func (e *Event) Finished() bool { return len(e.Done) == len(e.Streams) }

// final reports whether its progress on a stream is.
func (e *Event) final(stream string) bool {
	_, done := e.Done[stream]
	return done
}

// Trigger asks for an event, or for an open one to be extended.
type Trigger struct {
	ID      string // default: a new one
	Streams []string
	Time    time.Time     // default: now
	Pre     time.Duration // media from so long before Time
	Post    time.Duration // to so long after it
	Reason  string
	Source  string
	Hold    time.Duration
	By      string // who asks, for people; default: Source
	// Repeated: the same trigger may have come before, so that an event that has its ID is left as it is.
	Repeated bool
}

// check completes the trigger, or says what is wrong with it.
func (t *Trigger) check(now time.Time) *health.Fault {
	wrong := func(format string, args ...any) *health.Fault { return health.UserFault(code, nil, format, args...) }
	slices.Sort(t.Streams)
	t.Streams = slices.Compact(t.Streams)
	t.Reason, t.Source = health.Clean(t.Reason, maxReason), health.Clean(t.Source, maxSource)
	if t.Time.IsZero() {
		t.Time = now
	}
	t.Time = t.Time.UTC().Truncate(time.Millisecond)
	switch {
	case len(t.Streams) == 0:
		return wrong("An event needs a stream: name one.")
	case len(t.Streams) > MaxStreams:
		return wrong("The event has %d streams; at most %d are allowed.", len(t.Streams), MaxStreams)
	case slices.ContainsFunc(t.Streams, func(s string) bool { return !kvslimit.IsStreamName(s) }):
		return wrong("A stream of the event has a name that no stream can have.")
	case t.ID != "" && !IsID(t.ID):
		return wrong("The id of an event has 1 to %d letters, digits, and . _ : - between them.", MaxID)
	case t.Pre < 0 || t.Pre > MaxRoll || t.Post < 0 || t.Post > MaxRoll:
		return wrong("The pre-roll is %s and the post-roll %s; both must be from 0s to %s.", t.Pre, t.Post, MaxRoll)
	case t.Hold < 0 || t.Hold > MaxHold:
		return wrong("The hold is %.0f days; it must be from 0 to %.0f.", t.Hold.Hours()/24, MaxHold.Hours()/24)
	case t.Time.Before(earliest):
		return wrong("The time of the event is %s; it must be from %s on.", t.Time.Format(time.RFC3339), earliest.Format(time.DateOnly))
	case t.Time.After(now.Add(maxEarly)):
		return wrong("The time of the event is %s, which is still to come: the hub has %s.", t.Time.Format(time.RFC3339),
			now.UTC().Format(time.RFC3339))
	}
	return nil
}

// IsID reports whether a text can be the id of an event: it becomes part of a tag, in which commas separate ids.
func IsID(id string) bool {
	if id == "" || len(id) > MaxID {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("._:-", r)
	})
}

// newID returns an id that no other event has.
func newID(at time.Time) string {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	return at.UTC().Format("20060102T150405") + "-" + hex.EncodeToString(random[:])
}

// span is the media that a trigger asks for. It is never empty.
func (t *Trigger) span() (from, to time.Time) {
	from, to = t.Time.Add(-t.Pre), t.Time.Add(t.Post)
	if !from.Before(to) {
		to = from.Add(time.Millisecond)
	}
	return from, to
}

// begin returns the event that a trigger begins.
func (t *Trigger) begin() *Event {
	from, to := t.span()
	id := t.ID
	if id == "" {
		id = newID(t.Time)
	}
	return &Event{ID: id, Streams: slices.Clone(t.Streams), Time: t.Time, From: from, To: to, Reason: t.Reason, Source: t.Source,
		Hold: t.Hold, HoldBy: t.holdBy(), Triggers: 1}
}

// holdBy is who asks for a hold; empty where the trigger does not.
func (t *Trigger) holdBy() string {
	if t.Hold <= 0 {
		return ""
	}
	return cmp.Or(health.Clean(t.By, maxReason), t.Source, "event")
}

// extended returns the event as a further trigger makes it.
func (t *Trigger) extended(e *Event) *Event {
	next := *e
	from, to := t.span()
	if from.Before(next.From) {
		next.From = from
	}
	if to.After(next.To) {
		next.To = to
	}
	next.Hold = max(next.Hold, t.Hold)
	next.HoldBy = cmp.Or(t.holdBy(), next.HoldBy)
	next.Streams = slices.Clone(e.Streams)
	for _, s := range t.Streams {
		if !slices.Contains(next.Streams, s) && len(next.Streams) < MaxStreams {
			next.Streams = append(next.Streams, s)
		}
	}
	slices.Sort(next.Streams)
	next.Triggers++
	next.Done = nil // there may be more to send
	return &next
}

// continues reports whether a trigger extends an open event: it has its id, or none and happens on the same streams for the same
// reason, by the same source.
func (t *Trigger) continues(e *Event) bool {
	if t.Time.Before(e.From) || t.Time.Add(t.Post).Sub(e.From) > MaxLength {
		return false
	}
	if t.ID != "" {
		return t.ID == e.ID
	}
	return t.Source == e.Source && t.Reason == e.Reason && slices.Equal(t.Streams, e.Streams)
}

// IDs joins the ids of events to the value of a fragment's tag. Where it becomes longer than a tag may be, those that began
// first are left out: the listing of events has them too.
func IDs(events []*Event) string {
	slices.SortStableFunc(events, func(a, b *Event) int { return b.Time.Compare(a.Time) })
	var b strings.Builder
	for _, e := range events {
		if b.Len()+len(e.ID)+1 > kvslimit.TagValueBytes {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(e.ID)
	}
	return b.String()
}

// words names an event in sentences.
func (e *Event) words() string {
	return fmt.Sprintf("Event %s of stream %s", e.ID, strings.Join(e.Streams, ", "))
}
