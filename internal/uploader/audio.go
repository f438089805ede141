package uploader

import (
	"errors"
	"io"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
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

// choice is which tracks of the open segment are sent. It stays as it is from one peek to the next.
type choice struct {
	mkv.Selection
	of    *segment.Reader
	audio Audio
}

// choose follows the open segment and the setting.
func (q *queue) choose() {
	if audio := q.audio(); q.chosen.of != q.reader || q.chosen.audio != audio {
		q.chosen = choice{Selection: mkv.Select(q.reader.Header(), audio.sends), of: q.reader, audio: audio}
	}
}

// media of peek's fragment behind its cluster head. Where not all tracks are sent it is read through
// cut; it fails with mkv.ErrNoFrame when nothing of the fragment can be sent.
func (q *queue) media(s *shot, cut *mkv.Cut) (kvs.Media, error) {
	if s.split == nil && q.chosen.Whole() {
		return io.NewSectionReader(q.reader, s.frag.Offset+mkv.ClusterHeadSize, s.frag.Size-mkv.ClusterHeadSize), nil
	}
	if !q.chosen.Whole() {
		s.left = nameOf(q.chosen.Left[0])
	}
	load := func() error { return cut.Load(q.reader, s.frag, q.chosen.Selection) }
	if s.split != nil {
		load = func() error { return cut.LoadPart(q.reader, s.frag, q.chosen.Selection, s.split.parts[s.part]) }
	}
	err := load()
	switch {
	case err == nil:
		return cut, nil
	case errors.Is(err, mkv.ErrNoFrame):
		return nil, err
	}
	return unreadable{err}, nil // the session fails with it, as with whatever cannot be read while it is sent
}

// unreadable is the media of a fragment that the disk does not give.
type unreadable struct{ err error }

func (u unreadable) Read([]byte) (int, error) { return 0, u.err }

// Size implements kvs.Media: there is something to read.
func (u unreadable) Size() int64 { return 1 }

// nameOf names a track's codec for people.
func nameOf(t mkv.Track) string {
	if t.CodecID == mkv.CodecACM {
		return "G.711" // the only one that is recorded as ACM
	}
	return t.CodecID
}

// reportSound says that sound is left out, by the newest media that got through: a live upload sends
// older media in between, which says nothing about what the camera sends now.
func (u *Uploader) reportSound(s shot) {
	if s.began().Before(u.soundAt) && u.o.Audio() != AudioAll {
		return
	}
	if s.began().After(u.soundAt) {
		u.soundAt = s.began()
	}
	if s.left == "" {
		if u.o.Health.OK(ScopeAudio) {
			u.log.Info("sound is part of the upload again, or the camera sends none")
		}
		return
	}
	fault := health.UserFault(CodeAudio, nil, "The sound of stream %s is %s, with which neither the console nor HLS plays the video: "+
		"it is recorded on the hub and left out of the upload. Set the camera to AAC, or AWS_KVS_EDGE_AUDIO to on (send it all the same) or off.",
		u.o.Stream, s.left)
	if u.o.Health.Report(ScopeAudio, health.Info, fault) {
		u.log.Info("sound is left out of the upload", zap.String("codec", s.left))
	}
}
