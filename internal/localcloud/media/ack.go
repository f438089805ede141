package media

import (
	"strconv"
	"time"
)

// EventType is the kind of an acknowledgement (API reference, PutMedia).
type EventType string

// The acknowledgements in the order in which a fragment gets them; IDLE belongs to none.
const (
	EventBuffering EventType = "BUFFERING"
	EventReceived  EventType = "RECEIVED"
	EventPersisted EventType = "PERSISTED"
	EventError     EventType = "ERROR"
	EventIdle      EventType = "IDLE"
)

// errorCodes names the ErrorIds of PutMedia as the API reference does. 4012 and 4507 are not in it;
// their names are those of AWS's C producer, whose 4005 is MULTI_TRACK_MKV, and one guide has
// INVALID_FRAGMENT_METADATA for 4012. They come from ErrorAt only.
var errorCodes = map[int]string{
	4000: "STREAM_READ_ERROR",
	4001: "MAX_FRAGMENT_SIZE_REACHED",
	4002: "MAX_FRAGMENT_DURATION_REACHED",
	4003: "MAX_CONNECTION_DURATION_REACHED",
	4004: "FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS",
	4005: "MORE_THAN_ALLOWED_TRACKS_FOUND",
	4006: "INVALID_MKV_DATA",
	4007: "INVALID_PRODUCER_TIMESTAMP",
	4008: "STREAM_NOT_ACTIVE",
	4009: "FRAGMENT_METADATA_LIMIT_REACHED",
	4010: "TRACK_NUMBER_MISMATCH",
	4011: "FRAMES_MISSING_FOR_TRACK",
	4012: "MORE_THAN_ALLOWED_TRACKS_FOUND",
	4500: "KMS_KEY_ACCESS_DENIED",
	4501: "KMS_KEY_DISABLED",
	4502: "KMS_KEY_VALIDATION_ERROR",
	4503: "KMS_KEY_UNAVAILABLE",
	4504: "KMS_KEY_INVALID_USAGE",
	4505: "KMS_KEY_INVALID_STATE",
	4506: "KMS_KEY_NOT_FOUND",
	4507: "STREAM_DELETED",
	5000: "INTERNAL_ERROR",
	5001: "ARCHIVAL_ERROR",
}

const (
	streamReadError       = 4000
	maxFragmentSize       = 4001
	maxFragmentDuration   = 4002
	maxConnectionDuration = 4003
	timecodeNotRising     = 4004
	tooManyTracks         = 4005
	invalidMKV            = 4006
	invalidProducerTime   = 4007
	streamNotActive       = 4008
	metadataLimit         = 4009
	trackNumberMismatch   = 4010
	framesMissing         = 4011
	internalError         = 5000
)

// minFragmentDuration has a name but no documented id.
const minFragmentDuration = "MIN_FRAGMENT_DURATION_REACHED"

// ack is one acknowledgement.
type ack struct {
	event    EventType
	fragment bool  // timecode and number are set
	timecode int64 // ms, as the producer sent it
	number   string
	id       int    // ERROR; 0 = none
	code     string // ERROR
	due      time.Time
}

// appendJSON appends the acknowledgement as KVS spells it, and the newline that ends it.
func (a ack) appendJSON(b []byte) []byte {
	b = append(b, `{"EventType":"`...)
	b = append(b, a.event...)
	b = append(b, '"')
	if a.fragment {
		b = append(b, `,"FragmentTimecode":`...)
		b = strconv.AppendInt(b, a.timecode, 10)
		b = append(b, `,"FragmentNumber":"`...)
		b = append(b, a.number...)
		b = append(b, '"')
	}
	if a.code != "" {
		b = append(b, `,"ErrorCode":`...)
		b = strconv.AppendQuote(b, a.code)
	}
	if a.id != 0 {
		b = append(b, `,"ErrorId":`...)
		b = strconv.AppendInt(b, int64(a.id), 10)
	}
	return append(b, "}\n"...)
}
