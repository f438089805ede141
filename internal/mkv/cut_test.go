package mkv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

var g711 = Track{Number: 2, Kind: Audio, CodecID: CodecACM, CodecPrivate: make([]byte, 18), SampleRate: 8000, Channels: 1, BitDepth: 8}

// What other muxers put into a cluster.
const (
	idCRC32         = 0xBF
	idPrevSize      = 0xAB
	idBlockDuration = 0x9B
)

func onlyVideo(t Track) bool { return t.Kind == Video }

// The same film with and without sound, sent without sound, must be the same bytes on the wire.
func TestACutIsWhatASegmentWithoutTheTrackWouldHave(t *testing.T) {
	t.Parallel()
	s := encodeSample(t, 4)
	wire := func(sound bool) []byte {
		h := s.header()
		if sound {
			h.Tracks = append(h.Tracks, g711)
		}
		f := create(t)
		w, err := NewWriter(f, h, WriterOptions{BufferSize: 8 << 10})
		if err != nil {
			t.Fatal(err)
		}
		for i, unit := range s.units {
			at := time.Duration(i) * 40 * time.Millisecond
			if isKeyframe(unit) {
				err = errors.Join(err, w.BeginFragment(at, true))
			}
			for n := range 2 * (i % 3) { // before the picture none, two or four
				if sound {
					err = errors.Join(err, w.WriteFrame(2, at+time.Duration(n), true, [][]byte{bytes.Repeat([]byte{byte(n)}, 160*n)}))
				}
			}
			err = errors.Join(err, w.WriteFrame(1, at, isKeyframe(unit), unit))
		}
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		r, err := Open(f, w.Size())
		if err != nil {
			t.Fatal(err)
		}
		selection := Select(r.Header(), onlyVideo)
		if selection.Whole() == sound {
			t.Errorf("with audio %v the selection has all tracks: %v", sound, selection.Whole())
		}
		body := AppendStreamHeader(nil, selection.Header)
		var cut Cut
		for _, fragment := range w.Fragments() {
			if err := cut.Load(f, fragment, selection); err != nil {
				t.Fatal(err)
			}
			var head [ClusterHeadSize]byte
			PutClusterHead(head[:], ClusterHeadSize+cut.Size(), sampleStart.Add(fragment.Start).UnixMilli())
			media, err := io.ReadAll(iotest.OneByteReader(&cut))
			if err != nil || int64(len(media)) != cut.Size() {
				t.Fatalf("%d of %d bytes: %v", len(media), cut.Size(), err)
			}
			body = append(append(body, head[:]...), media...)
		}
		return body
	}
	with, without := wire(true), wire(false)
	if !bytes.Equal(with, without) {
		t.Errorf("%d bytes of a segment with sound, %d of one without", len(with), len(without))
	}
	path := t.TempDir() + "/wire.mkv"
	if err := os.WriteFile(path, with, 0o600); err != nil {
		t.Fatal(err)
	}
	mustBeClean(t, path)
	if got, want := frameSums(t, "-i", path), frameSums(t, "-f", "h264", "-i", s.annexB(t)); !slices.Equal(got, want) {
		t.Errorf("%d pictures, want the %d of the source", len(got), len(want))
	}
}

// cluster returns a cluster with these children.
func cluster(children ...[]byte) (data []byte, f Fragment) {
	data = make([]byte, ClusterHeadSize)
	data = append(data, slices.Concat(children...)...)
	f = Fragment{Size: int64(len(data))}
	PutClusterHead(data, f.Size, 0)
	return data, f
}

func simple(track uint8, data string) []byte {
	return append(appendBlockHead(nil, track, 0, true, len(data)), data...)
}

// small is an element of less than 127 bytes.
func small(id uint32, data ...byte) []byte {
	whole := bytes.TrimLeft(binary.BigEndian.AppendUint32(nil, id), "\x00")
	return append(append(whole, 0x80|byte(len(data))), data...)
}

// group is a BlockGroup whose block comes behind another child.
func group(track uint8, data string) []byte {
	block := append([]byte{0x80 | track, 0, 0, 0}, data...)
	children := append(small(idBlockDuration, 40), small(element.IDBlock, block...)...)
	return small(element.IDBlockGroup, children...)
}

