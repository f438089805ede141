package mpegts_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/mpegts"
)

// muxer writes streams with the faults of encoders.
type muxer struct {
	bytes.Buffer
	counts  map[int]byte
	version byte
	still   bool // counters do not change
	badCRC  bool
}

// packet writes a packet with a payload of at most 184 bytes, stuffed.
func (m *muxer) packet(pid int, start bool, payload []byte) {
	if m.counts == nil {
		m.counts = make(map[int]byte)
	}
	p := []byte{0x47, byte(pid >> 8), byte(pid), 0x10 | m.counts[pid]&0xF}
	if start {
		p[1] |= 0x40
	}
	if !m.still {
		m.counts[pid]++
	}
	if room := 184 - len(payload); room > 0 {
		p[3] |= 0x20
		field := bytes.Repeat([]byte{0xFF}, room)
		if field[0] = byte(room - 1); room > 1 {
			field[1] = 0
		}
		p = append(p, field...)
	}
	m.Write(append(p, payload...))
}

// section writes a table.
func (m *muxer) section(pid int, body []byte) {
	crc := ^uint32(0)
	for _, b := range body {
		crc ^= uint32(b) << 24
		for range 8 {
			if crc>>31 != 0 {
				crc = crc<<1 ^ 0x04C11DB7
			} else {
				crc <<= 1
			}
		}
	}
	if m.badCRC {
		crc++
	}
	m.packet(pid, true, append([]byte{0}, binary.BigEndian.AppendUint32(body, crc)...))
}

// pat writes the table of programs: their numbers and the PIDs of their tables.
func (m *muxer) pat(programs ...int) {
	body := []byte{0, 0xB0, byte(9 + 2*len(programs)), 0, 1, 0xC1 | m.version<<1, 0, 0}
	for i := 0; i < len(programs); i += 2 {
		body = binary.BigEndian.AppendUint16(body, uint16(programs[i]))
		body = binary.BigEndian.AppendUint16(body, 0xE000|uint16(programs[i+1]))
	}
	m.section(0, body)
}

// entry is a stream of a program.
type entry struct {
	kind        byte
	pid         int
	descriptors string
}

func (m *muxer) pmt(number, pid int, streams ...entry) {
	var list []byte
	for _, s := range streams {
		list = append(list, s.kind)
		list = binary.BigEndian.AppendUint16(list, 0xE000|uint16(s.pid))
		list = binary.BigEndian.AppendUint16(list, 0xF000|uint16(len(s.descriptors)))
		list = append(list, s.descriptors...)
	}
	body := []byte{2, 0xB0, byte(13 + len(list)), 0, byte(number), 0xC1 | m.version<<1, 0, 0, 0xE1, 0, 0xF0, 0}
	m.section(pid, append(body, list...))
}

const noTime = -1

// pes writes a PES packet without a length.
func (m *muxer) pes(pid int, at int64, data ...byte) {
	b := []byte{0, 0, 1, 0xE0, 0, 0, 0x80, 0, 0}
	if at != noTime {
		at &= 1<<33 - 1
		b[7], b[8] = 0x80, 5
		b = append(b, 0x21|byte(at>>29)&0xE, byte(at>>22), byte(at>>14)|1, byte(at>>7), byte(at<<1)|1)
	}
	b = append(b, data...)
	for start := true; len(b) > 0; start = false {
		n := min(len(b), 184)
		m.packet(pid, start, b[:n])
		b = b[n:]
	}
}

const frame = 3600

// unit returns an access unit: a keyframe every 10, of some slices.
func unit(n, slices int) []byte {
	kind := byte(0x41)
	var b []byte
	if n%10 == 0 {
		kind = 0x65
		b = append(b, "\x00\x00\x00\x01\x67\x42\xC0\x1E\xD9\x00\x00\x00\x01\x68\xCE\x3C\x80"...)
	}
	for s := range slices {
		first := byte(0x80)
		if s > 0 {
			first = 0x40
		}
		b = append(b, 0, 0, 1, kind, first|1, byte(n+1), byte(s+1))
		b = append(b, bytes.Repeat([]byte{0x77}, 100+n%7*60)...)
	}
	return b
}

// standard writes tables and frames.
func (m *muxer) standard(from, to int) {
	for n := from; n < to; n++ {
		if n%5 == 0 {
			m.pat(1, 0x1000)
			m.pmt(1, 0x1000, entry{0x1B, 0x100, ""})
		}
		m.pes(0x100, int64(n)*frame, unit(n, 2)...)
	}
}

