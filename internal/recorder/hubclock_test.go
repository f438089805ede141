package recorder

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// stepped is a hub whose wall clock is set while it records a camera, frame by frame, to real files.
type stepped struct {
	t       *testing.T
	dir     string
	store   *segment.Store
	o       *Options
	v       *supervisor
	started time.Time // true time, with its monotonic reading
	elapsed time.Duration
	wrong   time.Duration // of the wall clock
	trusted bool
	sound   bool
	rtp     uint32
	frames  int
	sent    []time.Time // when each frame was, truly
}

func newStepped(t *testing.T) *stepped {
	s := &stepped{t: t, dir: t.TempDir(), started: time.Now(), trusted: true, rtp: 4_294_000_000}
	s.open()
	return s
}

func (s *stepped) truth() time.Time { return s.started.Add(s.elapsed).Round(0) }
func (s *stepped) now() time.Time   { return testtools.Stepped(s.started.Add(s.elapsed), s.wrong) }

// open starts the store and a recorder, as the agent does.
func (s *stepped) open() {
	s.t.Helper()
	store, err := segment.Open(segment.Options{Dir: s.dir})
	if err != nil {
		s.t.Fatal(err)
	}
	s.store = store
	r := New(Options{
		Stream: "door", Store: store, Now: s.now, SegmentDuration: time.Minute,
		Health: health.NewRegistry(time.Now).Component("door", health.JobRecorder),
		Clock:  hubclock.New(hubclock.Options{Now: s.now, Synchronised: func() bool { return s.trusted }}),
	})
	s.o = &r.o
	s.v = newSupervisor(s.o)
	s.session()
}

// session starts a session with the camera.
func (s *stepped) session() {
	s.v.endSession()
	var track *accessunit.AudioTrack
	if s.sound {
		g := muLawTrack()
		track = &g
	}
	s.rtp += 1 << 20
	s.v.Begin(accessunit.H264, 90_000, [][]byte{realSPS, realPPS}, track)
}

// restart stops the agent and starts it again.
func (s *stepped) restart() {
	s.t.Helper()
	s.v.endSession()
	if err := s.v.seal(); err != nil {
		s.t.Error(err)
	}
	if err := s.store.Close(); err != nil {
		s.t.Error(err)
	}
	s.open()
}

// play records for a while.
func (s *stepped) play(d time.Duration) {
	for range int(d / tick) {
		nal := slice1
		if s.frames%25 == 0 {
			nal = idr
		}
		s.v.AccessUnit([][]byte{[]byte(nal)}, s.rtp, s.now())
		if s.sound {
			s.v.Audio([]byte{byte(s.frames)}, s.rtp/90*8, s.now())
		}
		s.sent = append(s.sent, s.truth())
		s.rtp += uint32(tick * 9 / 100_000)
		s.frames++
		s.elapsed += tick
	}
}

// set sets the wall clock.
func (s *stepped) set(wrong time.Duration) { s.wrong = wrong }

// found is a frame as read from the files.
type found struct {
	producer time.Time // as the file says
	recorded time.Time // with the noted corrections of the clock
	epoch    uint32
}

// read ends the recording and lists its frames in the order in which they were recorded.
func (s *stepped) read() (list []found) {
	s.t.Helper()
	s.restart()
	s.t.Cleanup(func() { _ = s.store.Close() })
	for _, info := range s.store.Segments("door", time.Time{}, time.Time{}) {
		reader, err := s.store.OpenSegment(info.Key)
		if err != nil {
			s.t.Fatal(err)
		}
		defer reader.Close()
		m, err := mkv.Open(reader, info.Bytes)
		if err != nil {
			s.t.Fatal(err)
		}
		fragments, err := m.Fragments()
		if err != nil {
			s.t.Fatal(err)
		}
		for _, f := range fragments {
			for block, err := range m.Blocks(f) {
				if err != nil {
					s.t.Fatal(err)
				}
				if block.Track == accessunit.VideoNumber {
					at := info.StartTime().Add(block.Time)
					list = append(list, found{at, at.Add(info.RecordedFrom.Sub(info.StartTime())), info.Key.Epoch})
				}
			}
		}
	}
	return list
}

