package queue

import (
	"errors"
	"io"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// Header of the segment that Peek's fragment is in, with the tracks that are sent.
func (q *Queue) Header() mkv.Header { return q.open.tracks.Header }

// Media of Peek's fragment behind its cluster head; omitted names the sound that is not in it. Where not all
// tracks are sent it is read through cut; it fails with mkv.ErrNoFrame when nothing of the fragment can be sent.
func (q *Queue) Media(f Fragment, cut *mkv.Cut) (media kvs.Media, omitted string, err error) {
	tracks, reader := &q.open.tracks, q.open.reader
	if f.Split == nil && tracks.Whole() {
		return io.NewSectionReader(reader, f.Stored.Offset+mkv.ClusterHeadSize, f.Stored.Size-mkv.ClusterHeadSize), "", nil
	}
	if !tracks.Whole() {
		omitted = codecName(tracks.Left[0])
	}
	if f.Split == nil {
		err = cut.Load(reader, f.Stored, tracks.Selection)
	} else {
		err = cut.LoadPart(reader, f.Stored, tracks.Selection, f.Split.parts[f.Part])
	}
	switch {
	case err == nil:
		return cut, omitted, nil
	case errors.Is(err, mkv.ErrNoFrame):
		return nil, omitted, err
	}
	return unreadable{err}, omitted, nil // the session fails with it, as with whatever cannot be read while it is sent
}

// unreadable is the media of a fragment that the disk does not return.
type unreadable struct{ err error }

func (u unreadable) Read([]byte) (int, error) { return 0, u.err }

// Size implements kvs.Media: there is something to read.
func (u unreadable) Size() int64 { return 1 }

// codecName names a track's codec for people.
func codecName(t mkv.Track) string {
	if t.CodecID == mkv.CodecACM {
		return "G.711" // the only one that is recorded as ACM
	}
	return t.CodecID
}

// Split finds the parts of a whole fragment; nil when it cannot be sent in parts.
func (q *Queue) Split(f Fragment) *Split {
	reader, err := q.o.Store.OpenSegment(f.Key)
	if err != nil {
		return nil // the next session finds out
	}
	defer func() { _ = reader.Close() }() // was only read
	audio := q.o.Audio()
	parts, err := mkv.Parts(reader, f.Stored, mkv.Select(reader.Header(), audio.sends), kvslimit.MinFragment)
	if err != nil || len(parts) < 2 {
		return nil
	}
	return newSplit(audio, parts)
}
