package main

import (
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// account compares one kind of media: frames of video, or blocks of audio.
type account struct {
	reference tally // what must be in the cloud
	local     tally
	cloud     tally
}

func (a *account) lost() int { return a.reference.missingFrom(a.cloud) }

// report is the frame-by-frame account of a demo.
type report struct {
	video, audio account
	lags         []time.Duration
	readBack     string // what a player gets of the cloud; "" = nothing
}

func (r *report) complete() bool {
	return r.video.reference.distinct() > 0 && r.video.lost() == 0 && r.audio.lost() == 0
}

// count takes the account again, of disk and cloud.
func (d *demo) count(r *report) error {
	video, audio, err := localMedia(d.recordings())
	if err != nil {
		return err
	}
	r.video.local, r.audio.local = video.within(r.video.reference), audio.within(r.audio.reference)
	if d.options.noCloud { // the disk is where all must be
		r.video.cloud, r.audio.cloud = r.video.local, r.audio.local
		return nil
	}
	if video, r.lags, err = cloudFrames(d.cloud.Media(), demoStream); err != nil {
		return err
	}
	if audio, err = cloudAudio(d.cloud.Dir(), demoStream); err != nil {
		return err
	}
	r.video.cloud, r.audio.cloud = video.within(r.video.reference), audio.within(r.audio.reference)
	return nil
}

// cloudFrames tallies the persisted frames of a stream. The lags are from the last frame of each
// fragment to its persisted acknowledgement.
func cloudFrames(service *media.Service, stream string) (tally, []time.Duration, error) {
	frames := tally{}
	fragments := service.Fragments(stream)
	newest := make([]time.Time, len(fragments))
	for frame, err := range service.Frames(stream) {
		if err != nil {
			return nil, nil, err
		}
		frames[identify(frame.Producer, frame.Data)]++
		if frame.Fragment < len(newest) && frame.Producer.After(newest[frame.Fragment]) {
			newest[frame.Fragment] = frame.Producer
		}
	}
	var lags []time.Duration
	for i, fragment := range fragments {
		if !newest[i].IsZero() {
			lags = append(lags, fragment.Server.Sub(newest[i]))
		}
	}
	slices.Sort(lags)
	return frames, lags, nil
}
