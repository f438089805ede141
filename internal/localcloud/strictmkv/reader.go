package strictmkv

import (
	"errors"
	"io"
	"math"
	"time"
)

const (
	bufferSize = 64 << 10
	maxHead    = 12 // bytes of the longest identifier and size

	segmentIDBytes = 4
	maxMaster      = 4 << 20 // bytes of the largest header element or Tags that is buffered; KVS allows 1 MiB of CodecPrivate per track
)

// Options of a Reader. The zero value is what PutMedia needs.
type Options struct {
	// AsStored checks only what makes media unreadable; see the table in the package comment.
	AsStored bool
	// MaxTracks is the greatest number of tracks. 0 = 3 (KVS limits, PutMedia).
	MaxTracks int
	// MaxPayload is the greatest payload of one block in bytes. 0 = 64 MiB.
	MaxPayload int64
	// Payload makes Block events carry their payload in Data; otherwise payloads are checked and dropped.
	Payload bool
	// Tap gets all bytes of Cluster elements, heads included, in order, before the event that
	// they complete. The slice is valid during the call only. An error ends the reading.
	Tap func(p []byte) error
	// Outside gets all bytes that are not of Cluster elements, in the same way.
	Outside func(p []byte) error
}

// Reader reads one stream. Not for concurrent use.
type Reader struct {
	src  io.Reader
	o    Options
	err  error
	buf  []byte
	r, w int   // buf[r:w] is unread
	off  int64 // of buf[r] in the input

	stage      stage
	header     Header
	hasInfo    bool
	hasTracks  bool
	segment    int64 // offset of the Segment's content
	segmentEnd int64 // unknownSize while unknown
	sawVideo   bool
	payload    []byte

	cluster clusterState
}

type stage uint8

const (
	atHead stage = iota
	atSegment
	inSegment
	inCluster
	afterSegment
)

type clusterState struct {
	start, end int64 // end is unknownSize while unknown
	ticks      int64 // Timestamp
	stamped    bool  // Timestamp was read
	children   int
	checked    bool   // has a CRC-32
	crcWant    uint32 // valid when checked
	crc        uint32
}

// NewReader reads a stream from its EBML head on.
func NewReader(src io.Reader, o Options) *Reader {
	if o.MaxTracks == 0 {
		o.MaxTracks = 3
	}
	if o.MaxPayload == 0 {
		o.MaxPayload = 64 << 20
	}
	return &Reader{src: src, o: o, buf: make([]byte, bufferSize), segmentEnd: unknownSize}
}

// NewClusterReader reads Clusters, and Tags between them, that belong to a Segment whose header
// was read elsewhere. Offsets count from the start of src. A stream may begin anywhere, so the
// first video block need not be a keyframe.
func NewClusterReader(src io.Reader, h *Header, o Options) *Reader {
	r := NewReader(src, o)
	r.header, r.hasInfo, r.hasTracks = *h, true, true
	r.stage, r.sawVideo = inSegment, true
	return r
}

// Header returns the elements before the first fragment. Complete from the Header event on.
func (r *Reader) Header() *Header { return &r.header }

// Offset is the number of input bytes that were consumed.
func (r *Reader) Offset() int64 { return r.off }

// Next returns the next event, io.EOF at a proper end of the stream, an *Error for a broken rule,
// or what the source or the tap failed with. After an error it returns the same error again.
func (r *Reader) Next() (Event, error) {
	if r.err != nil {
		return Event{}, r.err
	}
	for {
		event, err := r.step()
		if err != nil {
			r.err = err
			return Event{}, err
		}
		if event.Kind != 0 {
			return event, nil
		}
	}
}

