package media

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// fragment is one Cluster on its way in. Times are as the producer sent them.
type fragment struct {
	number   string
	timecode int64         // ms, for acknowledgements
	begin    time.Duration // Timestamp of the Cluster, or of an earlier first frame
	latest   time.Duration // greatest block time
	producer time.Time
	server   time.Time
	received int64 // bytes of the element so far
	blocks   int
	videos   int
	tracks   [128]bool // by number: has a block
	tags     []Tag

	offset      int64  // of the Cluster in the body
	head        string // name of the producer's head
	clusterHead []byte // as it was sent, where another is stored
	lead, tail  []byte // see Fragment

	buffer []byte // not yet written
	stored int64  // bytes written or buffered
	hash   hash.Hash
	sum    string

	committed bool
}

func (f *fragment) ack(e EventType) ack {
	return ack{event: e, fragment: true, timecode: f.timecode, number: f.number}
}

func (f *fragment) frames() int {
	if f.videos > 0 {
		return f.videos
	}
	return f.blocks
}

// where is the fragment's place in the body, as refusals name it.
func (f *fragment) where() string { return fmt.Sprintf("Cluster at byte %d", f.offset) }

// tapOutside gets the bytes between Clusters as they are read.
func (se *session) tapOutside(p []byte) error {
	se.outside = append(se.outside, p...)
	if most := se.service.o.Limits.MaxFragmentBytes; int64(len(se.outside)) > most {
		return fail(maxFragmentSize, fmt.Sprintf("byte %d", se.reader.Offset()), "more than %d bytes are between two Clusters", most)
	}
	return nil
}

// tap gets the bytes of Clusters as they are read.
func (se *session) tap(p []byte) error {
	f := se.current
	if f == nil { // the head; its number comes with the Timestamp
		f = &fragment{hash: sha256.New(), server: se.service.o.Now(), offset: se.reader.Offset() - int64(len(p))}
		f.buffer, se.file.Spare = se.file.Spare[:0], nil
		se.current = f
	}
	f.received += int64(len(p))
	if most := se.service.o.Limits.MaxFragmentBytes; f.received > most {
		return fail(maxFragmentSize, "", "the fragment at %d ms has more than %d bytes", f.timecode, most)
	}
	f.buffer = append(f.buffer, p...)
	f.stored += int64(len(p))
	if len(f.buffer) >= spillSize && f.number != "" { // before it has a number, one may lie before it that is not committed
		return se.spill(f)
	}
	return nil
}

// spill writes what is buffered behind the last stored fragment.
func (se *session) spill(f *fragment) error {
	f.hash.Write(f.buffer)
	if err := se.file.WriteBehind(f.buffer, f.stored-int64(len(f.buffer))); err != nil {
		return fail(internalError, "", "cannot store media: %v", err)
	}
	f.buffer = f.buffer[:0]
	return nil
}

// latestTime is the end of the year 9999, the last time that timestamps of AWS can express.
var latestTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

func (se *session) beginFragment(h *strictmkv.Header, event strictmkv.Event) error {
	f := se.current
	f.begin, f.latest, f.timecode = event.Time, event.Time, event.Time.Milliseconds()
	base := time.Unix(0, 0)
	if se.relative {
		base = se.start
	}
	f.producer = base.Add(event.Time).UTC().Truncate(time.Millisecond)
	f.server = f.server.UTC().Truncate(time.Millisecond)
	f.number = se.service.number.next(f.server)
	se.heldBack(se.st.fragPace.take(1))
	if err := se.settle(f); err != nil {
		return err
	}
	if err := se.takeLead(f, h); err != nil {
		return err
	}
	se.send(f.ack(EventBuffering))
	if se.before != nil && f.begin <= se.before.begin {
		return fail(timecodeNotRising, "", "the fragment at %d ms begins no later than the previous one", f.timecode)
	}
	if info, ok := se.service.o.Streams.Stream(se.st.name); !ok || !takesMedia(info.Status) {
		return fail(streamNotActive, "", "the stream is not active (status %q)", info.Status)
	}
	if f.producer.After(latestTime) || f.producer.UnixMilli() < 0 {
		return fail(invalidProducerTime, "", "the fragment's producer timestamp is %v", f.producer)
	}
	if err := se.withinConnection(); err != nil {
		return err
	}
	if se.relative {
		f.clusterHead = slices.Clone(f.buffer)
		f.buffer = archive.AppendClusterHead(f.buffer[:0], int64(time.Duration(f.producer.UnixMilli())*time.Millisecond/h.TimestampScale))
		f.stored = int64(len(f.buffer))
	}
	return se.strike(AtFragmentStart)
}

