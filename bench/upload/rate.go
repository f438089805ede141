package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

const (
	allowedFragments = 5.0 // a second and stream (limits, PutMedia)
	// warmUp fragments of each stream are not measured: connections are set up, and buckets full.
	warmUp = 20
)

// rate measures how fast many streams with a backlog are uploaded beside what the service allows.
func rate(o options) ([]figure, error) {
	recordings := filepath.Join(o.dir, "recordings")
	if err := fill(recordings, o.streams, o.fragments, 100_000); err != nil {
		return nil, err
	}
	cloud, err := startCloud(filepath.Join(o.dir, "cloud"), o.streams)
	if err != nil {
		return nil, err
	}
	defer func() { _ = cloud.Close() }()
	cmd, err := drainer(cloud, recordings, o.streams)
	if err != nil {
		return nil, err
	}
	type result struct {
		spent
		err error
	}
	ended := make(chan result, 1)
	go func() {
		s, err := measured(cmd)
		ended <- result{s, err}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	rates := make(chan float64, o.streams)
	for i := range o.streams {
		go func() {
			_ = cloud.Media().AwaitFragments(ctx, streamName(i), warmUp)
			began := time.Now()
			_ = cloud.Media().AwaitFragments(ctx, streamName(i), o.fragments)
			rates <- float64(o.fragments-warmUp) / time.Since(began).Seconds()
		}()
	}
	least, sum := 1e9, 0.0
	for range o.streams {
		r := <-rates
		least, sum = min(least, r), sum+r
	}
	r := <-ended
	if r.err != nil {
		return nil, r.err
	}
	throttled, repeated := time.Duration(0), 0
	for i := range o.streams {
		throttled += cloud.Media().Stats(streamName(i)).Throttled
		repeated += len(cloud.Media().Fragments(streamName(i))) - o.fragments
	}
	beside := fmt.Sprintf("%d streams; %.0f allowed", o.streams, allowedFragments*float64(o.streams))
	return []figure{
		{What: "fragments per second", Value: sum, Unit: "/s", Beside: beside},
		{What: "share of the allowed rate", Value: 100 * sum / (allowedFragments * float64(o.streams)), Unit: "%", Beside: "95 % wanted"},
		{What: "share of the slowest stream", Value: 100 * least / allowedFragments, Unit: "%"},
		{What: "held back by the service", Value: throttled.Seconds(), Unit: "s"},
		{What: "sent twice", Value: float64(repeated), Unit: "fragments"},
		{What: "peak memory", Value: float64(r.rss) / 1e6, Unit: "MB", Beside: fmt.Sprintf("%d streams", o.streams)},
	}, nil
}
