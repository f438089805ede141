package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs/mediabody"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/recorder"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// subject is what is counted: it handles the film that often, and returns how many bytes that were.
type subject struct {
	name   string
	what   string
	feed   func(f *film, rounds int) (bytes int64, err error)
	rounds int // how many more of the longer run
}

var subjects = []subject{
	{"record", "packets to assembler, segmenter and writer", record, 40},
	{"upload", "a file to the upload's body", upload, 4000},
}

// began is when the film's first picture arrives, by the clock of the harness.
var began = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// player is a source that pushes a film repeatedly, as fast as it is taken.
type player struct {
	film   *film
	rounds int
	end    context.CancelFunc
	now    time.Time
}

// Live implements recorder.Source.
func (p *player) Live() bool { return true }

// Adapt implements recorder.Source.
func (p *player) Adapt(*accessunit.SessionEnd, int64) {}

// Play implements recorder.Source.
func (p *player) Play(ctx context.Context, to accessunit.Sink) error {
	to.Begin(accessunit.H264, 90_000, nil, nil)
	feed := accessunit.NewFeed(accessunit.H264, accessunit.MaxBytes, to)
	for round := range p.rounds {
		pictures := round * p.film.pictures
		for _, packet := range p.film.packets {
			ticks := uint32(pictures*ticksPerPicture) + packet.Timestamp
			packet.Sequence += uint16(round * len(p.film.packets))
			packet.Timestamp = ticks
			p.now = began.Add(time.Duration(ticks) * time.Second / 90_000)
			if err := feed.Push(packet, p.now); err != nil {
				return err
			}
		}
	}
	feed.Flush()
	p.end()
	return ctx.Err()
}

// record has the recorder record a film to a store whose files are in memory, and checks that all of it is there.
func record(f *film, rounds int) (bytes int64, err error) {
	dir, err := os.MkdirTemp("", "counts-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bytes = int64(rounds * f.bytes)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := &player{film: f, rounds: rounds, end: cancel, now: began}
	now := func() time.Time { return p.now }
	store, err := segment.Open(segment.Options{Dir: dir, Now: now, Files: memoryFiles{room: int(bytes) + 1<<20}})
	if err != nil {
		return 0, err
	}
	defer func() { _ = store.Close() }()
	part := health.NewRegistry(now).Component("film", health.JobRecorder)
	err = recorder.New(recorder.Options{Stream: "film", Source: p, Store: store, Now: now, Health: part}).Run(ctx)
	if err != nil {
		return 0, err
	}
	if n := part.Counter(health.FramesRecorded).Load(); n != int64(rounds*f.pictures) {
		return 0, fmt.Errorf("%d pictures of %d are recorded", n, rounds*f.pictures)
	}
	return bytes, nil
}

// sender is the connection to the cloud: it takes what the body has, and hands over the next fragment with the last bytes of one. A real
// one waits for Sent in another goroutine.
type sender struct {
	body *mediabody.Body
	file *bytes.Reader
	left int   // fragments
	due  int64 // bytes to come of those that were handed over, and of the header
}

// Write implements io.Writer.
func (s *sender) Write(p []byte) (int, error) {
	select {
	case <-s.body.Sent():
	default:
	}
	if s.due -= int64(len(p)); s.due == 0 {
		s.next()
	}
	return len(p), nil
}

func (s *sender) next() {
	if s.left == 0 {
		s.body.Finish()
		return
	}
	s.left--
	s.due += s.file.Size()
	var head [mediabody.HeadSize]byte
	s.body.Send(head, io.NewSectionReader(s.file, mediabody.HeadSize, s.file.Size()-mediabody.HeadSize), nil)
}

// upload sends a file with the size of the film repeatedly.
func upload(f *film, rounds int) (int64, error) {
	file := bytes.NewReader(make([]byte, f.bytes))
	header := make([]byte, 300)
	var failed error
	body := mediabody.New(mediabody.Options{Header: header, Failed: func(err error) { failed = err }})
	s := &sender{body: body, file: file, left: rounds, due: int64(len(header))}
	n, err := body.WriteTo(s)
	if err == nil {
		err = failed
	}
	if want := int64(rounds*f.bytes + len(header)); err == nil && n != want {
		err = fmt.Errorf("%d bytes of %d are sent", n, want)
	}
	return n, err
}
