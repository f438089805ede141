package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera"
	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/recorder"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/trimrss"
)

func newRecordSession(o recordOptions, streams []string, out io.Writer, store *segment.Store) *recordSession {
	s := &recordSession{o: o, out: out, store: store, health: health.NewRegistry(time.Now)}
	for _, stream := range streams {
		s.recordings = append(s.recordings, &recording{
			stream: stream, part: s.health.Component(stream, health.JobRecorder), line: cameraLine{Event: "camera", Stream: stream},
		})
	}
	return s
}

// run records until ctx ends.
func (s *recordSession) run(ctx context.Context, problems io.Writer) error {
	syncing, stopSyncing := context.WithCancel(context.WithoutCancel(ctx))
	var background, recorders sync.WaitGroup
	background.Go(func() { _ = s.store.Run(syncing) })
	background.Go(func() { s.report(syncing, problems) })
	keeper := s.keeper()
	background.Go(func() { _ = keeper.Run(syncing) })
	background.Go(func() { _ = trimrss.Task(zap.NewNop())(syncing) })
	errs := make([]error, len(s.recordings))
	for i, r := range s.recordings {
		url := s.o.cameras[i]
		set := s.o.settings
		rec := recorder.New(recorder.Options{
			Stream: r.stream, Store: s.store, Health: r.part, Log: zap.NewNop(),
			SegmentDuration: set.SegmentDuration, FlushInterval: set.FlushInterval,
			MaxSegmentBytes: func() int64 { return keeper.SegmentBytes(r.stream) },
			FragmentTarget:  func() time.Duration { return set.FragmentDuration.Target(fragment.Later) },
			TimestampSource: set.Camera.TimestampSource,
			Source: camera.NewSource(camera.Options{
				URL:       func(context.Context) (secret.String, error) { return url, nil },
				Transport: set.Camera.Transport, NoAudio: set.Camera.NoAudio, Roots: set.Camera.Roots,
			}),
			OnSegment: func(seg recorder.Segment) { s.segment(r, seg) },
		})
		s.say("%s: connecting; segments of %s go to %s\n", r.stream, set.SegmentDuration, filepath.Join(s.o.dir, r.stream))
		recorders.Go(func() { errs[i] = rec.Run(ctx) })
	}
	recorders.Wait()
	stopSyncing()
	background.Wait()
	return errors.Join(errs...)
}

// keeper deletes what is too old or too much of these cameras, and keeps space on the disk free. Other files in the
// directory are not touched.
func (s *recordSession) keeper() *retention.Keeper {
	keeper := retention.New(retention.Options{
		Store: s.store, Health: s.health, MinFree: s.o.settings.MinFreeDisk.Of, Default: retention.Policy{OnFull: retention.DenyNew},
	})
	for _, r := range s.recordings {
		keeper.SetPolicy(r.stream, s.o.policy)
	}
	return keeper
}

// segment accounts for a finished segment and prints it.
func (s *recordSession) segment(r *recording, seg recorder.Segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.line.Segments++
	r.line.Bytes += seg.Bytes
	r.line.Seconds += seg.End.Sub(seg.StartTime()).Seconds()
	line := segmentLine{"segment", r.stream, seg.StartTime(), seg.End, seg.Bytes, seg.Frames}
	if s.o.asJSON {
		s.json(line)
		return
	}
	fmt.Fprintf(s.out, "%s  %s  %s  %s  %s\n", humanize.Millis(seg.StartTime().Local()), r.stream,
		humanize.Length(seg.End.Sub(seg.StartTime())), humanize.Count(seg.Frames, "frame"), humanize.Bytes(seg.Bytes))
}
