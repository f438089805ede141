package mp4

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// Movie describes a file.
type Movie struct {
	Title  string
	Start  time.Time     // of the first sample; zero: not said
	Length time.Duration // as far as is known; 0: not said
	Tracks []Track
}

// AppendHeader appends what precedes the fragments of a movie.
func AppendHeader(dst []byte, m Movie) []byte {
	parts := [][]byte{m.head()}
	var extends [][]byte
	if m.Length > 0 {
		extends = append(extends, full("mehd", 1, 0, u64(ticks(m.Length))))
	}
	for i, t := range m.Tracks {
		parts = append(parts, m.track(i))
		flags := uint32(sampleSync)
		if t.Video() {
			flags = sampleOther
		}
		extends = append(extends, full("trex", 0, 0, u32(t.ID, 1, 0, 0, flags)))
	}
	parts = append(parts, box("mvex", extends...), m.description())
	return append(append(dst, fileType()...), box("moov", parts...)...)
}

// fileType returns the box with which every file begins. iso6 has what fragments need.
func fileType() []byte { return box("ftyp", []byte("isom"), u32(512), []byte("isomiso6mp41mp42")) }

func ticks(d time.Duration) uint64 { return uint64(max(d.Milliseconds(), 0)) }

// since1904 is the time as MP4 counts it.
func since1904(t time.Time) uint64 {
	const from1904to1970 = 2_082_844_800 // s
	return uint64(max(t.Unix()+from1904to1970, 0))
}

// matrix shows pictures as they are.
var matrix = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)

const (
	normalRate   = 0x10000
	normalVolume = 0x100
	undetermined = 0x55C4 // the language und
)

// The offsets of durations in boxes of version 1, and of the timescale of a track.
const (
	movieDuration = fullHead + 8 + 8 + 4
	trackDuration = fullHead + 8 + 8 + 4 + 4
	mediaDuration = fullHead + 8 + 8 + 4
	mediaScale    = fullHead + 8 + 8
)

func (m Movie) head() []byte {
	made := since1904(m.Start)
	return full("mvhd", 1, 0, u64(made, made), u32(MovieTimescale), u64(0), u32(normalRate), u16(normalVolume), make([]byte, 10),
		matrix, make([]byte, 24), u32(uint32(len(m.Tracks))+1))
}

// track returns the box of a track without samples.
func (m Movie) track(i int) []byte {
	const (
		enabled, shown = 1, 2
		alternatives   = 1 // players play one of the tracks of a group
	)
	t, made := m.Tracks[i], since1904(m.Start)
	flags, group, volume := uint32(enabled|shown), uint16(alternatives), uint16(normalVolume)
	handler, name, kind := "soun", "audio", full("smhd", 0, 0, make([]byte, 4))
	width, height := 0, 0
	switch {
	case t.Video():
		group, volume = 0, 0
		handler, name, kind = "vide", "video", full("vmhd", 0, 1, make([]byte, 8))
		width, height = t.media.Width, t.media.Height
		if p := t.media.Picture; p.DisplayWidth > 0 && p.DisplayHeight > 0 {
			width, height = p.DisplayWidth, p.DisplayHeight
		}
	case m.hasAudio(i):
		flags = shown
	}
	head := full("tkhd", 1, flags, u64(made, made), u32(t.ID, 0), u64(0, 0), u16(0, group, volume, 0), matrix,
		u32(fixed(width), fixed(height)))
	data := box("dinf", full("dref", 0, 0, u32(1), full("url ", 0, 1))) // in the same file
	samples := box("stbl", full("stsd", 0, 0, u32(1), t.entry), full("stts", 0, 0, u32(0)), full("stsc", 0, 0, u32(0)),
		full("stsz", 0, 0, u32(0, 0)), full("stco", 0, 0, u32(0)))
	return box("trak", head, edits(0, 0, uint64(t.Delay)), box("mdia",
		full("mdhd", 1, 0, u64(made, made), u32(t.Timescale), u64(0), u16(undetermined, 0)),
		full("hdlr", 0, 0, u32(0), []byte(handler), make([]byte, 12), []byte(name), []byte{0}),
		box("minf", kind, data, samples)))
}

// hasAudio reports whether there is audio before a track.
func (m Movie) hasAudio(before int) bool {
	for _, t := range m.Tracks[:before] {
		if t.media.Kind == mkv.Audio {
			return true
		}
	}
	return false
}

// description returns the title and the time, as players show them.
func (m Movie) description() []byte {
	const text = 1
	item := func(kind, value string) []byte { return box(kind, box("data", u32(text, 0), []byte(value))) }
	var date []byte
	if !m.Start.IsZero() {
		date = item("\xa9day", m.Start.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	list := box("ilst", item("\xa9nam", m.Title), date, item("\xa9too", "kvs-edge-agent"))
	return box("udta", full("meta", 0, 0, full("hdlr", 0, 0, u32(0), []byte("mdirappl"), make([]byte, 9)), list))
}

// The sizes of the box that edits returns: of an entry, and of all of it at most.
const (
	editEntry = 8 + 8 + 4
	editSize  = boxHead + tableHead + 2*editEntry
)

// edits returns the box that has a track begin at a time, with the media from skipped ticks of its own on; nil where it says nothing. A
// length of 0 is that of all fragments. Times are ticks of the movie.
func edits(start, length, skipped uint64) []byte {
	if start == 0 && skipped == 0 {
		return nil
	}
	const nothing = math.MaxUint64 // -1: there is no media at that time
	var entries [][]byte
	if start > 0 {
		entries = append(entries, u64(start, nothing), u32(normalRate))
	}
	entries = append(entries, u64(length, skipped), u32(normalRate))
	return box("edts", full("elst", 1, 0, append([][]byte{u32(uint32(len(entries) / 2))}, entries...)...))
}

// skippedBy returns what the box of edits in the header of a stream skips, in ticks of its track.
func skippedBy(edts []byte) uint64 {
	if len(edts) < boxHead+tableHead+editEntry {
		return 0
	}
	return binary.BigEndian.Uint64(edts[boxHead+tableHead+8:])
}
