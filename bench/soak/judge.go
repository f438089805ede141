package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// trait is something that has to stay flat.
type trait struct {
	name  string
	unit  string
	scale float64 // divides values for people
	of    func(sample) float64
	// It may grow, over the time that is judged, by the larger of slack and part of its median. Free ones are shown alone.
	slack, part float64
	free        bool
	// Whether it is compared in rests: beside all that happens it is what happens at random.
	rests bool
}

// traits are all that a soak samples.
var traits = []trait{
	{name: "resident memory", unit: "MB", scale: 1e6, of: func(s sample) float64 { return float64(s.RSS) },
		slack: 2e6, part: 0.04, rests: true},
	{name: "anonymous memory", unit: "MB", scale: 1e6, of: func(s sample) float64 { return float64(s.Anonymous) },
		slack: 2e6, part: 0.05, rests: true},
	{name: "heap in use", unit: "MB", scale: 1e6, of: func(s sample) float64 { return float64(s.HeapInUse) },
		slack: 2e6, part: 0.08, rests: true},
	{name: "goroutines", scale: 1, of: func(s sample) float64 { return float64(s.Goroutines) }, slack: 5, rests: true},
	{name: "file descriptors", scale: 1, of: func(s sample) float64 { return float64(s.Files) }, slack: 4, rests: true},
	{name: "threads", scale: 1, of: func(s sample) float64 { return float64(s.Threads) }, slack: 2, rests: true},
	{name: "recordings", unit: "MB", scale: 1e6, of: func(s sample) float64 { return float64(s.Recordings) }, slack: 25e6, part: 0.10},
	{name: "segments", scale: 1, of: func(s sample) float64 { return float64(s.Segments) }, slack: 30, part: 0.12},
	{name: "logs", unit: "MB", scale: 1e6, of: func(s sample) float64 { return float64(s.Logs) }, slack: 2e6, part: 0.10},
	{name: "state", unit: "MB", scale: 1e6, of: func(s sample) float64 { return float64(s.State) }, free: true},
	{name: "backlog", unit: "MB", scale: 1e6, of: func(s sample) float64 { return float64(s.Backlog) }, free: true},
	{name: "status", unit: "ms", scale: 1, of: func(s sample) float64 { return s.StatusMS }, free: true},
}

// judgement says how a trait was in the time that is judged.
type judgement struct {
	Name    string     `json:"name"`
	Median  float64    `json:"median"`
	PerHour float64    `json:"per_hour"` // the robust trend
	Growth  float64    `json:"growth"`   // by that trend, over the time that is judged
	Maxima  [4]float64 `json:"quarter_maxima"`
	Wrong   string     `json:"wrong,omitempty"` // why it is not flat
}

const (
	// leastSamples and leastRests are of how many something can be said.
	leastSamples = 8
	leastRests   = 4
)

// judge judges a trait. Flat is what has no trend (Theil and Sen's: the median of the slopes between all pairs) beyond what it may
// grow by, and whose last quarter has no peak above those of the earlier quarters.
func (t trait) judge(samples []sample) judgement {
	j := judgement{Name: t.name}
	if len(samples) < leastSamples {
		if !t.free {
			j.Wrong = fmt.Sprintf("%d samples are too few to judge", len(samples))
		}
		return j
	}
	x, y := make([]float64, len(samples)), make([]float64, len(samples))
	for i, s := range samples {
		x[i], y[i] = s.Seconds, t.of(s)
		quarter := i * len(j.Maxima) / len(samples)
		j.Maxima[quarter] = max(j.Maxima[quarter], y[i])
	}
	if t.rests {
		x, y = t.inRests(samples)
	}
	if len(x) == 0 {
		j.Wrong = "there was no rest to compare"
		return j
	}
	j.Median = median(y)
	slope := trend(x, y)
	j.PerHour, j.Growth = slope*3600, slope*(x[len(x)-1]-x[0])
	allowed := max(t.slack, t.part*j.Median)
	before := slices.Max(j.Maxima[:3])
	switch {
	case t.free:
	case t.rests && len(x) < leastRests:
		j.Wrong = fmt.Sprintf("%d rests are too few to compare", len(x))
	case j.Growth > allowed:
		j.Wrong = fmt.Sprintf("it grows by %.1f %s, and at most %.1f are allowed", j.Growth/t.scale, t.unit, allowed/t.scale)
	case j.Maxima[3] > before*1.2+2*t.slack:
		j.Wrong = fmt.Sprintf("its last quarter has a peak of %.1f %s, the earlier ones have %.1f at most",
			j.Maxima[3]/t.scale, t.unit, before/t.scale)
	}
	return j
}

// inRests are the median times and values of rests.
func (t trait) inRests(samples []sample) (x, y []float64) {
	rests := map[int][]sample{}
	for _, s := range samples {
		if s.Rest > 0 {
			rests[s.Rest] = append(rests[s.Rest], s)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(rests)) {
		var at, values []float64
		for _, s := range rests[n] {
			at, values = append(at, s.Seconds), append(values, t.of(s))
		}
		x, y = append(x, median(at)), append(y, median(values))
	}
	return x, y
}

// restsIn counts the rests.
func restsIn(samples []sample) int {
	x, _ := traits[0].inRests(samples)
	return len(x)
}

// trend is the median of the slopes between all pairs of points, after the points were gathered into at most mostPoints.
func trend(x, y []float64) float64 {
	const mostPoints = 400
	x, y = gather(x, mostPoints), gather(y, mostPoints)
	slopes := make([]float64, 0, len(x)*(len(x)-1)/2)
	for i := range x {
		for k := i + 1; k < len(x); k++ {
			if x[k] > x[i] {
				slopes = append(slopes, (y[k]-y[i])/(x[k]-x[i]))
			}
		}
	}
	return median(slopes)
}

// gather replaces runs of equal length by their medians, so that at most that many are left.
func gather(values []float64, most int) (few []float64) {
	run := (len(values) + most - 1) / most
	for part := range slices.Chunk(values, max(run, 1)) {
		few = append(few, median(part))
	}
	return few
}

func median[T cmp.Ordered](values []T) (middle T) {
	if len(values) == 0 {
		return middle
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