// TestTheHubsClock sets a hub's clock in many ways. All frames are recorded, times are right within a second
// a minute after trust returned, and times that were ahead are known to be so where this process saw it.
func TestTheHubsClock(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	for name, row := range map[string]struct {
		life    func(*stepped)
		right   int           // times are right from that frame on
		wrong   time.Duration // the error of the last frame, where the clock is not trusted
		epochs  uint32
		correct bool // all frames have the right time, after correction
	}{
		"2 h ahead for a minute": {life: func(s *stepped) {
			s.play(time.Minute)
			s.set(2 * time.Hour)
			s.play(time.Minute)
			s.set(0)
			s.play(time.Minute)
		}, right: 3050, epochs: 1, correct: true},
		"with audio": {life: func(s *stepped) {
			s.sound = true
			s.session()
			s.play(time.Minute)
			s.set(2 * time.Hour)
			s.play(time.Minute)
			s.set(0)
			s.play(time.Minute)
		}, right: 3050, epochs: 1, correct: true},
		"ahead from the start": {life: func(s *stepped) {
			s.set(2 * time.Hour)
			s.restart()
			s.play(time.Minute)
			s.set(0)
			s.play(time.Minute)
		}, right: 1550, epochs: 1, correct: true},
		"ahead over sessions": {life: func(s *stepped) {
			s.set(2 * time.Hour)
			s.restart()
			for range 5 {
				s.play(10 * time.Second)
				s.session()
			}
			s.set(0)
			s.session()
			s.play(time.Minute)
		}, right: 1300, epochs: 1, correct: true},
		"a year ahead for one segment, then a restart": {life: func(s *stepped) {
			s.set(year)
			s.restart()
			s.play(time.Minute)
			s.set(0)
			s.restart()
			s.play(time.Minute)
		}, right: 1525, epochs: 1},
		"not trusted, then trusted": {life: func(s *stepped) {
			s.set(2 * time.Hour)
			s.restart()
			s.trusted = false
			s.play(time.Minute)
			s.set(0)
			s.play(time.Minute)
			s.trusted = true
			s.play(time.Minute)
		}, right: 3050, epochs: 1, correct: true},
		"nobody trusts it": {life: func(s *stepped) {
			s.trusted = false
			s.play(time.Minute)
			s.set(-2 * time.Hour)
			s.play(time.Minute)
		}, right: 0},
		"twice": {life: func(s *stepped) {
			for _, wrong := range []time.Duration{0, 2 * time.Hour, 0, 3 * time.Hour, 0} {
				s.set(wrong)
				s.play(time.Minute)
			}
		}, right: 6050, epochs: 2, correct: true},
		"a second ahead": {life: func(s *stepped) {
			s.play(time.Minute)
			s.set(time.Second)
			s.play(time.Minute)
			s.set(0)
			s.play(time.Minute)
		}, right: 0, correct: true},
		"3 h forward, for good": {life: func(s *stepped) {
			s.set(-3 * time.Hour)
			s.restart()
			s.play(time.Minute)
			s.set(0)
			s.play(time.Minute)
		}, right: 1550},
		"never set": {life: func(s *stepped) {
			s.set(-56 * year)
			s.trusted = false
			s.restart()
			s.play(time.Minute)
			s.set(0)
			s.trusted = true
			s.play(time.Minute)
		}, right: 1550},
		"never set, after a year ahead": {life: func(s *stepped) {
			s.set(year)
			s.restart()
			s.play(time.Minute)
			s.set(-56 * year)
			s.trusted = false
			s.restart()
			s.play(time.Minute)
			s.set(0)
			s.trusted = true
			s.play(time.Minute)
		}, right: 3050, epochs: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStepped(t)
			row.life(s)
			sent := s.sent
			list := s.read()
			if len(list) != len(sent) {
				t.Fatalf("%d frames of %d", len(list), len(sent))
			}
			bad := 0
			for i, f := range list {
				if off := f.producer.Sub(sent[i]); i >= row.right && off.Abs() > time.Second {
					if bad++; bad <= 3 {
						t.Errorf("frame %d: %s off", i, off)
					}
				}
				if off := f.recorded.Sub(sent[i]); row.correct && off.Abs() > 1500*time.Millisecond {
					if bad++; bad <= 3 {
						t.Errorf("frame %d: %s off after correction", i, off)
					}
				}
			}
			if epoch := list[len(list)-1].epoch; epoch != row.epochs {
				t.Errorf("epoch %d, want %d", epoch, row.epochs)
			}
		})
	}
}
