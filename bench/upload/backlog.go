package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kvs-edge/kvs-edge-agent/bench/proc"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/integrator"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
)

const (
	segmentLength = 50 // fragments
	framesPer     = 10 // of a fragment
)

// backlog is what waits for its upload, the same of each stream.
type backlog struct {
	streams   int
	fragments int
	size      int           // of a fragment, in bytes of media
	length    time.Duration // of a fragment
	keyframes int           // of a fragment, evenly spread; 0 = 1
	begin     time.Time
	smooth    bool // 25 pictures a second, instead of framesPer a fragment
	sound     bool // G.711 between the pictures
	warm      int  // the first fragments of each stream, which are not measured
}

// newBacklog is one that was recorded until now.
func newBacklog(streams, fragments, size int, length time.Duration) backlog {
	begin := time.Now().Add(-time.Duration(fragments+1) * length).Truncate(time.Second)
	return backlog{streams: streams, fragments: fragments, size: size, length: length, begin: begin, warm: warmUp}
}

// at is when a fragment begins.
func (b backlog) at(fragment int) time.Time { return b.begin.Add(time.Duration(fragment) * b.length) }

var track = mkv.Track{
	Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, Width: 1920, Height: 1080,
	CodecPrivate: []byte{
		1, 0x42, 0xC0, 0x1E, 0xFF, 0xE1,
		0, 8, 0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x02, 0x80, 0xBF,
		1, 0, 4, 0x68, 0xCE, 0x3C, 0x80,
	},
}

func streamName(i int) string { return fmt.Sprintf("cam-%02d", i) }

// soundTrack is G.711 at 8 kHz: its private data is a WAVEFORMATEX.
var soundTrack = mkv.Track{
	Number: 2, Kind: mkv.Audio, CodecID: mkv.CodecACM, SampleRate: 8000, Channels: 1, BitDepth: 8,
	CodecPrivate: []byte{7, 0, 1, 0, 0x40, 0x1F, 0, 0, 0x40, 0x1F, 0, 0, 1, 0, 8, 0, 0, 0},
}

// fill records the backlog.
func (b backlog) fill(dir string) error {
	store, err := segment.Open(segment.Options{Dir: dir})
	if err != nil {
		return err
	}
	random := make([]byte, b.size/b.frames())
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	tracks := []mkv.Track{track}
	if b.sound {
		tracks = append(tracks, soundTrack)
	}
	for i := range b.streams {
		for done := 0; done < b.fragments; done += segmentLength {
			w, err := store.Create(streamName(i), mkv.Header{Start: b.at(done), Title: streamName(i), Tracks: tracks})
			if err != nil {
				return err
			}
			for n := range min(segmentLength, b.fragments-done) {
				if err := b.fragment(w, time.Duration(n)*b.length, random); err != nil {
					return err
				}
			}
			if err := w.Seal(); err != nil {
				return err
			}
		}
	}
	return store.Close()
}

// frames of a fragment.
func (b backlog) frames() int {
	if b.smooth {
		return 25 * int(b.length/time.Second)
	}
	return framesPer
}

// fragment records one. With audio there are two blocks of 20 ms before each picture.
func (b backlog) fragment(w *segment.Writer, at time.Duration, random []byte) error {
	if err := w.BeginFragment(at, true); err != nil {
		return err
	}
	for f := range b.frames() {
		t := at + time.Duration(f)*b.length/time.Duration(b.frames())
		for n := 0; b.sound && n < 2; n++ {
			if err := w.WriteFrame(2, t+time.Duration(n)*20*time.Millisecond, true, [][]byte{random[:160]}); err != nil {
				return err
			}
		}
		keyframe := f%max(1, b.frames()/max(1, b.keyframes)) == 0
		if random[0] = 0x41; keyframe {
			random[0] = 0x65
		}
		if err := w.WriteFrame(1, t, keyframe, [][]byte{random}); err != nil {
			return err
		}
	}
	return nil
}

// startCloud starts the local cloud with the streams, and the limits of KVS.
func startCloud(dir string, streams int) (*localcloud.Cloud, error) {
	seed := &localcloud.Seed{}
	for i := range streams {
		seed.Streams = append(seed.Streams, localcloud.SeedStream{Name: streamName(i), RetentionHours: 24})
	}
	return localcloud.Start(localcloud.Options{Dir: dir, Seed: seed})
}

// spent is what a process took.
type spent struct {
	wall, cpu time.Duration
	rss       int64
}

// measured runs a command to its end, which start starts.
func measured(cmd *exec.Cmd, start func(*exec.Cmd) error) (s spent, err error) {
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := start(cmd); err != nil {
		return s, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	sample := time.NewTicker(20 * time.Millisecond)
	defer sample.Stop()
	for {
		select {
		case <-sample.C:
			// Not what wait4(2) returns: that begins with the memory of this process.
			s.rss = max(s.rss, proc.PeakRSS(cmd.Process.Pid))
			continue
		case err = <-ended:
		}
		s.wall = time.Since(began)
		s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		return s, err
	}
}

// Which audio a drainer sends.
const (
	audioPlayable = "auto"
	audioAll      = "on"
)

// drainer is a process that uploads what is in dir, as the agent does.
func drainer(cloud *localcloud.Cloud, dir string, streams int, audio string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"drain", audio, dir}
	for i := range streams {
		args = append(args, streamName(i))
	}
	cmd := exec.Command(self, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "AWS_EC2_METADATA_DISABLED=true"}
	for _, v := range cloud.UserEnv() {
		cmd.Env = append(cmd.Env, v.String())
	}
	return cmd, nil
}

// drain is that process.
func drain(audio, dir string, streams []string) error {
	ctx := context.Background()
	cfg, err := integrator.FromEnvironment(ctx)
	if err != nil {
		return err
	}
	store, err := segment.Open(segment.Options{Dir: dir})
	if err != nil {
		return err
	}
	client := kvs.New(kvs.Options{Config: awsclient.Of(cfg)})
	sends := func() uploader.Audio {
		if audio == audioAll {
			return uploader.AudioAll
		}
		return uploader.AudioPlayable
	}
	var group errgroup.Group
	for _, name := range streams {
		group.Go(func() error {
			return uploader.New(uploader.Options{Stream: name, Store: store, Cloud: client, Audio: sends}).Drain(ctx)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return store.Close()
}
