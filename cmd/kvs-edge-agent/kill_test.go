package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// killed is how often an agent is killed.
var killed = testtools.Sizes[int]{Short: 3, Middle: 8, Long: 200}

const (
	backlogFragment = 2 * time.Second
	backlogSegment  = 20 // fragments
)

var errNothingYet = errors.New("nothing new has come")

// backlogTrack is of a camera that no longer exists, with parameters that players take.
var backlogTrack = mkv.Track{
	Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, Width: 320, Height: 240,
	CodecPrivate: []byte("\x01\x42\xC0\x0D\xFF\xE1" +
		"\x00\x16\x67\x42\xC0\x0D\xDA\x05\x07\xEC\x04\x40\x00\x00\x03\x00\x40\x00\x00\x0C\x83\xC5\x0A\xA8" +
		"\x01\x00\x04\x68\xCE\x0F\xC8"),
}

// backlog fills the recording directory as if the stream had been recorded for a while without
// any upload, and returns the fragments' producer times in ms.
func (s *site) backlog(stream string, fragments int) []int64 {
	s.t.Helper()
	return s.backlogOf(stream, fragments, 2000)
}

// backlogOf is backlog with frames of that many bytes, five in a fragment.
func (s *site) backlogOf(stream string, fragments, frame int) []int64 {
	s.t.Helper()
	begin := time.Now().Add(-time.Duration(fragments+1) * backlogFragment).Truncate(time.Second)
	return s.recorded(stream, begin, fragments, made{fragment: backlogFragment, frames: 5, bytes: frame})
}

// made says of what recordings are made.
type made struct {
	fragment time.Duration
	frames   int // in a fragment
	bytes    int // of a frame
}

// recorded fills the recording directory as if so many fragments of a stream had been recorded from a time on, without any upload, and
// returns their producer times in ms. No agent runs.
func (s *site) recorded(stream string, begin time.Time, fragments int, m made) []int64 {
	s.t.Helper()
	fail := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	store, err := segment.Open(segment.Options{Dir: s.recordings()})
	fail(err)
	var times []int64
	for len(times) < fragments {
		w, err := store.Create(stream, mkv.Header{Start: begin, Title: stream, Tracks: []mkv.Track{backlogTrack}})
		fail(err)
		for n := 0; n < backlogSegment && len(times) < fragments; n++ {
			at := time.Duration(n) * m.fragment
			fail(w.BeginFragment(at, true))
			for i := range m.frames {
				nal := bytes.Repeat([]byte{byte(i)}, m.bytes)
				if nal[0] = 0x41; i == 0 {
					nal[0] = 0x65
				}
				fail(w.WriteFrame(1, at+time.Duration(i)*(m.fragment/time.Duration(m.frames)), i == 0, [][]byte{nal}))
			}
			_, err := w.EndFragment()
			fail(err)
			times = append(times, begin.Add(at).UnixMilli())
		}
		fail(w.Seal())
		begin = begin.Add(backlogSegment * m.fragment)
	}
	fail(store.Close())
	return times
}

// awaitFragments waits until the cloud has the fragments of these producer times, for as long as one
// after the other comes.
func (s *site) awaitFragments(stream string, want []int64) {
	s.t.Helper()
	missing := map[int64]bool{}
	for _, at := range want {
		missing[at] = true
	}
	for len(missing) > 0 {
		before := len(missing)
		s.eventually(fmt.Sprintf("the %d fragments that the cloud lacks", before), func() error {
			for _, f := range s.cloud.Media().Fragments(stream) {
				delete(missing, f.Producer.UnixMilli())
			}
			if len(missing) == before {
				return errNothingYet
			}
			return nil
		})
	}
}

func TestKilledDuringUploadsLosesNothingAndRepeatsLittle(t *testing.T) {
	inWorlds(t, killedDuringUploadsLosesNothingAndRepeatsLittle)
}

func killedDuringUploadsLosesNothingAndRepeatsLittle(t *testing.T, w world) {
	kills := testtools.Proof(t, "kills", killed)
	s := newSite(t, w)
	want := s.backlog("door", 6*kills+10)
	s.configure("door", "rtsp://127.0.0.1:1/gone")
	cloud := s.cloud.Media()
	random := rand.New(rand.NewPCG(7, 9))
	var killedAt []int // how many fragments the cloud had then
	for range kills {
		before := len(cloud.Fragments("door"))
		s.startAgent()
		s.eventually("the upload", func() error {
			if len(cloud.Fragments("door")) > before || before >= len(want) {
				return nil
			}
			return errNothingYet
		})
		// The moment is what is random here; nothing is waited for.
		if err := backoff.Sleep(t.Context(), time.Duration(random.IntN(700))*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		s.agent.kill()
		// What was on its way may still arrive.
		if err := cloud.AwaitSession(t.Context(), "door", false); err != nil {
			t.Fatal(err)
		}
		killedAt = append(killedAt, len(cloud.Fragments("door")))
	}
	s.startAgent()
	s.awaitFragments("door", want)
	s.stopAgent()
	seen := map[int64]bool{}
	repeated, total, kill := time.Duration(0), time.Duration(0), 0
	for i, f := range cloud.Fragments("door") {
		for kill < len(killedAt) && i >= killedAt[kill] {
			kill, repeated = kill+1, 0
		}
		if at := f.Producer.UnixMilli(); !seen[at] {
			seen[at] = true
			continue
		}
		repeated += backlogFragment
		total += backlogFragment
		if repeated > 5*time.Second {
			t.Errorf("kill %d cost %v of repeated media, more than 5 s", kill, repeated)
		}
	}
	t.Logf("%d kills: none of %d fragments lost, %v repeated", kills, len(want), total)
}
