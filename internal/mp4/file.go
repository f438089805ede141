package mp4

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// Disk is the file that a File is written to. It is empty at first.
type Disk interface {
	io.WriterAt
	io.ReaderAt
}

// File makes a fragmented movie, which is written to it as it comes, a file with an index: one that every player seeks in at once,
// also over HTTP, as its index is in front. The movie becomes the content of the box with the media, and the index points into it. What
// is in memory does not depend on the movie's length, but for 16 bytes a fragment: the index is computed from the fragments on the disk.
//
//	ftyp
//	moov, free      the index, in the room that is reserved for it; behind the media when it is too small
//	mdat            ftyp, moov, moof, mdat, moof, mdat, …: as it was streamed
type File struct {
	disk  Disk
	start int64 // of the streamed movie
	end   int64
}

// mediaHead is the size of the head of a box with 64 bits for its size.
const mediaHead = boxHead + 8

// NewFile writes what precedes the movie, with room for an index of that many bytes.
func NewFile(disk Disk, index int64) (*File, error) {
	if index = max(index, boxHead); index > math.MaxUint32 {
		return nil, tooLong(index)
	}
	head := append(fileType(), freeHead(index)...)
	media := int64(len(head)-boxHead) + index
	f := &File{disk: disk, start: media + mediaHead}
	f.end = f.start
	if _, err := disk.WriteAt(head, 0); err != nil {
		return nil, err
	}
	_, err := disk.WriteAt(append(u32(1), "mdat\x00\x00\x00\x00\x00\x00\x00\x00"...), media)
	return f, err
}

func tooLong(index int64) error {
	return fmt.Errorf("an index of %d bytes is too long for one file of MP4: export a shorter time, or to Matroska", index)
}

func freeHead(size int64) []byte { return append(u32(uint32(size)), "free"...) }

// Write implements io.Writer for the movie.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.disk.WriteAt(p, f.end)
	f.end += int64(n)
	return n, err
}

// Finish writes the index, unless ctx ends before. It returns the size of the file.
func (f *File) Finish(ctx context.Context) (int64, error) {
	s, err := f.survey(ctx)
	if err != nil {
		return 0, err
	}
	parts, err := s.index(f.end)
	if err != nil {
		return 0, err
	}
	at, room := int64(len(fileType())), f.start-mediaHead-int64(len(fileType()))
	size, left := sizeOf(parts), int64(0)
	if left = room - size; left != 0 && left < boxHead {
		at, left = f.end, 0
	}
	if size > math.MaxUint32 {
		return 0, tooLong(size)
	}
	w := &placedWriter{f.disk, at}
	out := bufio.NewWriterSize(w, 256<<10)
	for _, p := range parts {
		if err := p.write(ctx, s, out); err != nil {
			return 0, err
		}
	}
	if left > 0 {
		if _, err := out.Write(freeHead(left)); err != nil {
			return 0, err
		}
	}
	if err := out.Flush(); err != nil {
		return 0, err
	}
	_, err = f.disk.WriteAt(u64(uint64(f.end-f.start+mediaHead)), f.start-8)
	return max(f.end, w.at), err
}

// placedWriter writes from an offset on.
type placedWriter struct {
	to io.WriterAt
	at int64
}

func (w *placedWriter) Write(p []byte) (int, error) {
	n, err := w.to.WriteAt(p, w.at)
	w.at += int64(n)
	return n, err
}

// errNotMovie: what was written is not a fragmented movie of this package.
var errNotMovie = errors.New("the MP4 stream is not valid")

// span is a range of bytes in the file.
type span struct{ at, size int64 }

// survey is what is known of a streamed movie.
type survey struct {
	disk      io.ReaderAt
	header    []byte // the moov box
	fragments []span // the moof boxes
	counts    map[uint32]*count
	read      fragmentReader
}

// maxHeader bounds what is read into memory at once: a header, or the description of a fragment.
const maxHeader = 64 << 20

