package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

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
	if r.readBack, err = d.playLast(ctx, r); err != nil {
		return nil, err
	}
	if err := d.print(r, snapshot); err != nil {
		return nil, err
	}
	if verdict = d.verdict(r, snapshot); verdict == nil {
		verdict = d.streamFileVerdict(snapshot)
	}
	return verdict, nil
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

// verdict says in a sentence what the result is.
func (d *demo) verdict(r *report, snapshot status.Snapshot) error {
	lost, twice := r.video.lost()+r.audio.lost(), r.video.cloud.repeated()+r.audio.cloud.repeated()
	if r.complete() && twice == 0 {
		what := "is on the disk"
		if d.camera != nil {
			what = "the camera sent"
		}
		where := "in the cloud"
		if d.options.noCloud {
			where = "on the disk"
		}
		fmt.Fprintf(d.out, "\nNothing was lost and nothing came twice: every frame that %s is %s once.\n", what, where)
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
