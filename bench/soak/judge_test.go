package main

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// hour of samples, one in 10 s, of something of 50 MB with noise of 1 MB and what change adds.
func hour(change func(i int) float64) (samples []sample) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 360 {
		value := 50e6 + 1e6*random.NormFloat64() + change(i)
		samples = append(samples, sample{Seconds: 4000 + 10*float64(i), RSS: int64(value)})
	}
	return samples
}

// flat is a trait that is judged by all samples, and restful by those of rests.
var (
	flat    = trait{name: "memory", unit: "MB", scale: 1e6, of: func(s sample) float64 { return float64(s.RSS) }, slack: 2e6, part: 0.04}
	restful = trait{name: "memory", unit: "MB", scale: 1e6, of: flat.of, slack: 2e6, rests: true}
)

// inRounds has a rest of 6 samples at the end of each so many. What grows does so in rests by another function.
func inRounds(every int, beside, within func(i int) float64) (samples []sample) {
	samples = hour(beside)
	random := rand.New(rand.NewPCG(3, 4))
	for i := range samples {
		if i%every >= every-6 {
			samples[i].Rest, samples[i].RSS = 1+i/every, int64(40e6+0.3e6*random.NormFloat64()+within(i))
		}
	}
	return samples
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		samples []sample
		wrong   string // what the judge says; "" = that it is flat
	}{
		"noise":             {hour(func(int) float64 { return 0 }), ""},
		"shrinking":         {hour(func(i int) float64 { return -20e3 * float64(i) }), ""},
		"peaks all along":   {hour(func(i int) float64 { return 60e6 * float64(max(0, i%40-38)) }), ""},
		"a peak at first":   {hour(func(i int) float64 { return 60e6 * float64(max(0, 2-i)) }), ""},
		"a slow leak":       {hour(func(i int) float64 { return 10e3 * float64(i) }), "it grows by 3."},
		"a leak with peaks": {hour(func(i int) float64 { return 10e3*float64(i) + 60e6*float64(max(0, i%40-38)) }), "it grows by 3."},
		"steps":             {hour(func(i int) float64 { return 2e6 * float64(i/90) }), "it grows by"},
		"a peak at last":    {hour(func(i int) float64 { return 60e6 * float64(max(0, i-358)) }), "its last quarter has a peak"},
		"few samples":       {hour(func(int) float64 { return 0 })[:5], "5 samples are too few"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := flat.judge(c.samples)
			if (j.Wrong == "") != (c.wrong == "") || !strings.HasPrefix(j.Wrong, c.wrong) {
				t.Errorf("the judge says %q, want %q: %+v", j.Wrong, c.wrong, j)
			}
		})
	}
}

func TestJudgeInRests(t *testing.T) {
	t.Parallel()
	nothing := func(int) float64 { return 0 }
	leak := func(i int) float64 { return 10e3 * float64(i) }
	peak := func(i int) float64 { return 60e6 * float64(max(0, i-352)) }
	for name, c := range map[string]struct {
		samples []sample
		wrong   string
	}{
		"noise":               {inRounds(60, nothing, nothing), ""},
		"more and more to do": {inRounds(60, leak, nothing), ""},
		"a leak":              {inRounds(60, leak, leak), "it grows by"},
		"less and less to do": {inRounds(60, func(i int) float64 { return -2 * leak(i) }, leak), "it grows by"},
		"few rests":           {inRounds(120, nothing, nothing), "3 rests are too few"},
		"no rest":             {hour(nothing), "there was no rest"},
		"a peak at last":      {inRounds(60, peak, nothing), "its last quarter has a peak"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := restful.judge(c.samples)
			if (j.Wrong == "") != (c.wrong == "") || !strings.HasPrefix(j.Wrong, c.wrong) {
				t.Errorf("the judge says %q, want %q: %+v", j.Wrong, c.wrong, j)
			}
		})
	}
}

func TestTrend(t *testing.T) {
	t.Parallel()
	var x, y []float64
	for i := range 1001 {
		x, y = append(x, float64(i)), append(y, 7+3*float64(i))
		if i%3 == 0 { // a third of the points are far off
			y[i] = 1e9
		}
	}
	if got := trend(x, y); got < 2.9 || got > 3.1 {
		t.Errorf("the trend is %v, want 3", got)
	}
}

func TestEveryTraitIsSampled(t *testing.T) {
	t.Parallel()
	one := sample{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0}
	values := map[float64]bool{}
	for _, trait := range traits {
		values[trait.of(one)] = true
	}
	if len(values) != len(traits) {
		t.Errorf("two traits are the same: %v", values)
	}
}
