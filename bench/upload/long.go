package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	// longGOPs are as many GOPs of a second as fit into 9.9 s, which is how the agent records where nobody watches live.
	longGOPs = 9
	// longBitrate of the camera, in bit/s.
	longBitrate = 4_000_000
	// longShare: each of several streams has a smaller backlog, which the disk has room for twice.
	longShare = 5
	// longWarmUp fragments take as long as 20 that the number bounds.
	longWarmUp = 8
)

// long measures how fast the backlog of cameras with a keyframe a second comes into the cloud, recorded in fragments of several
// GOPs: of one stream beside the bytes that the service takes, and of 16 together beside as many curl that send the same files, and
// are limited to what the service takes. curl's go to a server that discards them.
func long(o options) ([]figure, error) {
	one, err := catchUp(filepath.Join(o.dir, "one"), longBacklog(1, o.waiting))
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(o.dir); err != nil {
		return nil, err
	}
	b := longBacklog(costStreams, o.waiting/longShare)
	before, err := b.curl(o.dir)
	if err != nil {
		return nil, err
	}
	together, err := catchUp(filepath.Join(o.dir, "together"), b)
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(o.dir); err != nil {
		return nil, err
	}
	after, err := b.curl(o.dir)
	if err != nil {
		return nil, err
	}
	ours, curl := valueOf(together, perSecond), (before+after)/2
	day := time.Duration(24 * float64(time.Hour) * longBitrate / 8 * costStreams / (ours * 1e6))
	return append(append(prefixed("one stream", one), prefixed(fmt.Sprint(costStreams, " streams"), together)...),
		figure{What: fmt.Sprint(costStreams, " curl together"), Value: curl, Unit: "MB/s",
			Beside: fmt.Sprintf("%.1f before, %.1f after", before, after)},
		figure{What: fmt.Sprint(costStreams, " streams to as many curl"), Value: ours / curl, Unit: "×", Beside: "0.9 wanted"},
		figure{What: fmt.Sprint("a day of ", costStreams, " cameras"), Value: day.Minutes(), Unit: "min", Beside: "at this rate"},
	), nil
}

// longBacklog has fragments of several GOPs.
func longBacklog(streams int, waiting time.Duration) backlog {
	const length = longGOPs * time.Second
	b := newBacklog(streams, int(waiting/length), longBitrate/8*longGOPs, length)
	b.keyframes, b.smooth, b.warm = longGOPs, true, longWarmUp
	return b
}

// curl sends the backlog by a curl for each stream, and returns the rate of all in MB/s.
func (b backlog) curl(dir string) (float64, error) {
	s := startSink()
	defer s.Close()
	recordings := filepath.Join(dir, "curl")
	if err := b.fill(recordings); err != nil {
		return 0, err
	}
	took, err := pacedCurl(s.URL, recordings)
	if err != nil {
		return 0, err
	}
	bytes := float64(b.streams) * float64(b.fragments) * float64(b.size)
	return bytes / 1e6 / took.wall.Seconds(), os.RemoveAll(recordings)
}

// perSecond is the figure that others are computed from.
const perSecond = "bytes per second"

// valueOf is that of a figure, 0 where there is none.
func valueOf(figures []figure, what string) float64 {
	for _, f := range figures {
		if f.What == what {
			return f.Value
		}
	}
	return 0
}

// prefixed says whose figures they are.
func prefixed(whose string, figures []figure) []figure {
	for i := range figures {
		figures[i].What = whose + ": " + figures[i].What
	}
	return figures
}
