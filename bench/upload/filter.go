package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// filterRounds of each are added up, in turns, so that other load of the machine affects all of them.
const filterRounds = 4

// filter measures what it costs to leave a track out: the same backlog with G.711 beside the video,
// as it is recorded, sent whole and sent without its sound; and a backlog of video alone. All are sent
// in turns in one run, each by a process of its own.
func filter(o options) ([]figure, error) {
	kinds := []struct {
		name  string
		sound bool
		audio string
	}{{"video alone", false, audioPlayable}, {"with G.711, whole", true, audioAll}, {"with G.711, left out", true, audioPlayable}}
	cpu := make([]float64, len(kinds)) // seconds per GB
	var figures []figure
	for _, bitrate := range []int{1_000_000, 8_000_000} {
		b := newBacklog(costStreams, 1, bitrate/8*int(usualGOP.Seconds()), usualGOP)
		b.fragments = max(2, o.megabytes*1_000_000/4/b.size/costStreams)
		clear(cpu)
		for range filterRounds {
			for i, kind := range kinds {
				recordings := filepath.Join(o.dir, "recordings")
				b.smooth, b.sound, b.begin = true, kind.sound, newBacklog(costStreams, b.fragments, b.size, usualGOP).begin
				if err := b.fill(recordings); err != nil {
					return nil, err
				}
				s, bytes, err := drained(filepath.Join(o.dir, "cloud"), recordings, kind.audio)
				if err != nil {
					return nil, err
				}
				cpu[i] += s.cpu.Seconds() / (float64(bytes) / 1e9) / filterRounds
				if err := os.RemoveAll(o.dir); err != nil {
					return nil, err
				}
			}
		}
		rate := fmt.Sprintf("%d Mbit/s", bitrate/1_000_000)
		beside := fmt.Sprintf("%d fragments of %d streams, %d times", b.fragments, costStreams, filterRounds)
		for i, kind := range kinds {
			figures = append(figures, figure{What: "CPU of " + rate + ", " + kind.name, Value: cpu[i], Unit: "s/GB", Beside: beside})
		}
		figures = append(figures, figure{What: "G.711 left out to whole, " + rate, Value: cpu[2] / cpu[1], Unit: "×", Beside: "1.3 allowed"})
	}
	return figures, nil
}
