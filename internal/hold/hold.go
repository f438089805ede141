// Package hold owns what a hold is, and the file that keeps the holds of a stream: which recordings nothing may delete, who asked for
// that, and why. It must not know segments, nor what they are deleted for.
package hold

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// The bounds of what a hold holds.
const (
	// Most is how many holds a stream may have.
	Most = 1000
	// maxText bounds a reason and a source, in runes.
	maxText = 256
	maxName = 256 // of a stream, in bytes
	maxYear = 9999
)

// Codes of the faults about holds.
const (
	// CodeRequest is for a hold that cannot be added, or does not exist.
	CodeRequest = "hold-request"
	// CodeTooLarge is for a hold that exceeds what all holds may have.
	CodeTooLarge = "hold-too-large"
	// CodeHeld is for recordings that are not deleted, as they are held.
	CodeHeld = "hold-held"
)

// ErrHeld means that a segment is held, so that nothing deletes it.
var ErrHeld = errors.New("the segment is held")

// idForm is what an ID looks like.
var idForm = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// Hold keeps recordings of a stream from being deleted: each segment with media recorded in [From, To), those that exist and those that
// are recorded later.
type Hold struct {
	ID     string    `json:"id"`
	Stream string    `json:"stream"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Reason string    `json:"reason"`
	// Source is who asked for it.
	Source  string    `json:"source"`
	Created time.Time `json:"created"`
	// Until is when it ends by itself; zero: never.
	Until time.Time `json:"until,omitzero"`
}

// NewID returns an ID that no other hold has.
func NewID() string {
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}

// Complete brings a hold that somebody asked for into its form: times in whole milliseconds of UTC, texts that are clean, an ID if it has
// none. It fails with a *health.Fault that says what is wrong with it.
func Complete(h Hold, now time.Time) (Hold, error) {
	refuse := func(text string, args ...any) (Hold, error) {
		return Hold{}, health.UserFault(CodeRequest, nil, text, args...)
	}
	if h.ID == "" {
		h.ID = NewID()
	}
	h.From, h.To, h.Until = whole(h.From), whole(h.To), whole(h.Until)
	h.Created = whole(now)
	h.Reason, h.Source = strings.TrimSpace(health.Clean(h.Reason, maxText)), health.Clean(h.Source, maxText)
	switch {
	case !idForm.MatchString(h.ID):
		return refuse("The ID of a hold has 1 to 64 letters, digits and . _ : -")
	case h.Stream == "" || len(h.Stream) > maxName || !utf8.ValidString(h.Stream):
		return refuse("A hold needs the name of a stream.")
	case h.From.IsZero() || h.To.IsZero() || !h.From.Before(h.To):
		return refuse("A hold of stream %s needs a start that is before its end.", h.Stream)
	case h.From.Year() < 1 || h.To.Year() > maxYear || h.Until.Year() > maxYear:
		return refuse("The times of a hold of stream %s must be before the year %d.", h.Stream, maxYear+1)
	case h.Reason == "":
		return refuse("A hold of stream %s needs a reason.", h.Stream)
	case !h.Until.IsZero() && !h.Until.After(now):
		return refuse("The hold of stream %s would have ended already: --until must be after now.", h.Stream)
	}
	return h, nil
}

// whole is a time in whole milliseconds of UTC; the zero time stays zero.
func whole(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// Same reports whether both keep the same for the same reason: the second of two equal requests changes nothing.
func (h Hold) Same(other Hold) bool {
	h.Created, h.Source = other.Created, other.Source
	return h == other
}

// With returns the hold as it also holds the times of another one, and all between, and lasts at least as long. The rest stays.
func (h Hold) With(other Hold) Hold {
	if other.From.Before(h.From) {
		h.From = other.From
	}
	if other.To.After(h.To) {
		h.To = other.To
	}
	if other.Until.IsZero() || !h.Until.IsZero() && other.Until.After(h.Until) {
		h.Until = other.Until
	}
	return h
}

// Over reports whether the hold has ended by itself.
func (h Hold) Over(now time.Time) bool { return !h.Until.IsZero() && !now.Before(h.Until) }

// usable reports whether a hold from a file can be followed.
func (h Hold) usable() bool {
	return idForm.MatchString(h.ID) && h.From.Before(h.To) && h.To.Year() <= maxYear
}
