package queue

import (
	"errors"
	"io"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// Header returns the header of the segment with Peek's fragment, with the tracks that are sent.
func (q *Queue) Header() mkv.Header { return q.open.tracks.Header }

// Omitted is the audio of a fragment that is not sent.
type Omitted struct {
	Name  string // its codec for people; "" when all audio is sent
	Never bool   // with no setting it is sent
}

// Media returns the media of Peek's fragment without the cluster's head; omitted is the audio that is not in it. Where not
// all tracks are sent it is read through cut; Media fails with mkv.ErrNoFrame when the fragment has no frame to send.
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
	return unreadable{err}, omitted, nil // the session fails with it, as with any read error while a fragment is sent
}

// unreadable is the media of a fragment that cannot be read from the disk.
type unreadable struct{ err error }

func (u unreadable) Read([]byte) (int, error) { return 0, u.err }

// Size implements kvs.Media; it is not 0, so that Read is called.
func (u unreadable) Size() int64 { return 1 }

// Split finds the parts of a whole fragment; nil when it cannot be sent in parts.
func (q *Queue) Split(f Fragment) *Split {
	reader, err := q.o.Store.OpenSegment(f.Key)
	if err != nil {
		return nil // the next session reports it
	}
	defer func() { _ = reader.Close() }() // was only read
	mode := q.o.Audio()
	parts, err := mkv.Parts(reader, f.Stored, mkv.Select(reader.Header(), mode.sends), kvslimit.MinFragment)
	if err != nil || len(parts) < 2 {
		return nil
	}
	return newSplit(mode, parts)
}
