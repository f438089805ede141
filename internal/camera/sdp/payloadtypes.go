package sdp

import (
	"fmt"
	"time"
)

// otherTypeLife is how long only packets of another format must arrive before that one is recorded.
const otherTypeLife = time.Second

// PayloadTypes are the payload types of a track: of the chosen format, of others that the camera described, and of those that it
// did not describe.
type PayloadTypes struct {
	chosen [128]bool // recorded: the chosen format, and others that are equal to it
	others [128]bool // formats that the next session could record

	ours    time.Time // when a recorded one last arrived
	unknown time.Time // when one that was not described last arrived
	stray   uint8     // the last one not described
}

// NewPayloadTypes returns the payload types of a track that records one format.
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

// Take notes the payload type of a packet, and reports whether it is recorded. An error ends the session, so that
// the next one records another format.
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

// Undeclared returns an error when packets of no described format arrived, and none that is recorded since.
func (t *PayloadTypes) Undeclared(now time.Time) error {
	if t.unknown.After(t.ours) && now.Sub(t.ours) >= otherTypeLife {
		return &UndeclaredError{t.stray}
	}
	return nil
}

// OtherFormatError ends a session in which packets of another described format arrived.
type OtherFormatError struct{ PayloadType uint8 }

// Error implements error.
func (e *OtherFormatError) Error() string {
	return fmt.Sprintf("packets of payload type %d arrived, another format that the camera described", e.PayloadType)
}

// UndeclaredError ends a session in which only packets arrived that the camera did not describe.
type UndeclaredError struct{ PayloadType uint8 }

// Error implements error.
func (e *UndeclaredError) Error() string {
	return fmt.Sprintf("packets of payload type %d arrived, which the camera did not describe", e.PayloadType)
}