func TestACutKeepsTheBlocksOfSelectedTracksOnly(t *testing.T) {
	t.Parallel()
	h := Header{Tracks: []Track{{Number: 1, Kind: Video}, {Number: 2, Kind: Audio}, {Number: 3, Kind: Audio, CodecID: CodecAAC}}}
	checksum := small(idCRC32, []byte("1234")...)
	previous := small(idPrevSize, 0x03, 0xE8)
	for _, tc := range []struct {
		name     string
		wanted   func(Track) bool
		children [][]byte
		want     []byte
		extents  int
		err      error
	}{
		{"alternating", onlyVideo, [][]byte{simple(2, "a"), simple(1, "v"), simple(2, "b"), simple(1, "w")},
			slices.Concat(simple(1, "v"), simple(1, "w")), 2, nil},
		{"neighbours are read at once", onlyVideo, [][]byte{simple(1, "v"), simple(1, "w"), simple(2, "a")},
			slices.Concat(simple(1, "v"), simple(1, "w")), 1, nil},
		{"groups", onlyVideo, [][]byte{group(2, "a"), group(1, "v"), group(2, "b")}, group(1, "v"), 1, nil},
		{"a checksum and a position", onlyVideo, [][]byte{checksum, previous, simple(1, "v"), simple(2, "a")}, simple(1, "v"), 1, nil},
		{"the last of three tracks", func(t Track) bool { return t.Number != 2 },
			[][]byte{simple(1, "v"), simple(2, "a"), simple(3, "c")}, slices.Concat(simple(1, "v"), simple(3, "c")), 2, nil},
		{"sound alone", onlyVideo, [][]byte{simple(2, "a"), group(2, "b")}, nil, 0, ErrNoFrame},
		{"nothing", onlyVideo, nil, nil, 0, ErrNoFrame},
		{"one selected track is missing", func(t Track) bool { return t.Number != 2 },
			[][]byte{simple(1, "v"), simple(2, "a")}, nil, 0, ErrNoFrame},
		{"torn", onlyVideo, [][]byte{simple(1, "video")[:10]}, nil, 0, errTorn},
		{"a group without a block", onlyVideo, [][]byte{small(element.IDBlockGroup, small(idBlockDuration, 40)...)}, nil, 0, errTorn},
		{"a block of no track", onlyVideo, [][]byte{simple(0, "v")}, nil, 0, errTorn},
		{"an empty block", onlyVideo, [][]byte{small(element.IDSimpleBlock)}, nil, 0, errTorn},
	} {
		data, f := cluster(tc.children...)
		var cut Cut
		err := cut.Load(bytes.NewReader(data), f, Select(h, tc.wanted))
		if !errors.Is(err, tc.err) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.err)
		}
		if tc.err != nil {
			continue
		}
		got, err := io.ReadAll(&cut)
		if err != nil || !bytes.Equal(got, tc.want) || cut.Size() != int64(len(tc.want)) || len(cut.extents) != tc.extents {
			t.Errorf("%s: %x in %d extents (%v), want %x in %d", tc.name, got, len(cut.extents), err, tc.want, tc.extents)
		}
	}
}

func TestACutOfAFileThatEndsEarlyFails(t *testing.T) {
	t.Parallel()
	data, f := cluster(simple(1, "video"), simple(2, "a"), simple(1, "more"))
	var cut Cut
	h := Header{Tracks: []Track{{Number: 1, Kind: Video}, {Number: 2, Kind: Audio}}}
	if err := cut.Load(bytes.NewReader(data), f, Select(h, onlyVideo)); err != nil {
		t.Fatal(err)
	}
	cut.heads.r = bytes.NewReader(data[:len(data)-2])
	if got, err := io.ReadAll(&cut); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// backlogCluster is a fragment of 2 s: 50 pictures and 100 blocks of G.711.
func backlogCluster(picture int) ([]byte, Fragment, Selection) {
	var children [][]byte
	for range 50 {
		children = append(children, simple(2, strings.Repeat("a", 160)), simple(2, strings.Repeat("b", 160)))
		children = append(children, simple(1, strings.Repeat("v", picture)))
	}
	data, f := cluster(children...)
	return data, f, Select(Header{Tracks: []Track{{Number: 1, Kind: Video}, g711}}, onlyVideo)
}

func TestACutAllocatesNothingPerBlock(t *testing.T) {
	data, f, selection := backlogCluster(4000)
	r := bytes.NewReader(data)
	buffer := make([]byte, 128<<10)
	var cut Cut
	allocs := testing.AllocsPerRun(50, func() {
		if err := cut.Load(r, f, selection); err != nil {
			t.Fatal(err)
		}
		for left := cut.Size(); left > 0; {
			n, err := cut.Read(buffer)
			if left -= int64(n); err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocs != 0 {
		t.Errorf("%.1f allocations a fragment of 150 blocks", allocs)
	}
}

func BenchmarkCut(b *testing.B) {
	for _, picture := range []int{5_000, 40_000} { // of 1 and 8 Mbit/s
		b.Run(fmt.Sprint(picture), func(b *testing.B) {
			data, f, selection := backlogCluster(picture)
			path := b.TempDir() + "/cluster"
			if err := os.WriteFile(path, data, 0o600); err != nil {
				b.Fatal(err)
			}
			file, err := os.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = file.Close() }()
			buffer := make([]byte, 128<<10)
			var cut Cut
			b.SetBytes(f.Size)
			for b.Loop() {
				if err := cut.Load(file, f, selection); err != nil {
					b.Fatal(err)
				}
				for left := cut.Size(); left > 0; {
					n, err := cut.Read(buffer)
					if left -= int64(n); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
