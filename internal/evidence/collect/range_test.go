package collect

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// recordedFragments is a store with segments of the stream door that follow each other at once, of so many fragments of a length. Each
// fragment has two pictures, and a frame of audio when the next fragment starts.
func recordedFragments(t *testing.T, segments, fragments int, length time.Duration) *segment.Store {
	t.Helper()
	s, err := segment.Open(segment.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	audio := mkv.Track{Number: 2, Kind: mkv.Audio, CodecID: mkv.CodecACM, Channels: 1, SampleRate: 8000}
	audio.CodecPrivate = bytes.Repeat([]byte{7}, 18)
	for n := range segments {
		start := begin.Add(time.Duration(n*fragments) * length)
		w, err := s.Create("door", mkv.Header{Start: start, Title: "door", Tracks: []mkv.Track{track, audio}})
		for i := range fragments {
			from := time.Duration(i) * length
			err = errors.Join(err, w.BeginFragment(from, true), w.WriteFrame(1, from, true, [][]byte{{0x65, byte(n), byte(i)}}),
				w.WriteFrame(1, from+length-40*time.Millisecond, false, [][]byte{{0x41, byte(n), byte(i)}}))
			if i+1 < fragments {
				err = errors.Join(err, w.WriteFrame(2, from+length, true, [][]byte{{byte(i)}}))
			}
			_, endErr := w.EndFragment()
			err = errors.Join(err, endErr)
		}
		if err = errors.Join(err, w.Seal()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestOneGOPMoreOfAnyLength: the GOP of the time that was asked for may last for long, and segments may be as short as one.
func TestOneGOPMoreOfAnyLength(t *testing.T) {
	t.Parallel()
	h, trust := hubOf(t)
	for name, c := range map[string]struct {
		segments, fragments int
		length, to          time.Duration
		want                int // fragments
	}{
		"long":                       {1, 4, 10 * time.Second, 11 * time.Second, 3},
		"long, in the next segment":  {4, 1, 10 * time.Second, 11 * time.Second, 3},
		"short, in the next segment": {8, 1, time.Second, 3500 * time.Millisecond, 5},
		"at its start":               {1, 4, 10 * time.Second, 10 * time.Second, 2},
	} {
		s := recordedFragments(t, c.segments, c.fragments, c.length)
		m := verified(t, archived(t, s, h, time.Time{}, begin.Add(c.to)), trust)
		if len(m.Fragments) != c.want || m.Asked.MoreTo == nil {
			t.Errorf("%s: %d fragments, more to %v", name, len(m.Fragments), m.Asked.MoreTo)
		}
	}
}

// TestTheMediaIsThatOfTheManifest, also where the fragment before ends when the first one starts, where the time is within one fragment,
// and where another one is recorded meanwhile.
func TestTheMediaIsThatOfTheManifest(t *testing.T) {
	t.Parallel()
	s := recordedFragments(t, 1, 4, time.Second)
	h, trust := hubOf(t)
	at := func(d time.Duration) time.Time { return begin.Add(d * time.Millisecond) }
	for name, c := range map[string]struct {
		from, to time.Time
		want     int
		first    time.Time
	}{
		"the previous one ends when it starts": {at(1500), at(1600), 2, at(1000)},
		"from the start of one":                {at(2001), time.Time{}, 2, at(2000)},
		"within the last one":                  {at(3500), time.Time{}, 1, at(3000)},
		"within the last one, bounded":         {at(3500), at(3500).Add(time.Microsecond), 1, at(3000)},
		"to the start of the last one":         {at(2500), at(3000), 2, at(2000)},
	} {
		f := archived(t, s, h, c.from, c.to)
		m := verified(t, f, trust)
		if len(m.Fragments) != c.want || !m.From.Equal(c.first) {
			t.Errorf("%s: %d fragments from %s", name, len(m.Fragments), m.From)
		}
		made, err := Make(t.Context(), s, h, "door", c.from, c.to)
		if err != nil || !made.From.Before(made.To) {
			t.Errorf("%s: from %s to %s, which no request may ask for: %v", name, made.From, made.To, err)
		}
	}
}