// survey finds the fragments, and counts their samples.
func (f *File) survey(ctx context.Context) (*survey, error) {
	s := &survey{disk: f.disk, counts: make(map[uint32]*count)}
	for at := f.start; at < f.end; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var head [boxHead]byte
		if _, err := f.disk.ReadAt(head[:], at); err != nil {
			return nil, fmt.Errorf("%w: %w", errNotMovie, err)
		}
		size, kind := int64(binary.BigEndian.Uint32(head[:])), string(head[4:])
		if size < boxHead || size > f.end-at || kind != "mdat" && size > maxHeader {
			return nil, errNotMovie
		}
		switch kind {
		case "moov":
			s.header = make([]byte, size)
			if _, err := f.disk.ReadAt(s.header, at); err != nil {
				return nil, err
			}
		case "moof":
			s.fragments = append(s.fragments, span{at, size})
		}
		at += size
	}
	if s.header == nil || len(s.fragments) == 0 {
		return nil, errNotMovie
	}
	err := s.each(ctx, func(track uint32, offset uint64, samples []Sample) {
		if s.counts[track] == nil {
			s.counts[track] = newCount()
		}
		s.counts[track].add(offset, samples)
	})
	for _, c := range s.counts {
		c.end()
	}
	return s, err
}

// each calls fn for all chunks, in order, until ctx ends.
func (s *survey) each(ctx context.Context, fn func(track uint32, offset uint64, samples []Sample)) error {
	for _, f := range s.fragments {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.read.fragment(s.disk, f, fn); err != nil {
			return err
		}
	}
	return nil
}

// fragmentReader reads the descriptions of fragments. It reuses its memory.
type fragmentReader struct {
	data    []byte
	samples []Sample
}

func (r *fragmentReader) fragment(disk io.ReaderAt, f span, fn func(track uint32, offset uint64, samples []Sample)) error {
	r.data = slices.Grow(r.data[:0], int(f.size))[:f.size]
	if _, err := disk.ReadAt(r.data, f.at); err != nil {
		return err
	}
	valid := true
	ok := children(r.data[boxHead:], func(kind string, traf []byte) {
		if kind == "traf" {
			valid = r.track(f.at, traf, fn) && valid
		}
	})
	if !ok || !valid {
		return errNotMovie
	}
	return nil
}

// track reads the samples of a track in a fragment.
func (r *fragmentReader) track(base int64, traf []byte, fn func(track uint32, offset uint64, samples []Sample)) bool {
	var id uint32
	var time uint64
	valid := true
	ok := children(traf[boxHead:], func(kind string, b []byte) {
		switch {
		case kind == "tfhd" && len(b) >= fullHead+4:
			id = binary.BigEndian.Uint32(b[fullHead:])
		case kind == "tfdt" && len(b) >= fullHead+8:
			time = binary.BigEndian.Uint64(b[fullHead:])
		case kind == "trun":
			valid = r.run(b, &time) && valid
			if valid {
				fn(id, uint64(base)+uint64(binary.BigEndian.Uint32(b[tableHead:])), r.samples)
			}
		}
	})
	return ok && valid
}

// run reads a run of samples, as appendRun writes it.
func (r *fragmentReader) run(b []byte, time *uint64) bool {
	if len(b) < tableHead+4 {
		return false
	}
	flags, n := binary.BigEndian.Uint32(b[boxHead:])&0xFF_FFFF, binary.BigEndian.Uint32(b[fullHead:])
	video := flags&(runFlags|runTimes) == runFlags|runTimes
	row := 8
	if video {
		row = 16
	}
	rows := b[tableHead+4:]
	if flags&(runOffset|runDurations|runSizes) != runOffset|runDurations|runSizes || flags&runFirstFlags != 0 ||
		uint64(len(rows)) != uint64(n)*uint64(row) {
		return false
	}
	r.samples = r.samples[:0]
	for ; len(rows) > 0; rows = rows[row:] {
		s := Sample{Time: *time, Duration: binary.BigEndian.Uint32(rows), Size: binary.BigEndian.Uint32(rows[4:]), Sync: true}
		if video {
			s.Sync = binary.BigEndian.Uint32(rows[8:])&sampleNot == 0
			s.Offset = int32(binary.BigEndian.Uint32(rows[12:]))
		}
		*time += uint64(s.Duration)
		r.samples = append(r.samples, s)
	}
	return true
}
