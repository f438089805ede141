package main

import (
	"context"
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// playLast plays the end of the stream as players do, and returns which frame that ends with: it must be the last one that is
// persisted; "" = there is nothing to play. What a camera of the user's sends need not be playable: then it says why.
func (d *demo) playLast(ctx context.Context, r *report) (string, error) {
	if d.options.noCloud || r.video.cloud.distinct() == 0 {
		return "", nil
	}
	frame, fragments, err := d.cloud.PlayLast(ctx, demoStream)
	if err != nil {
		if d.camera == nil {
			return "no: " + err.Error(), nil
		}
		return "", fmt.Errorf("the media in the cloud cannot be played: %w", err)
	}
	of := "of " + humanize.Count(fragments, "fragment")
	stamp, numbered := stamps.OfAccessUnit(frame)
	switch {
	case numbered && d.camera != nil && stamp.Counter != r.video.cloud.newest():
		return "", fmt.Errorf("a player of the media in the cloud ends with frame %d, and the last one that is persisted is %d", stamp.Counter,
			r.video.cloud.newest())
	case numbered && d.camera != nil:
		first := uint64(d.began.Unix()) << 20 // as setUp has the camera count
		return fmt.Sprintf("frame %d, the last one %s", stamp.Counter-first+1, of), nil
	case d.camera != nil:
		return "", fmt.Errorf("the last frame that the cloud plays, of %d bytes, has no number", len(frame))
	}
	return fmt.Sprintf("a frame of %d bytes, the last one %s", len(frame), of), nil
}
