package queue

import (
	"errors"
	"io"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// Audio is which sound is sent with the video.
type Audio uint8

// The values of Audio.
const (
	// AudioPlayable sends AAC. The console and HLS play video alone or with AAC; other sound beside
	// it takes playback away (KVS developer guide, "HLS playback", "GetClip").
	AudioPlayable Audio = iota
	AudioAll            // sends all sound
)

// sends reports whether a track is sent.
func (a Audio) sends(t mkv.Track) bool {
	return a == AudioAll || t.Kind != mkv.Audio || t.CodecID == mkv.CodecAAC
}

// trackChoice is which tracks of the open segment are sent. It stays as it is from one Peek to the next.
type trackChoice struct {
	mkv.Selection
	audio  Audio
	chosen bool
}

// chooseTracks follows the setting.
func (o *opened) chooseTracks(audio Audio) {
	if !o.tracks.chosen || o.tracks.audio != audio {
		o.tracks = trackChoice{Selection: mkv.Select(o.reader.Header(), audio.sends), audio: audio, chosen: true}
	}
}

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
