package mkv

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// DefaultBufferSize is how much of a fragment is buffered before it is written: a large write for any disk, little memory for each camera.
const DefaultBufferSize = 256 << 10

// File is the file that a segment is written to. It is empty at first.
type File interface {
	io.Writer
	io.WriterAt
}

// WriterOptions are the settings of a Writer.
type WriterOptions struct {
	// BufferSize in bytes is how much is buffered before a write. Default DefaultBufferSize.
	BufferSize int
}

// Writer writes one segment file. Its methods are not safe for concurrent use. After an error of the file every further call
// fails with it: completed fragments are in the file, and Recover finishes it.
type Writer struct {
	file   File
	at     layout
	kinds  [maxTracks + 1]Kind
	buffer []byte
	limit  int

	size      int64 // bytes in the file; buffer not counted
	open      openFragment
	buffered  int // frames of video in buffer
	written   int // frames of video in the file
	fragments []Fragment
	inner     []keyframe // of fragments, see contents; of the open one too
	err       error
}

// openFragment is the fragment that frames are added to.
type openFragment struct {
	Fragment
	exists   bool
	inBuffer bool          // its head is still in buffer, so that its size can be set there
	headAt   int           // offset of its head in buffer, when inBuffer
	sum      uint32        // without the bytes in buffer
	cued     time.Duration // of its newest keyframe that has a cue
	newest   gopStart      // of its newest keyframe but the first frame
}

// ErrNoFragment means that a frame was written outside of a fragment, or that a fragment got no frame.
var ErrNoFragment = errors.New("no fragment is open")

