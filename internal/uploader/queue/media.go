package queue

import (
	"errors"
	"io"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// Header of the segment that Peek's fragment is in, with the tracks that are sent.
func (q *Queue) Header() mkv.Header { return q.open.tracks.Header }

// Omitted is the sound of a fragment that is not sent.
type Omitted struct {
	Name  string // its codec for people; "" when all is sent
	Never bool   // no setting has it sent
}

// Media of Peek's fragment behind its cluster head; omitted is the sound that is not in it. Where not all
// tracks are sent it is read through cut; it fails with mkv.ErrNoFrame when nothing of the fragment can be sent.
func (q *Queue) Media(f Fragment, cut *mkv.Cut) (media kvs.Media, omitted Omitted, err error) {
	tracks, reader := &q.open.tracks, q.open.reader
	if f.Split == nil && tracks.Whole() {
		return io.NewSectionReader(reader, f.Stored.Offset+mkv.ClusterHeadSize, f.Stored.Size-mkv.ClusterHeadSize), Omitted{}, nil
	}
	if !tracks.Whole() {
		left := tracks.Left[0]
		omitted = Omitted{Name: audio.NameOf(left), Never: audio.UploadOf(left) == audio.Never}
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

// Split finds the parts of a whole fragment; nil when it cannot be sent in parts.
func (q *Queue) Split(f Fragment) *Split {
	reader, err := q.o.Store.OpenSegment(f.Key)
	if err != nil {
		return nil // the next session finds out
	}
	defer func() { _ = reader.Close() }() // was only read
	mode := q.o.Audio()
	parts, err := mkv.Parts(reader, f.Stored, mkv.Select(reader.Header(), mode.sends), kvslimit.MinFragment)
	if err != nil || len(parts) < 2 {
		return nil
	}
	return newSplit(mode, parts)
}
