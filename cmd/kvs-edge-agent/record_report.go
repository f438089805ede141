package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

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

// say prints a line for people.
func (s *recordSession) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.o.asJSON {
		fmt.Fprintf(s.out, format, args...)
	}
}

func (s *recordSession) json(line any) {
	data, err := json.Marshal(line)
	if err != nil {
		panic(err) // the types above always can be
	}
	fmt.Fprintln(s.out, string(data))
}

// report prints when a camera is recorded, and what goes wrong, once each.
func (s *recordSession) report(ctx context.Context, problems io.Writer) {
	changes, stop := s.health.Watch()
	defer stop()
	for {
		for _, r := range s.recordings {
			snapshot := r.part.Snapshot()
			worst, bad := snapshot.Worst()
			if text := withoutSecret(worst.Text); bad && text != r.problem {
				r.problem = text
				fmt.Fprintf(problems, "%s: %s\n", r.stream, text)
			}
			if snapshot.State == "recording" && !r.began {
				r.began = true
				s.say("%s: recording\n", r.stream)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changes:
		}
	}
}

// summarize prints the result of each camera.
func (s *recordSession) summarize() error {
	failed := false
	for _, r := range s.recordings {
		n := func(name string) int64 { return r.part.Value(name) }
		l := &r.line
		l.Frames, l.FramesLost, l.Gaps = n(health.FramesRecorded), n(health.FramesLost), n(health.Gaps)
		if l.Seconds > 0 {
			l.BitrateBPS = int64(float64(n(health.BytesRecorded)*8) / l.Seconds)
		}
		why := ""
		if l.Frames == 0 {
			failed = true
			l.Problem = r.problem
			switch why = ": " + r.problem; {
			case r.problem == "" && r.began:
				why = ": the camera had sent no keyframe until the end"
			case r.problem == "":
				why = ": the camera had not answered until the end"
			}
		}
		if s.o.asJSON {
			s.json(l)
			continue
		}
		fmt.Fprintf(s.out, "%s: %s in %s, %s, %s, %s lost, %s%s\n", l.Stream, humanize.Count(l.Frames, "frame"),
			humanize.Count(l.Segments, "segment"),
			humanize.Length(time.Duration(l.Seconds*float64(time.Second))), humanize.Count(l.Gaps, "gap"), humanize.Count(l.FramesLost, "frame"),
			humanize.Bitrate(l.BitrateBPS), why)
	}
	if failed {
		return &exitError{code: exitFailure}
	}
	return nil
}

// recording is one camera being recorded.
type recording struct {
	stream  string
	part    *health.Component
	began   bool   // it was said that it records
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
