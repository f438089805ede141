package mpegts

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
)

// The tables that are read (2.4.4.4).
const (
	tablePAT = 0
	tablePMT = 2
)

const (
	// maxPrograms bounds the programs of a stream, and maxStreams the streams of one.
	maxPrograms = 128
	maxStreams  = 64
	// patience is how often the table of the programs is repeated until one is chosen although not all of their tables have arrived.
	patience = 3
)

// program is a program of a stream.
type program struct {
	number  int
	pid     int // PID of its table
	section section
	table   []byte // the last one
	streams []stream
}

// known reports whether its table has arrived.
func (g *program) known() bool { return g.table != nil }

// video returns the first video that can be read.
func (g *program) video() (stream, bool) { return g.first(videoKind) }

// audio returns the first AAC, which Kinesis Video Streams plays, or else the first audio that can be read.
func (g *program) audio() stream {
	i := slices.IndexFunc(g.streams, func(s stream) bool { return s.container == audio.ADTS || s.container == audio.LOAS })
	if i >= 0 {
		return g.streams[i]
	}
	s, _ := g.first(audioKind)
	return s
}

func (g *program) first(k kind) (stream, bool) {
	i := slices.IndexFunc(g.streams, func(s stream) bool { return s.kind == k && s.readable })
	if i < 0 {
		return stream{pid: noPID}, false
	}
	return g.streams[i], true
}

// unknown reports whether the kind of a stream is still unknown.
func (g *program) unknown() bool {
	return slices.ContainsFunc(g.streams, func(s stream) bool { return s.unknown })
}

// others names the streams of a kind that cannot be read.
func (g *program) others(k kind) (names []string) {
	for _, s := range g.streams {
		if s.kind == k && !s.readable && !slices.Contains(names, s.name) {
			names = append(names, s.name)
		}
	}
	return names
}

// table removes the fixed parts of a table: it returns the entries, without the check sum.
func table(data []byte, id byte, fixed int) (number, section, last int, body []byte, ok bool) {
	const check = 4
	if len(data) < fixed+check || data[0] != id || data[5]&1 == 0 { // it is not in effect yet
		return 0, 0, 0, nil, false
	}
	return int(binary.BigEndian.Uint16(data[3:])), int(data[6]), int(data[7]), data[fixed : len(data)-check], true
}

// readPAT reads a section of the table of the programs (2.4.4.3).
func (d *Demuxer) readPAT(data []byte) {
	_, _, last, body, ok := table(data, tablePAT, 8)
	if !ok {
		return
	}
	var list []*program
	if last > 0 {
		list = d.programs // further sections of the table
	}
	for ; len(body) >= 4; body = body[4:] {
		number, pid := int(binary.BigEndian.Uint16(body)), int(binary.BigEndian.Uint16(body[2:])&maxPID)
		if number == 0 || pid == 0 || len(list) >= maxPrograms { // the network information
			continue
		}
		if g := find(d.programs, number, pid); g == nil {
			list = append(list, &program{number: number, pid: pid})
		} else if !slices.Contains(list, g) {
			list = append(list, g)
		}
	}
	d.repeats++
	if !slices.Equal(list, d.programs) {
		d.programs, d.repeats = list, 0
	}
	d.listed = true
	d.choose()
}

func find(list []*program, number, pid int) *program {
	i := slices.IndexFunc(list, func(g *program) bool { return g.number == number && g.pid == pid })
	if i < 0 {
		return nil
	}
	return list[i]
}

// readPMT reads a table of a program, which arrived in a stream (2.4.4.8).
func (d *Demuxer) readPMT(data []byte, pid int) {
	number, _, _, body, ok := table(data, tablePMT, 12)
	if !ok {
		return
	}
	g := find(d.programs, number, pid)
	if g == nil { // the PID has only one program, whatever its number
		i := slices.IndexFunc(d.programs, func(g *program) bool { return g.pid == pid })
		if i < 0 || slices.ContainsFunc(d.programs[i+1:], func(g *program) bool { return g.pid == pid }) {
			return
		}
		g = d.programs[i]
	}
	if bytes.Equal(data, g.table) {
		return
	}
	g.table = bytes.Clone(data)
	about := descriptors(data[12:], int(binary.BigEndian.Uint16(data[10:])&0xFFF))
	body = body[min(len(about), len(body)):]
	g.streams = nil
	for len(body) >= 5 && len(g.streams) < maxStreams {
		own := descriptors(body[5:], int(binary.BigEndian.Uint16(body[3:])&0xFFF))
		g.streams = append(g.streams, newStream(body[0], int(binary.BigEndian.Uint16(body[1:])&maxPID), about, own))
		body = body[5+len(own):]
	}
	d.choose()
}

// descriptors returns the descriptors at the front of data, whose announced size may be too large.
func descriptors(data []byte, size int) []byte { return data[:min(size, len(data))] }

// choose chooses the program to read. A program that is read stays, as long as it has video: until the tables of all have arrived the first
// one may be replaced by one that precedes it.
func (d *Demuxer) choose() {
	candidates := d.programs
	if d.guessed != nil {
		candidates = append(slices.Clone(d.programs), d.guessed)
	}
	usable := func(g *program) bool { _, ok := g.video(); return ok }
	if d.current == nil || !d.told.Settled || !slices.Contains(d.programs, d.current) || !usable(d.current) {
		d.current = nil
		if i := slices.IndexFunc(candidates, usable); i >= 0 {
			d.current = candidates[i]
		}
	}
	missing := slices.ContainsFunc(d.programs, func(g *program) bool { return !g.known() })
	d.tables = Tracks{Settled: d.listed && (!missing || d.repeats >= patience) || d.guessed != nil && d.packets > guessAfter}
	video, sound := stream{pid: noPID}, stream{pid: noPID}
	if d.current != nil {
		video, _ = d.current.video()
		sound = d.current.audio()
		d.tables.Video, d.tables.PID, d.tables.OtherAudio = video.name, video.pid, d.current.others(audioKind)
	} else {
		for _, g := range candidates {
			d.tables.Others = append(d.tables.Others, g.others(videoKind)...)
		}
		slices.Sort(d.tables.Others)
		d.tables.Others = slices.Compact(d.tables.Others)
	}
	d.video.follow(d, video)
	d.audio.follow(sound)
	d.tables.Settled = d.tables.Settled && (sound.pid != noPID || d.current == nil || !d.current.unknown())
	d.tell()
}

// tell reports the tracks, as far as their streams have shown them, when they have changed.
func (d *Demuxer) tell() {
	t := d.tables
	t.Audio, t.Scrambled = d.audio.about, d.video.encrypted
	t.Settled = t.Settled && (d.audio.stream.pid == noPID || t.Audio != nil)
	if !t.equal(d.told) {
		d.told = t
		d.to.Tracks(t)
	}
}

func (t Tracks) equal(other Tracks) bool {
	same := t.Audio == other.Audio || t.Audio != nil && other.Audio != nil && SameFormat(*t.Audio, *other.Audio)
	return same && t.Video == other.Video && t.PID == other.PID && t.Scrambled == other.Scrambled && t.Settled == other.Settled &&
		slices.Equal(t.Others, other.Others) && slices.Equal(t.OtherAudio, other.OtherAudio)
}

// SameFormat reports whether frames of two formats can follow each other.
func SameFormat(a, b audio.Format) bool {
	config := bytes.Equal(a.Config, b.Config)
	a.Config, b.Config = nil, nil
	return config && reflect.DeepEqual(a, b)
}