// takeLead takes the elements before the fragment that do not belong to the previous one.
func (se *session) takeLead(f *fragment, h *strictmkv.Header) error {
	sent := se.outside
	se.outside = nil
	f.tags, se.tags = se.tags, nil
	if se.firstHead != "" {
		f.head, f.lead = se.head, sent
		return nil
	}
	if err := se.keepHeads(sent, h); err != nil {
		return err
	}
	f.head = se.firstHead
	return nil
}

func takesMedia(status string) bool {
	return status != "DELETING"
}

func (se *session) withinConnection() error {
	if time.Since(se.began) > se.service.o.Limits.MaxConnectionDuration {
		return fail(maxConnectionDuration, "", "the connection is older than %v", se.service.o.Limits.MaxConnectionDuration)
	}
	return nil
}

func (se *session) takeBlock(event strictmkv.Event) error {
	f := se.current
	where := fmt.Sprintf("%s at byte %d", event.Element, event.Offset)
	f.blocks++
	f.tracks[event.Track.Number&127] = true
	if se.any && event.Time <= se.last {
		return fail(timecodeNotRising, where, "a frame at %v is not after the last frame of the previous fragment at %v", event.Time, se.last)
	}
	f.begin = min(f.begin, event.Time)
	f.latest = max(f.latest, event.Time)
	if event.Track.Type == strictmkv.TypeVideo {
		f.videos++
	}
	if most := se.service.o.Limits.MaxFragmentDuration; f.latest-f.begin > most {
		return fail(maxFragmentDuration, where, "the fragment at %d ms lasts more than %v", f.timecode, most)
	}
	if err := se.withinConnection(); err != nil {
		return err
	}
	if f.blocks == 2 {
		return se.strike(MidFragment)
	}
	return nil
}

func (se *session) endFragment(h *strictmkv.Header) error {
	f := se.current
	if f.blocks == 1 {
		if err := se.strike(MidFragment); err != nil {
			return err
		}
	}
	for i := range h.Tracks {
		if !f.tracks[h.Tracks[i].Number] {
			return fail(framesMissing, "", "the fragment at %d ms has no frame of track %d", f.timecode, h.Tracks[i].Number)
		}
	}
	if err := se.spill(f); err != nil {
		return err
	}
	f.sum = hex.EncodeToString(f.hash.Sum(nil))
	se.file.Spare, f.buffer = f.buffer, nil
	se.last, se.any = f.latest, true
	se.current = nil
	se.pending, se.before = f, f
	return nil
}

// keepHeads stores what the producer sent before its first Cluster: as it was sent for the first
// fragment, and without the Tags before Tracks for those that follow.
func (se *session) keepHeads(sent []byte, h *strictmkv.Header) (err error) {
	if se.firstHead, err = se.service.archive.KeepHead(archive.WithUnknownSize(sent, h.SegmentSize)); err != nil {
		return fail(internalError, "", "cannot store the head: %v", err)
	}
	if se.head, err = se.service.archive.KeepHead(archive.Without(archive.WithUnknownSize(sent, h.SegmentSize), se.earlyTags)); err != nil {
		return fail(internalError, "", "cannot store the head: %v", err)
	}
	return nil
}
