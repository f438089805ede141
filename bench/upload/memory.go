package main

import (
	"fmt"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/bench/proc"
)

// memory measures how much each further stream takes while all of them upload.
func memory(o options) ([]figure, error) {
	const (
		size      = 250_000 // of a fragment: 1 Mbit/s, so that this machine keeps up with all streams
		fragments = 25
		few, many = 1, 64
	)
	rss := make(map[int]float64)
	var figures []figure
	for _, streams := range []int{few, 16, many} {
		dir := filepath.Join(o.dir, fmt.Sprint(streams))
		recordings := filepath.Join(dir, "recordings")
		if err := newBacklog(streams, fragments, size, usualGOP).fill(recordings); err != nil {
			return nil, err
		}
		cloud, err := startCloud(filepath.Join(dir, "cloud"), streams)
		if err != nil {
			return nil, err
		}
		cmd, err := drainer(cloud, recordings, streams, audioPlayable)
		if err != nil {
			return nil, err
		}
		s, err := measured(cmd, proc.StartAsService)
		_ = cloud.Close()
		if err != nil {
			return nil, err
		}
		rss[streams] = float64(s.rss) / 1e6
		figures = append(figures, figure{What: fmt.Sprintf("peak memory with %d streams", streams), Value: rss[streams], Unit: "MB",
			Beside: fmt.Sprintf("%d fragments each in %.1f s", fragments, s.wall.Seconds())})
	}
	each := (rss[many] - rss[few]) / (many - few)
	return append(figures, figure{What: "memory of each further stream", Value: each, Unit: "MB", Beside: "1 allowed"}), nil
}