// NewWriter writes the header to an empty file.
func NewWriter(f File, h Header, o WriterOptions) (*Writer, error) {
	if err := h.validate(); err != nil {
		return nil, fmt.Errorf("cannot write a segment: %w", err)
	}
	if o.BufferSize <= 0 {
		o.BufferSize = DefaultBufferSize
	}
	w := &Writer{file: f, limit: o.BufferSize}
	for _, t := range h.Tracks {
		w.kinds[t.Number] = t.Kind
	}
	var err error
	if w.buffer, w.at, err = fileHeader(h); err != nil {
		return nil, fmt.Errorf("cannot write a segment: %w", err)
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	return w, nil
}

// BeginFragment begins a cluster whose timestamp is start, in whole ms since Header.Start.
// A fragment that is still open is ended.
func (w *Writer) BeginFragment(start time.Duration, keyframe bool) error {
	if err := w.endOpen(); err != nil {
		return err
	}
	w.buffer = appendSumRoom(w.buffer)
	w.open = openFragment{
		Fragment: Fragment{Offset: w.size + int64(len(w.buffer)), Start: start, Last: start, Keyframe: keyframe},
		exists:   true, inBuffer: true, headAt: len(w.buffer), cued: start.Truncate(time.Millisecond),
	}
	var head [ClusterHeadSize]byte
	putClusterHead(head[:], element.UnknownSize8, start.Milliseconds())
	w.buffer = append(w.buffer, head[:]...)
	return nil
}

// WriteFrame adds a frame to the open fragment: t is its presentation time since Header.Start.
// Each part of a video frame is a NAL unit and gets a 4-byte length before it; the parts of an
// audio frame are joined. It allocates nothing once the buffer has grown to its size.
func (w *Writer) WriteFrame(track uint8, t time.Duration, keyframe bool, parts [][]byte) error {
	if w.err != nil {
		return w.err
	}
	if !w.open.exists {
		return ErrNoFragment
	}
	if track == 0 || int(track) > maxTracks || w.kinds[track] == 0 {
		return fmt.Errorf("there is no track %d in the segment", track)
	}
	relative := t.Milliseconds() - w.open.Start.Milliseconds()
	if relative < math.MinInt16 || relative > math.MaxInt16 {
		return fmt.Errorf("a frame %d ms from its fragment's start does not fit a cluster", relative)
	}
	prefix := 0
	if w.kinds[track] == Video {
		prefix = nalLengthSize
	}
	size := 0
	for _, p := range parts {
		size += prefix + len(p)
	}
	if size > maxBlockSize {
		return fmt.Errorf("a frame of %d bytes does not fit a block", size)
	}
	if len(w.buffer) > 0 && len(w.buffer)+blockHeadSize+size > w.limit {
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if need := len(w.buffer) + blockHeadSize + size; need > cap(w.buffer) { // append would make it larger than its limit
		w.buffer = append(make([]byte, 0, max(need, min(2*cap(w.buffer), w.limit))), w.buffer...)
	}
	at := w.size + int64(len(w.buffer))
	b := appendBlockHead(w.buffer, track, int16(relative), keyframe, size)
	for _, p := range parts {
		if prefix > 0 {
			b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		}
		b = append(b, p...)
	}
	w.buffer = b
	if track == 1 {
		if keyframe && w.open.Frames > 0 {
			w.open.newest = gopStart{at, t.Truncate(time.Millisecond), w.open.Last, w.open.Frames}
			w.cue(w.open.newest.time)
		}
		w.open.Frames++
		w.buffered++
	}
	w.open.Last = max(w.open.Last, t)
	return nil
}

// cue notes a keyframe inside of the open fragment, as innerKeyframes finds it.
func (w *Writer) cue(t time.Duration) {
	if t-w.open.cued >= cueSpacing {
		w.inner = append(w.inner, keyframe{w.open.Offset, t})
		w.open.cued = t
	}
}

// EndFragment ends the open fragment. When it returns, all its bytes are in the file. A fragment without a frame is removed,
// with ErrNoFragment: players and KVS cannot use it.
func (w *Writer) EndFragment() (Fragment, error) {
	if w.err != nil {
		return Fragment{}, w.err
	}
	if !w.open.exists {
		return Fragment{}, ErrNoFragment
	}
	if w.Empty() {
		w.buffer = w.buffer[:w.open.headAt-sumSize]
		w.open = openFragment{}
		return Fragment{}, ErrNoFragment
	}
	w.open.Size = w.size + int64(len(w.buffer)) - w.open.Offset
	w.addBuffer()
	ended := w.open
	w.open = openFragment{}
	if ended.inBuffer {
		putCompletion(w.buffer[ended.headAt-sumSize:], ended.Size, ended.sum)
	}
	if err := w.Flush(); err != nil {
		return Fragment{}, err
	}
	if !ended.inBuffer {
		// At once, while the page with the head is still to be written out.
		if err := w.complete(ended.Fragment, ended.sum); err != nil {
			return Fragment{}, err
		}
	}
	w.fragments = append(w.fragments, ended.Fragment)
	return ended.Fragment, nil
}

// addBuffer adds the buffered bytes of the open fragment to its checksum.
func (w *Writer) addBuffer() {
	from := 0
	if w.open.inBuffer {
		from = w.open.headAt + clusterPrefixSize
	}
	w.open.sum = addSum(w.open.sum, w.buffer[from:])
}

// complete writes the bytes that complete a fragment that is in the file already.
func (w *Writer) complete(f Fragment, sum uint32) error {
	_, w.err = w.file.WriteAt(completion{f, sum, true}.bytes())
	return w.err
}

// endOpen ends the open fragment, if there is one.
func (w *Writer) endOpen() error {
	if !w.open.exists {
		return w.err
	}
	if _, err := w.EndFragment(); !errors.Is(err, ErrNoFragment) {
		return err
	}
	return nil
}

// Empty reports whether the open fragment has no frame yet: then it is not to be flushed, so that it can still be removed.
func (w *Writer) Empty() bool {
	return w.open.exists && w.open.inBuffer && len(w.buffer) == w.open.headAt+ClusterHeadSize
}

// Flush writes the buffer, also of a fragment that is still open: after a crash a reader finds its complete blocks.
func (w *Writer) Flush() error {
	if w.err != nil {
		return w.err
	}
	if len(w.buffer) == 0 {
		return nil
	}
	if w.open.exists {
		w.addBuffer()
	}
	n, err := w.file.Write(w.buffer)
	w.size += int64(n)
	if w.err = err; err != nil {
		return err
	}
	w.written, w.buffered = w.written+w.buffered, 0
	if w.buffer = w.buffer[:0]; cap(w.buffer) > 2*w.limit { // a frame larger than its limit made it grow
		w.buffer = make([]byte, 0, w.limit)
	}
	w.open.inBuffer = false
	return nil
}

// Fragments returns the completed fragments, first to last. The caller must not change the list.
func (w *Writer) Fragments() []Fragment { return w.fragments }

// Size returns the number of bytes written and buffered so far.
func (w *Writer) Size() int64 { return w.size + int64(len(w.buffer)) }

// FrameSize returns how many bytes a frame takes in a file, with its head.
func FrameSize(video bool, parts [][]byte) int64 {
	n := int64(blockHeadSize)
	for _, p := range parts {
		n += int64(len(p))
		if video {
			n += nalLengthSize
		}
	}
	return n
}

// The most that finish appends: Cues with their head, and for each keyframe a CuePoint with CueTime, CueTrackPositions,
// CueTrack and CueClusterPosition.
const (
	maxCuesHead = 4 + 8
	maxCuePoint = 2 + (2 + 8) + 2 + 3 + (2 + 8)
)

// FinalSize returns the most that the file will have if it is closed now, with one more fragment, and one more keyframe.
func (w *Writer) FinalSize() int64 {
	return w.Size() + sumSize + ClusterHeadSize + maxCuesHead + int64(len(w.fragments)+len(w.inner)+3)*maxCuePoint
}

// Written returns the number of video frames in the file, without those still in the buffer.
func (w *Writer) Written() int { return w.written }

// Close ends the open fragment and finishes the file: sizes, duration, cues. It does not close it.
func (w *Writer) Close() error {
	if err := w.endOpen(); err != nil {
		return err
	}
	size, err := finish(w.file, w.at, w.size, contents{w.fragments, w.inner}, nil)
	w.size, w.err = size, cmp.Or(err, errClosed)
	return err
}

var errClosed = errors.New("the segment is closed")
