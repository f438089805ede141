package sdp

import (
	"fmt"
	"time"
)

// otherTypeLife is how long the payload type of another format must be the only one before it is followed.
const otherTypeLife = time.Second

// PayloadTypes are those of a track: packets of the chosen format, of others that the camera described, and of those that it
// did not.
type PayloadTypes struct {
	chosen [128]bool // what is recorded: the chosen format, and others that differ in nothing from it
	others [128]bool // formats of which the next session has to know that they come

	ours    time.Time // when one that is recorded came
	unknown time.Time // when one came that was not described
	stray   uint8     // the last such
}

// NewPayloadTypes makes those of a track that records one format.
func NewPayloadTypes(of Format, formats []Format) (t PayloadTypes) {
	for _, f := range formats {
		if f.SameStream(of) {
			t.chosen[f.PayloadType] = true
		} else {
			t.others[f.PayloadType] = true
		}
	}
	return t
}

// Take notes the payload type of a packet, and reports whether it is one of what is recorded. An error ends the session, for
// the next to record another format.
func (t *PayloadTypes) Take(payloadType uint8, now time.Time) (ours bool, err error) {
	switch {
	case t.chosen[payloadType]:
		t.ours = now
		return true, nil
	case !t.others[payloadType]:
		t.unknown, t.stray = now, payloadType
	case now.Sub(t.ours) >= otherTypeLife:
		return false, &OtherFormatError{payloadType}
	}
	return false, nil
}

// Undeclared returns an error when packets came that are of no format, and none that is recorded since.
func (t *PayloadTypes) Undeclared(now time.Time) error {
	if t.unknown.After(t.ours) && now.Sub(t.ours) >= otherTypeLife {
		return &UndeclaredError{t.stray}
	}
	return nil
}

// OtherFormatError ends a session in which another of the formats came that the camera described.
type OtherFormatError struct{ PayloadType uint8 }

// Error implements error.
func (e *OtherFormatError) Error() string {
	return fmt.Sprintf("packets of payload type %d came, another format that the camera described", e.PayloadType)
}

// UndeclaredError ends a session in which nothing of what the camera described came, but something else.
type UndeclaredError struct{ PayloadType uint8 }

// Error implements error.
func (e *UndeclaredError) Error() string {
	return fmt.Sprintf("packets of payload type %d came, which the camera did not describe", e.PayloadType)
}
