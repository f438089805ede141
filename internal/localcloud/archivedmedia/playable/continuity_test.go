package playable

import (
	"bytes"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
)

// written is a frame of a transport stream, as it was written or read.
type written struct {
	pts, dts int64
	units    [][]byte
}

// TestCountersContinueInTheNextFragment: two fragments, one behind the other, have no break in any counter, and all that was written is
// read, whatever the number of packets is.
func TestCountersContinueInTheNextFragment(t *testing.T) {
	t.Parallel()
	for n := range 40 {
		var all []byte
		var want []written
		for range 2 {
			var out bytes.Buffer
			video := &mpegts.Track{Codec: &mpegts.CodecH264{}}
			audio := &mpegts.Track{Codec: &mpegts.CodecMPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
				Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelCount: 1}}}
			w := &mpegts.Writer{W: &out, Tracks: []*mpegts.Track{video, audio}}
			if err := w.Initialize(); err != nil {
				t.Fatal(err)
			}
			for i := range n + 1 {
				unit := append([]byte{0x41}, bytes.Repeat([]byte{byte(i + 1)}, 60+i*n*7)...)
				if i == 0 {
					unit[0] = 0x65
				}
				f := written{int64(len(want)) * 3000, int64(len(want)) * 3000, [][]byte{unit}}
				want = append(want, f)
				if err := w.WriteH264(video, f.pts, f.dts, f.units); err != nil {
					t.Fatal(err)
				}
				if err := w.WriteMPEG4Audio(audio, f.pts, [][]byte{bytes.Repeat([]byte{9}, 50)}); err != nil {
					t.Fatal(err)
				}
			}
			all = append(all, continuous(out.Bytes())...)
		}
		next := map[uint16]byte{}
		for p := range packetsOf(all) {
			if want, seen := next[p.pid()]; seen && p.carries() && p[3]&0xF != want {
				t.Fatalf("%d: PID %d continues with %d, want %d", n, p.pid(), p[3]&0xF, want)
			}
			if p.carries() {
				next[p.pid()] = (p[3] + 1) & 0xF
			}
		}
		got := readBack(t, all)
		if len(got) != len(want) {
			t.Fatalf("%d: %d pictures are read, want %d", n, len(got), len(want))
		}
		for i, f := range got {
			units := f.units
			if last := units[len(units)-1]; f.pts != want[i].pts || !bytes.Equal(last, want[i].units[0]) {
				t.Fatalf("%d: picture %d is at %d with %d bytes, want %d with %d", n, i, f.pts, len(last), want[i].pts, len(want[i].units[0]))
			}
		}
	}
}

func packetsOf(ts []byte) func(func(packet) bool) {
	return func(yield func(packet) bool) {
		for ; len(ts) > 0; ts = ts[packetSize:] {
			if !yield(ts[:packetSize]) {
				return
			}
		}
	}
}

func readBack(t *testing.T, ts []byte) (list []written) {
	t.Helper()
	r := &mpegts.Reader{R: bytes.NewReader(ts)}
	if err := r.Initialize(); err != nil {
		t.Fatal(err)
	}
	r.OnDecodeError(func(err error) { t.Errorf("a reader complains: %v", err) })
	for _, track := range r.Tracks() {
		if _, video := track.Codec.(*mpegts.CodecH264); video {
			r.OnDataH264(track, func(pts, dts int64, units [][]byte) error {
				list = append(list, written{pts, dts, units})
				return nil
			})
		}
	}
	for r.Read() == nil {
	}
	return list
}
