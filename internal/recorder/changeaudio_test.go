package recorder

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/timeline"
)

// TestAudioThatChanges has a camera whose audio is known after a second, from its packets, and changes later. Each
// segment has a track for the audio that it holds, no picture is lost, and no fragment has audio of another format than its track.
func TestAudioThatChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.beginSession(accessunit.H264, 90000, [][]byte{realSPS, realPPS}, nil)
	track := func(f audio.Format) *accessunit.AudioTrack { return accessunit.NewAudioTrack(f, f.Rate) }
	aac, _ := audio.AACFormat([]byte{0x14, 0x08})
	formats := []audio.Format{{Codec: audio.MP3, Rate: 16_000, Channels: 1}, aac, aac}
	const perFormat, keyframes = 80, 25
	size := func(i int) int { return 100 + i/perFormat }
	for i := range (len(formats) + 1) * perFormat {
		at := time.Duration(i) * tick
		if n := i / perFormat; n > 0 && i%perFormat == 10 {
			b.changeAudio(track(formats[n-1]))
		}
		if i%keyframes == 0 {
			b.frame(at, at, idr)
		} else {
			b.frame(at, at, slice1)
		}
		if n := i / perFormat; n > 0 && i%perFormat >= 10 {
			b.audioFrame(make([]byte, size(i)), uint32(at.Milliseconds()*16), noon.Add(at))
		}
	}
	pictures, sounds := 0, make(map[int]string) // codecs, by the size of the recorded frame
	if err := b.recording.seal(); err != nil {
		t.Fatal(err)
	}
	segments := b.store.Segments("door", time.Time{}, time.Time{})
	for _, info := range segments {
		reader, err := b.store.OpenSegment(info.Key)
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		m, err := mkv.Open(reader, info.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		fragments, _, err := reader.Fragments()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fragments {
			for block, err := range m.Blocks(f) {
				if err != nil {
					t.Fatal(err)
				}
				if block.Track == accessunit.VideoNumber {
					pictures++
				} else if len(block.Data) >= 100 {
					sounds[len(block.Data)] += reader.Header().Tracks[1].CodecID[:5]
				}
			}
		}
	}
	if want := (len(formats) + 1) * perFormat; pictures != want {
		t.Errorf("%d pictures are recorded, want %d", pictures, want)
	}
	for i, id := range []string{"A_MPE", "A_AAC", "A_AAC"} {
		got := sounds[101+i]
		for at := 0; at+5 <= len(got); at += 5 {
			if got[at:at+5] != id {
				t.Fatalf("the audio %d lies in a track of %s, want %s", i, got[at:at+5], id)
			}
		}
		if n := len(got) / 5; n < perFormat-10-2*keyframes || i == 2 && n < perFormat-10-2 {
			t.Errorf("%d frames of the audio %d are recorded", n, i)
		}
	}
	if len(segments) != len(formats) { // the last change had no effect
		t.Errorf("%d segments, want %d", len(segments), len(formats))
	}
}

// TestAudioThatIsLearnedWhileAllIsHeldBack: the first segment has a track for the audio.
func TestAudioThatIsLearnedWhileAllIsHeldBack(t *testing.T) {
	t.Parallel()
	s := &noted{}
	h := newOpeningHold(s, true)
	h.Begin(accessunit.H264, 90000, nil, nil)
	h.AccessUnit([][]byte{[]byte(idr)}, 0, noon)
	h.ChangeAudio(&accessunit.AudioTrack{Rate: 8000})
	h.Audio([]byte{1}, 0, noon)
	for i := range 3 * timeline.OpeningUnits {
		h.AccessUnit([][]byte{[]byte(slice1)}, uint32(i+1)*3600, noon.Add(time.Duration(i+1)*tick))
	}
	if len(s.list) < 3 || s.list[0] != "begin" || s.list[1] != "audio" {
		t.Errorf("%q", s.list[:min(len(s.list), 5)])
	}
}

// TestASegmenterBeginsWithTheAudioOfNow has audio that alternates for long: the cost of starting a segmenter does not grow with it.
func TestASegmenterBeginsWithTheAudioOfNow(t *testing.T) {
	b := newBench(t)
	v := newSupervisor(b.o)
	first, second := &accessunit.AudioTrack{Rate: 8000}, &accessunit.AudioTrack{Rate: 16_000}
	v.Begin(accessunit.H264, 90000, [][]byte{realSPS, realPPS}, nil)
	begin := func() {
		v.segmenter = nil
		if s := v.ready(); s == nil || s.audio == nil {
			t.Fatal("the new segmenter has no audio")
		}
	}
	v.ChangeAudio(first)
	few := testing.AllocsPerRun(10, begin)
	for range 1000 {
		v.ChangeAudio(second)
		v.ChangeAudio(first)
	}
	if many := testing.AllocsPerRun(10, begin); many > few+2 {
		t.Errorf("after 2000 changes a segmenter takes %v allocations, after one %v", many, few)
	}
	v.ChangeAudio(second)
	if begin(); v.segmenter.audio.Rate != second.Rate {
		t.Errorf("it begins with audio of %d Hz", v.segmenter.audio.Rate)
	}
	v.Begin(accessunit.H264, 90000, [][]byte{realSPS, realPPS}, nil)
	if v.segmenter.audio != nil {
		t.Error("the next session has the audio of the previous one")
	}
}

// TestLostAudioIsCountedAndSaid: the condition ends when nothing more is lost.
func TestLostAudioIsCountedAndSaid(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 400 {
		b.audioFrame([]byte{1}, 0, noon)
	}
	b.audioLost(1)
	if b.says(codeAudioLoss) || b.part.Value(health.AudioPacketsLost) != 1 {
		t.Error("one lost packet in 400 is reported")
	}
	b.audioLost(9)
	if !b.says(codeAudioLoss) || b.part.Value(health.AudioPacketsLost) != 10 {
		t.Errorf("10 in 400 are: %d", b.part.Value(health.AudioPacketsLost))
	}
}
