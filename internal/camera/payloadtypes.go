package camera

import (
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/sdp"
)

// otherTypeLife is how long the payload type of another format must be the only one before it is followed.
const otherTypeLife = time.Second

// payloadTypes are those of a track: packets of the chosen format, of others that the camera described, and of those that it
// did not.
type payloadTypes struct {
	chosen [128]bool // what is recorded: the chosen format, and others that differ in nothing from it
	others [128]bool // formats of which the next session has to know that they come

	ours    time.Time // when one that is recorded came
	unknown time.Time // when one came that was not described
	stray   uint8     // the last such
}

// newPayloadTypes makes those of a track that records one format.
func newPayloadTypes(of sdp.Format, formats []sdp.Format) (t payloadTypes) {
	for _, f := range formats {
		if f.SameStream(of) {
			t.chosen[f.PayloadType] = true
		} else {
			t.others[f.PayloadType] = true
		}
	}
	return t
}

// take notes the payload type of a packet, and reports whether it is one of what is recorded. An error ends the session, for
// the next to record another format.
func (t *payloadTypes) take(payloadType uint8, now time.Time) (ours bool, err error) {
	switch {
	case t.chosen[payloadType]:
		t.ours = now
		return true, nil
	case !t.others[payloadType]:
		t.unknown, t.stray = now, payloadType
	case now.Sub(t.ours) >= otherTypeLife:
		return false, &otherFormatError{payloadType}
	}
	return false, nil
}

// undeclared returns an error when packets came that are of no format, and none that is recorded since.
func (t *payloadTypes) undeclared(now time.Time) error {
	if t.unknown.After(t.ours) && now.Sub(t.ours) >= otherTypeLife {
		return &undeclaredError{t.stray}
	}
	return nil
}

// otherFormatError ends a session in which another of the formats came that the camera described.
type otherFormatError struct{ payloadType uint8 }

func (e *otherFormatError) Error() string {
	return fmt.Sprintf("packets of payload type %d came, another format that the camera described", e.payloadType)
}

// undeclaredError ends a session in which nothing of what the camera described came, but something else.
type undeclaredError struct{ payloadType uint8 }

func (e *undeclaredError) Error() string {
	return fmt.Sprintf("packets of payload type %d came, which the camera did not describe", e.payloadType)
}