// step reads one element. An event without a kind means that there is nothing to report.
func (r *Reader) step() (Event, error) {
	if r.stage == inCluster {
		return r.stepCluster()
	}
	if r.stage == inSegment && r.segmentEnd == r.off {
		if !r.headed() {
			return Event{}, broken(idSegment, r.segment, "ends before Info and Tracks")
		}
		r.stage = afterSegment
	}
	at := r.off
	child, size, head, err := r.peek()
	if err != nil {
		return Event{}, r.endOfInput(err)
	}
	if size == unknownSize && child != idSegment && child != idCluster {
		return Event{}, broken(child, at, "has an unknown size; only Segment and Cluster may")
	}
	if r.stage == inSegment {
		if err := within(child, at, head, size, idSegment, r.segmentEnd); err != nil {
			return Event{}, err
		}
	}
	if child == idVoid && (r.stage != atHead) {
		return Event{}, r.skip(child, at, head, size)
	}
	switch r.stage {
	case atHead:
		if child != idEBML {
			return Event{}, broken(child, at, "is where the EBML head must come first")
		}
		e, err := r.load(child, at, head, size)
		if err != nil {
			return Event{}, err
		}
		r.stage = atSegment
		return Event{}, r.header.readEBML(e, r.o.AsStored)
	case atSegment:
		if child != idSegment {
			return Event{}, broken(child, at, "is where the Segment must begin")
		}
		r.segment = at + int64(head)
		r.header.SegmentSize = Span{Offset: at + segmentIDBytes, Bytes: int64(head) - segmentIDBytes}
		if size != unknownSize {
			if size > math.MaxInt64-r.segment {
				return Event{}, broken(child, at, "has an impossible size of %d bytes", size)
			}
			r.segmentEnd = r.segment + size
		}
		r.stage = inSegment
		return Event{}, r.take(head)
	case afterSegment:
		return Event{}, broken(child, at, "follows the Segment; a stream has one EBML head and one Segment")
	}
	return r.segmentChild(child, at, head, size)
}

func (r *Reader) segmentChild(child id, at int64, head int, size int64) (Event, error) {
	switch child {
	case idInfo:
		if r.hasInfo {
			return Event{}, broken(child, at, "occurs twice")
		}
		e, err := r.load(child, at, head, size)
		if err == nil {
			err = r.header.readInfo(e, r.o.AsStored)
		}
		r.hasInfo = true
		return r.headerEvent(at), err
	case idTracks:
		if r.hasTracks {
			return Event{}, broken(child, at, "occurs twice")
		}
		e, err := r.load(child, at, head, size)
		if err == nil {
			r.header.RawTracks = e.raw
			err = r.header.readTracks(e, r.o)
		}
		r.hasTracks = true
		return r.headerEvent(at), err
	case idTags:
		e, err := r.load(child, at, head, size)
		if err != nil {
			return Event{}, err
		}
		tags, err := readTags(e, r.o.AsStored)
		return Event{Kind: KindTags, Offset: at, Size: size + int64(head), Tags: tags}, err
	case idCluster:
		if !r.headed() {
			return Event{}, broken(child, at, "begins before Info and Tracks")
		}
		r.cluster = clusterState{start: at, end: unknownSize}
		if size != unknownSize {
			r.cluster.end = at + int64(head) + size
		}
		r.stage = inCluster
		return Event{}, r.take(head)
	case idSeekHead, idCues, idChapters, idAttachments:
		return Event{}, r.skip(child, at, head, size)
	case idCRC32:
		if at != r.segment {
			return Event{}, broken(child, at, "must be the first element of Segment")
		}
		return Event{}, r.skip(child, at, head, size)
	case idEBML, idSegment:
		return Event{}, broken(child, at, "occurs twice; a stream has one EBML head and one Segment")
	}
	return Event{}, broken(child, at, "does not belong in Segment")
}

func (r *Reader) headed() bool { return r.hasInfo && r.hasTracks }

func (r *Reader) headerEvent(at int64) Event {
	if !r.headed() {
		return Event{}
	}
	return Event{Kind: KindHeader, Offset: at}
}

// endOfInput turns the end of the source into io.EOF where the stream may end, into an error elsewhere.
func (r *Reader) endOfInput(err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	switch {
	case r.stage == atHead:
		return torn(idEBML, r.off)
	case r.stage == atSegment:
		return torn(idSegment, r.off)
	case r.stage == inSegment && r.segmentEnd != unknownSize:
		return torn(idSegment, r.segment)
	case r.stage == inSegment && !r.headed():
		return broken(idSegment, r.segment, "ends before Info and Tracks")
	}
	return io.EOF
}

