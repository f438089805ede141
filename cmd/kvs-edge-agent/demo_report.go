package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// settlePoll is how often the count is taken while the last fragments arrive.
const settlePoll = 250 * time.Millisecond

// report is the frame-by-frame account of a demo.
type report struct {
	sent, local, cloud tally
	lags               []time.Duration
}

// settleAndReport stops the camera, lets the agent finish, stops the agent and prints the account.
// The first error is the verdict on the frames; the second says that no verdict could be reached.
func (d *demo) settleAndReport(ctx context.Context) (verdict, err error) {
	r := &report{}
	// What status says while everything runs; afterwards it would tell of an unplugged camera.
	snapshot, err := d.agent.status(ctx)
	if err != nil {
		return nil, err
	}
	if d.camera != nil {
		d.camera.Unplug()
		d.say("camera unplugged; waiting for the last fragments")
	}
	deadline := time.Now().Add(demoSettle)
	for {
		if err := d.count(r); err != nil {
			return nil, err
		}
		if r.complete() || time.Now().After(deadline) {
			break
		}
		if err := backoff.Sleep(ctx, settlePoll); err != nil {
			return nil, err
		}
	}
	if !d.options.keep {
		stop, cancel := context.WithTimeout(ctx, demoSettle)
		defer cancel()
		if err := d.agent.stop(stop); err != nil {
			return nil, err
		}
		if err := d.count(r); err != nil {
			return nil, err
		}
	}
	if err := d.print(r, snapshot); err != nil {
		return nil, err
	}
	if !r.complete() || r.cloud.repeated() > 0 {
		return &exitError{exitFailure, errDemo}, nil
	}
	return nil, nil
}

// count takes the account anew, all three sides.
func (d *demo) count(r *report) error {
	local, err := localFrames(d.recordings())
	if err != nil {
		return err
	}
	r.local = local
	r.cloud, r.lags, err = cloudFrames(d.cloud.Media(), demoStream)
	if err != nil {
		return err
	}
	// With a camera of the user's nobody counts what it sent: the disk is the reference.
	r.sent = r.local
	if d.camera != nil {
		r.sent = sentBy(d.camera.Sessions())
	}
	return nil
}

func (r *report) complete() bool {
	return r.sent.distinct() > 0 && r.lost() == 0
}

func (r *report) lost() int { return r.sent.missingFrom(r.cloud) }

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

func (d *demo) print(r *report, snapshot status.Snapshot) error {
	sent := "unknown (your camera does not number its frames)"
	if d.camera != nil {
		sent = fmt.Sprint(r.sent.distinct())
	}
	fmt.Fprintln(d.out)
	for _, row := range [][2]string{
		{"frames the camera sent", sent},
		{"frames in local segments", fmt.Sprint(r.local.distinct())},
		{"frames persisted in the cloud", fmt.Sprint(r.cloud.distinct())},
		{"lost", fmt.Sprint(r.lost())},
		{"repeated", fmt.Sprint(r.cloud.repeated())},
		{"upload lag", lagText(r.lags)},
		{"segments", d.recordings()},
		{"cloud's copy", d.cloud.Dir()},
		{"agent's log", d.dir + "/log"},
	} {
		fmt.Fprintf(d.out, "  %-30s %s\n", row[0], row[1])
	}
	fmt.Fprintf(d.out, "\nWhile the camera was on, `kvs-edge-agent status --socket %s` said:\n\n", d.agent.socket)
	return status.WriteTable(d.out, snapshot)
}

func lagText(lags []time.Duration) string {
	if len(lags) == 0 {
		return "-"
	}
	return fmt.Sprintf("median %.2f s, worst %.2f s, from a fragment's last frame to its persisted acknowledgement",
		lags[len(lags)/2].Seconds(), lags[len(lags)-1].Seconds())
}

// printPlayground says what one can do while everything stays up.
func (d *demo) printPlayground() {
	fmt.Fprintf(d.out, "\nEverything stays up until Ctrl-C. In another shell:\n\n")
	for _, v := range d.cloud.UserEnv() {
		fmt.Fprintf(d.out, "  export %s\n", v)
	}
	for _, command := range []string{
		"describe-edge-configuration --stream-name " + demoStream,
		"describe-stream --stream-name " + demoStream,
		"list-streams",
	} {
		fmt.Fprintf(d.out, "  aws --endpoint-url %s kinesisvideo %s\n", d.cloud.Endpoint(), command)
	}
	fmt.Fprintf(d.out, "  kvs-edge-agent status --socket %s\n", d.agent.socket)
	if d.camera != nil {
		d.camera.Plug()
	}
}
