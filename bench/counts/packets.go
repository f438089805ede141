package main

import (
	"errors"
	"os"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/nal"
)

// How the film is sent: as cameras do it, in packets that fit an Ethernet frame (RFC 6184, packetization mode 1).
const (
	ticksPerPicture = 90_000 / 25
	mostPayload     = 1400 // bytes
	fragmentType    = 28   // FU-A
	aggregateType   = 24   // STAP-A
)

// film is the packets of a film, in order; sequence numbers and timestamps count from 0.
type film struct {
	packets  []accessunit.Packet
	pictures int
	bytes    int // of all payloads
}

// readFilm reads an Annex B file of H.264.
func readFilm(path string) (*film, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := new(film)
	var sets [][]byte
	for _, unit := range nal.SplitAnnexB(data) {
		switch unit[0] & 0x1f {
		case nal.H264SPS, nal.H264PPS:
			sets = append(sets, unit)
		case nal.H264Slice, nal.H264IDR: // the film has one slice a picture
			if len(sets) > 0 {
				f.add(aggregate(sets), false)
				sets = nil
			}
			f.addUnit(unit)
			f.pictures++
		}
	}
	if f.pictures == 0 {
		return nil, errors.New(path + " has no picture of H.264")
	}
	return f, nil
}

func (f *film) add(payload []byte, marker bool) {
	f.bytes += len(payload)
	f.packets = append(f.packets, accessunit.Packet{
		Sequence: uint16(len(f.packets)), Timestamp: uint32(f.pictures * ticksPerPicture), Marker: marker, Payload: payload,
	})
}

// addUnit adds the packets of a picture's slice, the last of which has the marker.
func (f *film) addUnit(unit []byte) {
	if len(unit) <= mostPayload {
		f.add(unit, true)
		return
	}
	indicator, header := unit[0]&0x60|fragmentType, unit[0]&0x1f
	rest := unit[1:]
	for start := byte(0x80); len(rest) > 0; start = 0 {
		n, end := min(len(rest), mostPayload-2), byte(0)
		if n == len(rest) {
			end = 0x40
		}
		f.add(append([]byte{indicator, start | end | header}, rest[:n]...), end != 0)
		rest = rest[n:]
	}
}

func aggregate(units [][]byte) []byte {
	out := []byte{0x60 | aggregateType}
	for _, n := range units {
		out = append(append(out, byte(len(n)>>8), byte(len(n))), n...)
	}
	return out
}
