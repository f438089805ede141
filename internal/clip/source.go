// Package clip plays local media files at their own pace, as if they were cameras. It does not know how
// their media is used.
package clip

import (
	"context"
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mediafile"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// Source plays a media file: once, or repeatedly as one session. One goroutine uses it.
type Source struct{ o Options }

// NewSource returns a Source.
func NewSource(o Options) *Source { return &Source{o: o.withDefaults()} }

// Live returns false: a file's video is not of the present.
func (s *Source) Live() bool { return false }

// Adapt does nothing: there is only one way to play a file.
func (s *Source) Adapt(*accessunit.SessionEnd, int64) {}

// Play plays the file. Its error is accessunit.ErrPlayed at its end, an *accessunit.SessionEnd, or ctx's.
func (s *Source) Play(ctx context.Context, to accessunit.Sink) (err error) {
	end := &accessunit.SessionEnd{}
	defer func() {
		if p := recover(); p != nil {
			end.Fault, end.Retry = accessunit.InternalFault("the media directory", supervise.PanicError(p)), accessunit.RetryUsual
			err = end
		}
	}()
	url, err := s.o.URL(ctx)
	if err != nil {
		end.Fault, end.NoURL = health.FaultOf(err, codeCamera), true
		return end
	}
	f, err := parse(url, s.o.Directory)
	if err == nil {
		if !f.loop {
			end.Retry = accessunit.RetryFromStart
		}
		p := player{Options: s.o, file: f, to: to}
		err = p.play(ctx)
	}
	if errors.Is(err, accessunit.ErrPlayed) || ctx.Err() != nil {
		return err
	}
	end.Fault = health.FaultOf(err, codeCamera)
	return end
}

// Probe reads the start of a media file as fast as possible. An error is a *health.Fault or ctx's. It uses only the
// option Directory.
func Probe(ctx context.Context, url secret.String, o Options) (accessunit.ProbeResult, error) {
	f, err := parse(url, o.Directory)
	if err != nil {
		return accessunit.ProbeResult{}, err
	}
	probing, stop := context.WithCancel(ctx)
	defer stop()
	f.loop = false
	sink := accessunit.NewProbeSink(stop)
	o = Options{NoAudio: true}.withDefaults()
	end := time.Now().Add(accessunit.ProbeMost)
	o.Wait = func(ctx context.Context, due time.Time) error {
		if due.After(end) {
			return accessunit.ErrPlayed
		}
		return ctx.Err()
	}
	p := player{Options: o, file: f, to: sink}
	err = p.play(probing)
	switch {
	case ctx.Err() != nil:
		return accessunit.ProbeResult{}, ctx.Err()
	case !errors.Is(err, accessunit.ErrPlayed) && probing.Err() == nil:
		return accessunit.ProbeResult{}, health.FaultOf(err, codeCamera)
	case sink.Keyframes() == 0:
		return accessunit.ProbeResult{}, f.fault(mediafile.ErrNoVideo)
	}
	return sink.Result(f.name()), nil
}