func (r *Reader) stepCluster() (Event, error) {
	c := &r.cluster
	if r.off == c.end || c.end == unknownSize && r.off == r.segmentEnd {
		return r.endCluster()
	}
	at := r.off
	child, size, head, err := r.peek()
	if errors.Is(err, io.EOF) {
		if c.end != unknownSize || r.segmentEnd != unknownSize {
			return Event{}, torn(idCluster, c.start)
		}
		return r.endCluster()
	}
	if err != nil {
		return Event{}, err
	}
	if c.end == unknownSize && child.segmentChild() {
		return r.endCluster()
	}
	if size == unknownSize {
		return Event{}, broken(child, at, "has an unknown size; only Segment and Cluster may")
	}
	end := c.end
	if end == unknownSize {
		end = r.segmentEnd
	}
	if err := within(child, at, head, size, idCluster, end); err != nil {
		return Event{}, err
	}
	c.children++
	switch child {
	case idTimestamp:
		return r.timestamp(at, head, size)
	case idSimpleBlock:
		return r.simpleBlock(at, head, size)
	case idBlockGroup:
		return r.blockGroup(at, head, size)
	case idCRC32:
		return Event{}, r.clusterCRC(at, head, size)
	case idPosition, idPrevSize, idSilentTracks, idVoid:
		return Event{}, r.skip(child, at, head, size)
	}
	return Event{}, broken(child, at, "does not belong in Cluster")
}

func (r *Reader) timestamp(at int64, head int, size int64) (Event, error) {
	c := &r.cluster
	if c.stamped {
		return Event{}, broken(idTimestamp, at, "occurs twice in one Cluster")
	}
	e, err := r.load(idTimestamp, at, head, size)
	if err != nil {
		return Event{}, err
	}
	ticks, err := e.unsigned()
	if err != nil {
		return Event{}, err
	}
	if ticks > uint64(math.MaxInt64/r.header.TimestampScale)-math.MaxUint16 {
		return Event{}, broken(idTimestamp, at, "is %d ticks of %v, which no clock reaches", ticks, r.header.TimestampScale)
	}
	c.ticks, c.stamped = int64(ticks), true
	return Event{
		Kind: KindFragmentStart, Offset: c.start, Size: r.off - c.start, Known: c.end != unknownSize,
		Time: time.Duration(c.ticks) * r.header.TimestampScale,
	}, nil
}

func (r *Reader) clusterCRC(at int64, head int, size int64) error {
	c := &r.cluster
	if c.children != 1 {
		return broken(idCRC32, at, "must be the first element of Cluster")
	}
	e, err := r.load(idCRC32, at, head, size)
	if err != nil {
		return err
	}
	if len(e.body) != 4 {
		return broken(idCRC32, at, "has %d bytes; 4 are required", len(e.body))
	}
	c.checked, c.crc = true, 0
	c.crcWant = uint32(e.body[0]) | uint32(e.body[1])<<8 | uint32(e.body[2])<<16 | uint32(e.body[3])<<24
	return nil
}

func (r *Reader) endCluster() (Event, error) {
	c := &r.cluster
	if !c.stamped {
		return Event{}, broken(idCluster, c.start, "has no Timestamp")
	}
	if c.checked && c.crc != c.crcWant {
		return Event{}, broken(idCRC32, c.start, "says %08x, but the content of Cluster has %08x", c.crcWant, c.crc)
	}
	r.stage = inSegment
	return Event{Kind: KindFragmentEnd, Offset: c.start, Size: r.off - c.start}, nil
}

// within checks that an element with that head and size ends inside its parent.
func within(child id, at int64, head int, size int64, parent id, parentEnd int64) error {
	if parentEnd == unknownSize {
		if size > math.MaxInt64/2 {
			return broken(child, at, "has an impossible size of %d bytes", size)
		}
		return nil
	}
	if left := parentEnd - at - int64(head); left < 0 || size > left {
		return broken(child, at, "has a size of %d bytes, which overruns the enclosing %s", size, parent)
	}
	return nil
}
