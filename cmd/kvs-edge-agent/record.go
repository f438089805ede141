package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/recorder"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

type recordOptions struct {
	dir      string
	duration time.Duration
	segment  time.Duration
	asJSON   bool
	cameras  []string
}

func newRecordCommand() *cobra.Command {
	var o recordOptions
	cmd := &cobra.Command{
		Use:   "record [flags] rtsp://… [rtsp://…]",
		Short: "Record cameras to segment files, without a cloud and without a configuration",
		Long: `Records each camera into a directory of its own, named after its host and path, with the recorder
and the store of the agent. Prints a line for each finished segment and, at the end, a summary of
each camera. Without --duration it records until it is stopped.

Exit code: 0 when every camera was recorded, 1 when one of them gave nothing.`,
		Args: arguments(1, math.MaxInt, "name at least one camera, such as rtsp://user:password@192.168.1.20/path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.cameras = args
			if o.duration < 0 || o.segment < time.Second {
				return &exitError{exitSettings, errors.New("--duration must not be negative, and --segment-duration must be at least 1s")}
			}
			return runRecord(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", "recordings", "where the segments are kept")
	flags.DurationVar(&o.duration, "duration", 0, "how long to record (default: until stopped)")
	flags.DurationVar(&o.segment, "segment-duration", recorder.DefaultSegmentDuration, "when a segment ends, at the next keyframe")
	flags.BoolVar(&o.asJSON, "json", false, "print JSON, one object a line")
	return cmd
}

// segmentLine is printed for each segment, cameraLine for each camera at the end.
type segmentLine struct {
	Event  string    `json:"event"` // segment
	Stream string    `json:"stream"`
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	Bytes  int64     `json:"bytes"`
	Frames int       `json:"frames"`
}

type cameraLine struct {
	Event      string  `json:"event"` // camera
	Stream     string  `json:"stream"`
	Segments   int     `json:"segments"`
	Frames     int64   `json:"frames"`
	FramesLost int64   `json:"frames_lost"`
	Gaps       int64   `json:"gaps"`
	Seconds    float64 `json:"seconds"`
	Bytes      int64   `json:"bytes"`
	BitrateBPS int64   `json:"bitrate_bps"`
	Problem    string  `json:"problem,omitempty"`
}

// recording is one camera being recorded.
type recording struct {
	stream  string
	part    *health.Part
	problem string // the last sentence about it
	line    cameraLine
}

// recordSession is one run of the command.
type recordSession struct {
	o          recordOptions
	out        io.Writer
	store      *segment.Store
	health     *health.Registry
	recordings []*recording

	mu sync.Mutex // guards out, and line of each recording
}

func runRecord(ctx context.Context, out, problems io.Writer, o recordOptions) error {
	streams, err := streamNames(o.cameras)
	if err != nil {
		return &exitError{exitSettings, err}
	}
	store, err := segment.Open(segment.Options{Dir: o.dir})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	s := &recordSession{o: o, out: out, store: store, health: health.NewRegistry(time.Now)}
	for _, stream := range streams {
		s.recordings = append(s.recordings, &recording{
			stream: stream, part: s.health.Part(stream, health.JobRecorder), line: cameraLine{Event: "camera", Stream: stream},
		})
	}
	if err := s.run(ctx, problems); err != nil {
		return err
	}
	return s.summarize()
}

// run records until ctx ends.
func (s *recordSession) run(ctx context.Context, problems io.Writer) error {
	syncing, stopSyncing := context.WithCancel(context.WithoutCancel(ctx))
	var background, recorders sync.WaitGroup
	background.Go(func() { _ = s.store.Run(syncing) })
	background.Go(func() { s.tell(syncing, problems) })
	errs := make([]error, len(s.recordings))
	for i, r := range s.recordings {
		camera := secret.New(s.o.cameras[i])
		rec := recorder.New(recorder.Options{
			Stream: r.stream, Store: s.store, Health: r.part, Log: zap.NewNop(), SegmentDuration: s.o.segment,
			URL:       func(context.Context) (secret.String, error) { return camera, nil },
			OnSegment: func(seg recorder.Segment) { s.segment(r, seg) },
		})
		recorders.Go(func() { errs[i] = rec.Run(ctx) })
	}
	recorders.Wait()
	stopSyncing()
	background.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
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
	fmt.Fprintf(s.out, "%s  %s  %7.1f s  %6d frames  %8.2f MB\n",
		seg.StartTime().Local().Format("15:04:05.000"), r.stream, seg.End.Sub(seg.StartTime()).Seconds(), seg.Frames, float64(seg.Bytes)/1e6)
}

func (s *recordSession) json(line any) {
	data, err := json.Marshal(line)
	if err != nil {
		panic(err) // the types above always can be
	}
	fmt.Fprintln(s.out, string(data))
}

// tell prints what goes wrong, once each.
func (s *recordSession) tell(ctx context.Context, problems io.Writer) {
	changes, stop := s.health.Watch()
	defer stop()
	for {
		for _, r := range s.recordings {
			worst, ok := r.part.Snapshot().Worst()
			if text := worst.Text; ok && text != r.problem {
				r.problem = text
				fmt.Fprintf(problems, "%s: %s\n", r.stream, text)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changes:
		}
	}
}

// summarize prints what came of each camera.
func (s *recordSession) summarize() error {
	failed := false
	for _, r := range s.recordings {
		n := func(name string) int64 { return r.part.Number(name).Load() }
		l := &r.line
		l.Frames, l.FramesLost, l.Gaps = n(health.FramesRecorded), n(health.FramesLost), n(health.Gaps)
		if l.Seconds > 0 {
			l.BitrateBPS = int64(float64(n(health.BytesRecorded)*8) / l.Seconds)
		}
		if l.Frames == 0 {
			failed = true
			l.Problem = r.problem
		}
		if s.o.asJSON {
			s.json(l)
			continue
		}
		fmt.Fprintf(s.out, "%s: %d frames in %d segments, %.1f s, %d gaps, %d frames lost, %.2f Mbit/s\n",
			l.Stream, l.Frames, l.Segments, l.Seconds, l.Gaps, l.FramesLost, float64(l.BitrateBPS)/1e6)
	}
	if failed {
		return &exitError{code: exitFailure}
	}
	return nil
}

// streamNames names each camera after its host and path, each name once.
func streamNames(cameras []string) ([]string, error) {
	var names []string
	for i, camera := range cameras {
		u, err := url.Parse(camera)
		if err != nil || (u.Scheme != "rtsp" && u.Scheme != "rtsps") || u.Host == "" {
			return nil, fmt.Errorf("argument %d is not the URL of a camera, such as rtsp://user:password@192.168.1.20/path", i+1) // it may hold a password
		}
		name := strings.Trim(strings.Map(func(r rune) rune {
			if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r) {
				return r
			}
			return '-'
		}, u.Host+u.Path), "-.")
		base := name
		for n := 2; slices.Contains(names, name); n++ {
			name = fmt.Sprintf("%s-%d", base, n)
		}
		names = append(names, name)
	}
	return names, nil
}
