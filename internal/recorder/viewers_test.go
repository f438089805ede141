package recorder

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hls"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// viewer plays the live stream as a player does, and reads the stamps of the frames that it gets.
type viewer struct {
	player *hls.Player
	number int      // of the newest media segment that it has loaded
	seen   []uint64 // counters
}

// load loads the playlist, and the media segments that are new.
func (v *viewer) load(ctx context.Context) error {
	playlist, err := v.player.Media(ctx, hls.Span{Stream: "door"})
	if refusal := new(hls.Refusal); errors.As(err, &refusal) {
		return nil // nothing was recorded yet
	}
	if err != nil {
		return err
	}
	number := -1
	for line := range strings.Lines(string(playlist.Text)) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "#EXT-X-MEDIA-SEQUENCE:"); ok {
			number, _ = strconv.Atoi(text)
		}
		if !strings.HasPrefix(line, hls.NamePart) {
			continue
		}
		if number > v.number {
			if v.number > 0 && number != v.number+1 {
				return fmt.Errorf("media segment %d follows %d", number, v.number)
			}
			if err := v.part(ctx, line); err != nil {
				return err
			}
			v.number = number
		}
		number++
	}
	return nil
}

// part loads a media segment.
func (v *viewer) part(ctx context.Context, line string) error {
	address, err := url.Parse(line)
	if err != nil {
		return err
	}
	id, _ := layout.ParseID(address.Query().Get(hls.ParamSegment))
	at := func(name string, missing time.Duration) time.Duration {
		ms, err := strconv.Atoi(address.Query().Get(name))
		if err != nil {
			return missing
		}
		return time.Duration(ms) * time.Millisecond
	}
	m, err := v.player.Part(ctx, hls.Span{Stream: "door"}, id, at(hls.ParamStart, 0), at(hls.ParamEnd, hls.UntilEnd))
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	var data strings.Builder
	if _, err := m.WriteTo(&data); err != nil {
		return err
	}
	var parts fmp4.Parts
	if err := parts.Unmarshal([]byte(data.String())); err != nil {
		return err
	}
	for _, sample := range parts[0].Tracks[0].Samples {
		stamp, ok := stamps.OfAccessUnit(sample.Payload)
		if !ok {
			return errors.New("a frame without a stamp")
		}
		if n := len(v.seen); n > 0 && stamp.Counter != v.seen[n-1]+1 {
			return fmt.Errorf("frame %d follows frame %d", stamp.Counter, v.seen[n-1])
		}
		v.seen = append(v.seen, stamp.Counter)
	}
	return nil
}

// TestViewersSeeEachFrameAndCostNone: eight players play a camera while it is recorded, in fragments of 10 s with a GOP a second. Each gets
// every frame once, a GOP after it was written at the latest, and none is lost to the recording.
func TestViewersSeeEachFrameAndCostNone(t *testing.T) {
	t.Parallel()
	const viewers, frames, gop = 8, 14 * 25, 25
	camera := startCamera(t, fakecam.Options{Audio: fakecam.AudioAAC})
	dir := t.TempDir()
	store := openStore(t, segment.Options{Dir: dir})
	ctx, stop := context.WithTimeout(t.Context(), patience)
	synced := make(chan error, 1)
	go func() { synced <- store.Run(ctx) }()
	defer func() { stop(); <-synced }()
	r := recordInto(t, store, dir, "door", camera, camera.URL(), func(o *Options) {
		o.FragmentTarget = func() time.Duration { return 10 * time.Second }
	})
	player := hls.New(store, time.Now)
	ended := make(chan error, viewers)
	for range viewers {
		go func() {
			v := &viewer{player: player}
			for len(v.seen) < frames {
				if err := v.load(ctx); err != nil {
					ended <- err
					return
				}
				// What is in the file now is listed as soon as it is synced, but for its last GOP, whose end may be still to come.
				written, listed := r.number(health.FramesRecorded), int64(len(v.seen))
				for written-listed > 2*gop {
					if err := v.load(ctx); err != nil {
						ended <- err
						return
					}
					listed = int64(len(v.seen))
					if backoff.Sleep(ctx, 10*time.Millisecond) != nil {
						ended <- ctx.Err()
						return
					}
				}
				if backoff.Sleep(ctx, 100*time.Millisecond) != nil {
					ended <- ctx.Err()
					return
				}
			}
			ended <- nil
		}()
	}
	for range viewers {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	r.expectOneSession()
	if lost := r.number(health.FramesLost); lost != 0 {
		t.Errorf("%d frames were lost", lost)
	}
}
