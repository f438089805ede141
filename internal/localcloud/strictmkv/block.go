package strictmkv

import (
	"errors"
	"io"
	"math/bits"
	"time"
)

// Flags of a block's fourth byte (RFC 9559, sections 10.1 and 10.2).
const (
	flagKeyframe       = 0x80
	flagsSimpleUnused  = 0x70
	flagsBlockUnused   = 0xF0
	flagsLacing        = 0x06
	maxBlockHead       = 8 + 3
	minimalBlockLength = 4 + 1
)

func (r *Reader) simpleBlock(at int64, head int, size int64) (Event, error) {
	if err := r.take(head); err != nil {
		return Event{}, err
	}
	event, flags, err := r.block(idSimpleBlock, at, size)
	if err != nil {
		return Event{}, err
	}
	if flags&flagsSimpleUnused != 0 && !r.o.AsStored {
		return Event{}, broken(idSimpleBlock, at, "has reserved flags set (0x%02X)", flags)
	}
	event.Element, event.Keyframe = idSimpleBlock.String(), flags&flagKeyframe != 0
	return event, r.firstVideo(event)
}

// blockGroup reads a BlockGroup: one Block, a keyframe without a ReferenceBlock.
func (r *Reader) blockGroup(at int64, head int, size int64) (Event, error) {
	if err := r.take(head); err != nil {
		return Event{}, err
	}
	end := r.off + size
	event, blocks, references := Event{}, 0, 0
	for r.off < end {
		childAt := r.off
		child, n, childHead, err := r.peek()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = torn(idBlockGroup, at)
			}
			return Event{}, err
		}
		if n == unknownSize {
			return Event{}, broken(child, childAt, "has an unknown size; only Segment and Cluster may")
		}
		if err := within(child, childAt, childHead, n, idBlockGroup, end); err != nil {
			return Event{}, err
		}
		switch {
		case child == idBlock:
			if blocks++; blocks > 1 {
				return Event{}, broken(child, childAt, "occurs twice in one BlockGroup")
			}
			if err := r.take(childHead); err != nil {
				return Event{}, err
			}
			flags := byte(0)
			if event, flags, err = r.block(child, childAt, n); err != nil {
				return Event{}, err
			}
			if flags&flagsBlockUnused != 0 && !r.o.AsStored {
				return Event{}, broken(child, childAt, "has reserved flags set (0x%02X)", flags)
			}
		case child.segmentChild() || child == idSimpleBlock || child == idBlockGroup || child == idTimestamp:
			return Event{}, broken(child, childAt, "does not belong in BlockGroup")
		default:
			if child == idReferenceBlock {
				references++
			}
			if err := r.skip(child, childAt, childHead, n); err != nil {
				return Event{}, err
			}
		}
	}
	if blocks == 0 {
		return Event{}, broken(idBlockGroup, at, "holds no Block")
	}
	event.Element, event.Offset, event.Keyframe = idBlockGroup.String(), at, references == 0
	return event, r.firstVideo(event)
}

// block reads the content of a SimpleBlock or Block: track, time, flags, payload.
func (r *Reader) block(kind id, at, size int64) (Event, byte, error) {
	event, flags, err := r.blockHead(kind, at, size)
	if err != nil {
		return Event{}, 0, err
	}
	r.payload = r.payload[:0]
	units := nalWalk{}
	if !r.o.AsStored {
		units.lengthBytes = event.Track.nalLength
	}
	err = r.stream(kind, at, event.Size, func(p []byte) error {
		if fault := units.write(p); fault != "" {
			return broken(kind, at, "%s", fault)
		}
		if r.o.Payload {
			r.payload = append(r.payload, p...)
		}
		return nil
	})
	if err == nil && !units.complete() {
		return Event{}, 0, broken(kind, at, "ends inside a NAL unit: its lengths do not fill the block")
	}
	if r.o.Payload {
		event.Data = r.payload
	}
	return event, flags, err
}

// blockHead reads the bytes before a block's payload, whose size is in the event.
func (r *Reader) blockHead(kind id, at, size int64) (Event, byte, error) {
	c := &r.cluster
	if !c.stamped {
		return Event{}, 0, broken(kind, at, "comes before the Timestamp of its Cluster")
	}
	if size < minimalBlockLength {
		return Event{}, 0, broken(kind, at, "has %d bytes, too few for a header and a frame", size)
	}
	if size > r.o.MaxPayload+maxBlockHead {
		return Event{}, 0, broken(kind, at, "has %d bytes; at most %d are allowed", size, r.o.MaxPayload)
	}
	if err := r.need(kind, at, 1); err != nil {
		return Event{}, 0, err
	}
	n := bits.LeadingZeros8(r.buf[r.r]) + 1
	if n > 8 || int64(n+3) >= size {
		return Event{}, 0, broken(kind, at, "has a malformed track number")
	}
	if err := r.need(kind, at, n+3); err != nil {
		return Event{}, 0, err
	}
	number, m := parseSize(r.buf[r.r : r.r+n])
	if m != n || number < 1 {
		return Event{}, 0, broken(kind, at, "has a malformed track number")
	}
	track, ok := r.header.Track(uint64(number))
	if !ok {
		err := broken(kind, at, "belongs to track %d, which Tracks does not describe", number)
		err.err = ErrUnknownTrack
		return Event{}, 0, err
	}
	rest := r.buf[r.r+n : r.r+n+3]
	relative, flags := int16(uint16(rest[0])<<8|uint16(rest[1])), rest[2]
	if flags&flagsLacing != 0 && !r.o.AsStored {
		return Event{}, 0, broken(kind, at, "is laced, which PutMedia does not allow")
	}
	ticks := c.ticks + int64(relative)
	if ticks < 0 {
		return Event{}, 0, broken(kind, at, "has a time before the Segment's zero (%d ticks)", ticks)
	}
	if err := r.take(n + 3); err != nil {
		return Event{}, 0, err
	}
	return Event{
		Kind: KindBlock, Offset: at, Size: size - int64(n) - 3, Track: track,
		Time: time.Duration(ticks) * r.header.TimestampScale,
	}, flags, nil
}

// need is fill inside an element.
func (r *Reader) need(kind id, at int64, n int) error {
	err := r.fill(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return torn(kind, at)
	}
	return err
}

func (r *Reader) firstVideo(event Event) error {
	if r.sawVideo || event.Track.Type != TypeVideo {
		return nil
	}
	r.sawVideo = true
	if !event.Keyframe && !r.o.AsStored {
		return broken(idSimpleBlock, event.Offset, "is the first video block of the stream, but no keyframe")
	}
	return nil
}

// nalWalk follows the lengths of the NAL units in a block that arrives in pieces.
type nalWalk struct {
	lengthBytes int // 0 = the payload has no such structure
	have        int // bytes of the length that were read
	length      uint32
	left        int64 // bytes of the unit that are still to come
}

func (w *nalWalk) write(p []byte) (fault string) {
	if w.lengthBytes == 0 {
		return ""
	}
	for len(p) > 0 {
		if w.left > 0 {
			n := min(w.left, int64(len(p)))
			w.left -= n
			p = p[n:]
			continue
		}
		w.length = w.length<<8 | uint32(p[0])
		w.have++
		p = p[1:]
		if w.have == w.lengthBytes {
			if w.length == 0 {
				return "holds a NAL unit of length 0"
			}
			w.left, w.length, w.have = int64(w.length), 0, 0
		}
	}
	return ""
}

func (w *nalWalk) complete() bool { return w.left == 0 && w.have == 0 }