// TestOddStreams has the faults of encoders, gateways and transmission in streams of 40 frames.
func TestOddStreams(t *testing.T) {
	t.Parallel()
	standard := func(change func(*muxer)) func() []byte {
		return func() []byte {
			m := &muxer{}
			if change != nil {
				change(m)
			}
			m.standard(0, 40)
			return m.Bytes()
		}
	}
	each := func(change func(i int, p []byte) []byte) func() []byte {
		return func() (out []byte) {
			i := 0
			for p := range slices.Chunk(standard(nil)(), mpegts.PacketSize) {
				out = append(out, change(i, p)...)
				i++
			}
			return out
		}
	}
	text := []byte("some text")
	within := 60 // a packet in the middle of a frame
	for p := standard(nil)()[within*188:]; p[1] != 1; p = p[188:] {
		within++
	}
	null := append([]byte{0x47, 0x1F, 0xFF, 0x10}, bytes.Repeat([]byte{0xFF}, 184)...)
	for name, row := range map[string]struct {
		stream func() []byte
		frames int
		torn   int
		say    func(t mpegts.Tracks) bool
	}{
		"as it should be":                {standard(nil), 40, 0, nil},
		"counters that do not change":    {standard(func(m *muxer) { m.still = true }), 40, 0, nil},
		"wrong check sums":               {standard(func(m *muxer) { m.badCRC = true }), 40, 0, nil},
		"null packets":                   {each(func(_ int, p []byte) []byte { return slices.Concat(p, null) }), 40, 0, nil},
		"each packet twice":              {each(func(_ int, p []byte) []byte { return slices.Concat(p, p) }), 40, 0, nil},
		"garbage between":                {each(func(i int, p []byte) []byte { return append(p[:188:188], text[:i%10/9*9]...) }), 40, 0, nil},
		"garbage first":                  {func() []byte { return slices.Concat(bytes.Repeat(text, 99), standard(nil)()) }, 40, 0, nil},
		"check sums after packets (204)": {each(func(_ int, p []byte) []byte { return slices.Concat(p, make([]byte, 16)) }), 40, 0, nil},
		"an announced bit error":         {each(func(i int, p []byte) []byte { return said(p, i == within) }), 39, 1, nil},
		"a packet missing":               {each(func(i int, p []byte) []byte { return p[188*boolToInt(i == within):] }), 39, 1, nil},
		"no tables":                      {each(func(_ int, p []byte) []byte { return p[188*boolToInt(p[1]&0x1F != 1):] }), 40, 0, nil},
		"scrambled":                      {each(scramble), 0, 0, scrambled},
		"slices in PES of their own":     {slicesApart, 40, 0, nil},
		"two frames a PES":               {twoInOne, 40, 0, nil},
		"no times":                       {withoutTimes, 40, 0, nil},
		"times that wrap":                {wrapping, 40, 0, nil},
		"a later version":                {anotherVersion, 40, 0, nil},
		"the second program":             {secondProgram, 40, 0, nil},
		"MPEG-2 video only":              {func() []byte { return typed(2, "") }, 0, 0, others("MPEG-2 video")},
		"private, with a name":           {func() []byte { return typed(6, "\x05\x04H264") }, 40, 0, nil},
		"private, with a descriptor":     {func() []byte { return typed(6, "\x28\x04\x42\xC0\x1E\x3F") }, 40, 0, nil},
		"private, without":               {func() []byte { return typed(6, "") }, 40, 0, nil},
		"an unknown type":                {func() []byte { return typed(0x77, "") }, 0, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream := row.stream()
			for _, size := range []int{len(stream), 1316, 188, 1000} {
				got := read(t, stream, size)
				if len(got.times) != row.frames || got.torn != row.torn {
					t.Errorf("in chunks of %d: %d frames and %d torn, want %d and %d", size, len(got.times), got.torn, row.frames, row.torn)
				}
				for i := 1; i < len(got.times) && row.torn == 0; i++ {
					if d := mpegts.TimeStep(got.times[i-1], got.times[i]); d != frame {
						t.Errorf("frame %d comes %d ticks after the previous one", i, d)
					}
				}
				if row.say != nil && !row.say(got.last()) {
					t.Errorf("the tracks are %+v", got.last())
				}
			}
		})
	}
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// said sets the error indicator of a packet.
func said(p []byte, wrong bool) []byte {
	p[1] |= 0x80 * byte(boolToInt(wrong))
	return p
}

func scramble(_ int, p []byte) []byte {
	p[3] |= 0x80 * byte(boolToInt(p[1]&0x1F == 1))
	return p
}

func scrambled(t mpegts.Tracks) bool { return t.Scrambled }

func others(name string) func(mpegts.Tracks) bool {
	return func(t mpegts.Tracks) bool {
		return t.Video == "" && slices.Equal(t.Others, []string{name}) && t.Settled
	}
}

