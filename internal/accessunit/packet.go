package accessunit

import (
	"errors"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit/sequence"
)

// Packet is an RTP packet.
type Packet = sequence.Packet

// ErrHuge ends a session: an access unit is larger than MaxBytes, or has too many NAL units.
var ErrHuge = errors.New("a picture is larger than 16 MiB")

// Other faults of packets. They corrupt only the access unit they belong to.
var (
	errHole      = errors.New("RTP packets were lost")
	errFragment  = errors.New("a NAL unit came in fragments without its beginning or end")
	errMalformed = errors.New("a NAL unit has a forbidden header or no content")
	errSlice     = errors.New("a picture lacks its first slice")
)
