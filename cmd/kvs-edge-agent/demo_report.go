package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

const (
	// settlePoll is how often the count is taken while the last fragments arrive.
	settlePoll = 250 * time.Millisecond
	// settleSay is how often it is said that they are waited for.
	settleSay = 5 * time.Second
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
}

func (r *report) complete() bool {
	return r.video.reference.distinct() > 0 && r.video.lost() == 0 && r.audio.lost() == 0
}

// settleAndReport stops the camera, lets the agent finish, stops the agent and prints the account.
// The first error is the verdict on the frames; the second says that no verdict could be reached.
func (d *demo) settleAndReport(ctx context.Context) (verdict, err error) {
	// What status says while everything runs; afterwards it would show an unplugged camera.
	snapshot, err := d.agent.status(ctx)
	if err != nil {
		return nil, err
	}
	r, err := d.reference()
	if err != nil {
		return nil, err
	}
	if err := d.settle(ctx, r); err != nil {
		return nil, err
	}
	if !d.options.keep {
		stop, cancel := context.WithTimeout(ctx, demoSettle)
		defer cancel()
		if err := d.agent.stop(stop); err != nil {
			d.scratch = false
			return nil, err
		}
		if err := d.count(r); err != nil {
			return nil, err
		}
	}
	if err := d.print(r, snapshot); err != nil {
		return nil, err
	}
	return d.verdict(r, snapshot), nil
}

// reference is what must be in the cloud: what the fake camera sent until it was unplugged; or, as nobody counts what a
// camera of the user's sends, what is on the disk by now, while it is recorded on.
func (d *demo) reference() (*report, error) {
	r := &report{}
	if d.camera != nil {
		d.camera.Unplug()
		d.say("camera unplugged; waiting for the last fragments")
		r.video.reference, r.audio.reference = sentBy(d.camera.Sessions()), tally{}
		return r, nil
	}
	video, audio, err := localMedia(d.recordings())
	r.video.reference, r.audio.reference = video.since(d.began), audio.since(d.began)
	d.say("comparing what is recorded by now with the cloud; waiting for the last fragments")
	return r, err
}

// settle waits until everything is in the cloud, but not for ever.
func (d *demo) settle(ctx context.Context, r *report) error {
	began := time.Now()
	said := began
	for {
		if err := d.count(r); err != nil {
			return err
		}
		if r.complete() || r.video.reference.distinct() == 0 || time.Since(began) > demoSettle {
			return nil
		}
		if time.Since(said) >= settleSay {
			said = time.Now()
			d.say("%s of video and %s of audio are not in the cloud yet", humanize.Count(r.video.lost(), "frame"),
				humanize.Count(r.audio.lost(), "block"))
		}
		if err := backoff.Sleep(ctx, settlePoll); err != nil {
			return err
		}
	}
}

// verdict says in a sentence how it went.
func (d *demo) verdict(r *report, snapshot status.Snapshot) error {
	lost, twice := r.video.lost()+r.audio.lost(), r.video.cloud.repeated()+r.audio.cloud.repeated()
	if r.complete() && twice == 0 {
		what := "is on the disk"
		if d.camera != nil {
			what = "the camera sent"
		}
		fmt.Fprintf(d.out, "\nNothing was lost and nothing came twice: every frame that %s is in the cloud once.\n", what)
		return nil
	}
	if r.video.reference.distinct() == 0 {
		why := "the camera sent nothing until the end"
		for _, st := range snapshot.Streams {
			if text, _ := firstSentence(st); text != "" {
				why = text
			}
		}
		return &exitError{exitFailure, fmt.Errorf("nothing was recorded: %s", why)}
	}
	d.scratch = false
	text := fmt.Sprintf("%d frames or blocks were lost and %d came twice; everything is kept in %s", lost, twice, d.dir)
	return &exitError{exitFailure, errors.New(text)}
}

// count takes the account again, of disk and cloud.
func (d *demo) count(r *report) error {
	video, audio, err := localMedia(d.recordings())
	if err != nil {
		return err
	}
	r.video.local, r.audio.local = video.within(r.video.reference), audio.within(r.audio.reference)
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