func slicesApart() []byte {
	m := &muxer{}
	for n := range 40 {
		m.pat(1, 0x1000)
		m.pmt(1, 0x1000, entry{0x1B, 0x100, ""})
		for i, nal := range bytes.Split(unit(n, 3), []byte{0, 0, 1})[1:] {
			at := int64(n) * frame
			if i > 0 && n%2 == 0 {
				at = noTime
			}
			m.pes(0x100, at, append([]byte{0, 0, 0, 1}, nal...)...)
		}
	}
	return m.Bytes()
}

func twoInOne() []byte {
	m := &muxer{}
	for n := 0; n < 40; n += 2 {
		m.pat(1, 0x1000)
		m.pmt(1, 0x1000, entry{0x1B, 0x100, ""})
		m.pes(0x100, int64(n)*frame, append(unit(n, 1), unit(n+1, 1)...)...)
	}
	return m.Bytes()
}

func withoutTimes() []byte {
	m := &muxer{}
	m.pat(1, 0x1000)
	m.pmt(1, 0x1000, entry{0x1B, 0x100, ""})
	for n := range 40 {
		m.pes(0x100, noTime, unit(n, 1)...)
	}
	return m.Bytes()
}

func wrapping() []byte {
	m := &muxer{}
	m.pat(1, 0x1000)
	m.pmt(1, 0x1000, entry{0x1B, 0x100, ""})
	for n := range 40 {
		m.pes(0x100, 1<<33+int64(n-20)*frame, unit(n, 1)...)
	}
	return m.Bytes()
}

// anotherVersion switches to another stream, with a keyframe.
func anotherVersion() []byte {
	m := &muxer{}
	m.standard(0, 20)
	m.version++
	for n := 20; n < 40; n++ {
		m.pat(1, 0x1100)
		m.pmt(1, 0x1100, entry{0x0F, 0x201, ""}, entry{0x1B, 0x200, ""})
		m.pes(0x200, int64(n)*frame, unit(n, 2)...)
	}
	return m.Bytes()
}

// secondProgram has MPEG-2 in the first program, and the table of a third before that of the second.
func secondProgram() []byte {
	m := &muxer{}
	for n := range 40 {
		m.pat(0, 0x10, 1, 0x1000, 2, 0x1001, 3, 0x1002)
		m.pmt(3, 0x1002, entry{0x1B, 0x300, ""})
		m.pmt(1, 0x1000, entry{0x02, 0x100, ""})
		m.pmt(2, 0x1001, entry{0x1B, 0x200, ""})
		m.pes(0x100, int64(n)*frame, []byte("\x00\x00\x01\xB3 no H.264")...)
		m.pes(0x200, int64(n)*frame, unit(n, 2)...)
		m.pes(0x300, int64(n)*frame+7, unit(n, 1)...)
	}
	return m.Bytes()
}

func typed(kind byte, descriptors string) []byte {
	m := &muxer{}
	for n := range 40 {
		m.pat(1, 0x1000)
		m.pmt(1, 0x1000, entry{kind, 0x100, descriptors})
		m.pes(0x100, int64(n)*frame, unit(n, 2)...)
	}
	return m.Bytes()
}

// TestReadingTakesNoMemory: reading a stream does not allocate.
func TestReadingTakesNoMemory(t *testing.T) {
	m := &muxer{}
	m.standard(0, 1000)
	stream := m.Bytes()
	d := mpegts.NewDemuxer(quiet{}, 16<<20)
	part := len(stream) / 2 / 1316 * 1316
	for chunk := range slices.Chunk(stream[:part], 1316) {
		_ = d.Write(chunk)
	}
	rest := stream[part:]
	if n := testing.AllocsPerRun(len(rest)/1316-1, func() {
		_ = d.Write(rest[:1316])
		rest = rest[1316:]
	}); n > 0 {
		t.Errorf("%v allocations for each RTP packet", n)
	}
}

// quiet is a handler that does nothing.
type quiet struct{}

func (quiet) Tracks(mpegts.Tracks)         {}
func (quiet) AccessUnit(mpegts.AccessUnit) {}
func (quiet) AudioFrame([]byte, int64)     {}

// TestMemoryIsBounded has streams that never end what they start.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	const most = 100_000
	m := &muxer{}
	m.pat(1, 0x1000)
	m.pmt(1, 0x1000, entry{0x1B, 0x100, ""})
	m.pes(0x100, 0, append([]byte("\x00\x00\x01\x65\x88"), bytes.Repeat([]byte{1}, 2*most)...)...)
	d := mpegts.NewDemuxer(quiet{}, most)
	if err := d.Write(m.Bytes()); err != mpegts.ErrHuge {
		t.Errorf("a picture without end: %v", err)
	}
	m.Reset()
	m.pat(1, 0x1000)
	m.pmt(1, 0x1000, entry{0x1B, 0x100, ""})
	m.pes(0x100, 0, bytes.Repeat([]byte{1}, 2*most)...)
	d = mpegts.NewDemuxer(quiet{}, most)
	if err := d.Write(m.Bytes()); err != nil || d.Pending() > 1000 {
		t.Errorf("bytes that are not video: %v, %d are kept", err, d.Pending())
	}
}

func FuzzDemuxer(f *testing.F) {
	for _, stream := range [][]byte{
		slicesApart()[:20*188], twoInOne()[:20*188], secondProgram()[:20*188], typed(6, "\x05\x04HEVC")[:20*188],
	} {
		f.Add(stream, uint16(1316))
	}
	f.Fuzz(func(t *testing.T, stream []byte, size uint16) {
		d := mpegts.NewDemuxer(checked{t}, 1<<20)
		for i := 0; i < len(stream); i += int(size) + 1 {
			if d.Write(stream[i:min(i+int(size)+1, len(stream))]) != nil {
				return
			}
			if size%7 == 0 {
				d.Lost(i % 5)
			}
		}
		d.Restart()
		d.End()
	})
}

// checked checks the guarantees of each access unit.
type checked struct{ t *testing.T }

func (checked) Tracks(mpegts.Tracks) {}

func (c checked) AccessUnit(u mpegts.AccessUnit) {
	for _, nal := range u.NALUs {
		if len(nal) == 0 || bytes.Contains(nal, []byte{0, 0, 1}) {
			c.t.Errorf("a NAL unit is %x", nal)
		}
	}
	if u.At < 0 && u.Timed || u.Missing < 0 {
		c.t.Errorf("%+v", u)
	}
}

func (c checked) AudioFrame(data []byte, _ int64) {
	if len(data) == 0 {
		c.t.Error("a frame of nothing")
	}
}

// TestPacketsStuffedInTheMiddle has an encoder that stuffs packets in the middle of PES packets, from the start or later, and one
// whose lengths are too small: no access unit is cut off without being reported.
func TestPacketsStuffedInTheMiddle(t *testing.T) {
	t.Parallel()
	const frames = 80
	for name, row := range map[string]struct {
		from    int // frame
		lengths int // 0: none; else how much they are too small, plus one
		missing int
	}{
		"all along":                       {0, 0, 0},
		"later":                           {60, 0, 1},
		"all along, with lengths":         {0, 1, 0},
		"later, with lengths":             {60, 1, 0},
		"all along, with wrong lengths":   {0, 101, 0},
		"later, with lengths wrong by it": {60, 101, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &muxer{}
			pictures := make(map[int64][]byte)
			m.pat(1, 0x1000)
			m.pmt(1, 0x1000, entry{0x1B, 0x100, ""})
			for n := range frames {
				at := int64(n) * frame
				data := unit(n, 2)
				pictures[at] = bytes.ReplaceAll(data, []byte{0, 0, 0, 1}, []byte{0, 0, 1})
				b := slices.Concat([]byte{0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5},
					[]byte{0x21 | byte(at>>29)&0xE, byte(at >> 22), byte(at>>14) | 1, byte(at >> 7), byte(at<<1) | 1}, data)
				if row.lengths > 0 {
					size := len(b) - 6
					if n >= row.from {
						size -= row.lengths - 1
					}
					binary.BigEndian.PutUint16(b[4:], uint16(size))
				}
				for start := true; len(b) > 0; start = false {
					size := min(len(b), 184)
					if n >= row.from {
						size = min(len(b), 90)
					}
					m.packet(0x100, start, b[:size])
					b = b[size:]
				}
			}
			got := &pictured{}
			d := mpegts.NewDemuxer(got, 16<<20)
			for chunk := range slices.Chunk(m.Bytes(), 1316) {
				if err := d.Write(chunk); err != nil {
					t.Fatal(err)
				}
			}
			d.End()
			if len(got.times) != frames || got.missing != row.missing || got.torn > 0 {
				t.Errorf("%d frames, %d packets missing, %d torn", len(got.times), got.missing, got.torn)
			}
			cut := 0
			for i, at := range got.times {
				if !bytes.Equal(got.pictures[i], pictures[at]) {
					cut++
				}
			}
			if cut > row.missing {
				t.Errorf("%d access units are cut off, and %d packets are missing", cut, got.missing)
			}
		})
	}
}

// pictured collects access units separately.
type pictured struct {
	collected
	pictures [][]byte
}

func (p *pictured) AccessUnit(u mpegts.AccessUnit) {
	before := len(p.video)
	p.collected.AccessUnit(u)
	p.pictures = append(p.pictures, bytes.Clone(p.video[before:]))
}
