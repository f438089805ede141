package fakecam

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/pion/rtp"
	"go.uber.org/goleak"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/nal"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

func start(t *testing.T, o Options) *Camera {
	t.Helper()
	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

type unit struct {
	nalus     [][]byte
	stamp     stamps.Stamp
	timestamp uint32
}

func (u unit) has(kind byte) bool {
	for _, n := range u.nalus {
		if n[0]&0x1f == kind {
			return true
		}
	}
	return false
}

func (u unit) size() int {
	n := 0
	for _, nalu := range u.nalus {
		n += 4 + len(nalu)
	}
	return n
}

// viewer is an RTSP client that collects access units.
type viewer struct {
	client *gortsplib.Client
	format *format.H264
	units  chan unit
	ended  chan struct{}
	close  func()
}

func dial(address string, transport gortsplib.Transport) (*gortsplib.Client, *description.Session, error) {
	u, err := base.ParseURL(address)
	if err != nil {
		return nil, nil, err
	}
	c := &gortsplib.Client{Transport: &transport, Scheme: u.Scheme, Host: u.Host}
	if err := c.Start2(); err != nil {
		return nil, nil, err
	}
	d, _, err := c.Describe(u)
	if err != nil {
		c.Close()
		return nil, nil, err
	}
	if err := c.SetupAll(d.BaseURL, d.Medias); err != nil {
		c.Close()
		return nil, nil, err
	}
	return c, d, nil
}

// watch plays a camera. Each of arrived is called for each packet.
func watch(t *testing.T, address string, transport gortsplib.Transport, arrived ...func()) *viewer {
	t.Helper()
	c, d, err := dial(address, transport)
	if err != nil {
		t.Fatal(err)
	}
	v := &viewer{client: c, units: make(chan unit, 1<<16), ended: make(chan struct{})}
	v.close = sync.OnceFunc(c.Close)
	t.Cleanup(v.close)
	media := d.FindFormat(&v.format)
	if media == nil {
		t.Fatal("no H.264 in the SDP")
	}
	decoder, err := v.format.CreateDecoder()
	if err != nil {
		t.Fatal(err)
	}
	c.OnPacketRTP(media, v.format, func(p *rtp.Packet) {
		for _, f := range arrived {
			f()
		}
		nalus, err := decoder.Decode(p)
		if errors.Is(err, rtph264.ErrMorePacketsNeeded) {
			return
		}
		if err != nil {
			t.Errorf("a packet cannot be decoded: %v", err)
			return
		}
		u := unit{nalus: nalus, timestamp: p.Timestamp}
		var ok bool
		if u.stamp, ok = stamps.OfNALUs(nalus); !ok {
			t.Error("an access unit has no stamp")
		}
		v.units <- u
	})
	if _, err := c.Play(nil); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(v.ended)
		_ = c.Wait()
	}()
	return v
}

func (v *viewer) next(t *testing.T) unit {
	t.Helper()
	select {
	case u := <-v.units:
		return u
	case <-time.After(patience):
		t.Fatal("no frame came")
		return unit{}
	}
}

func (v *viewer) take(t *testing.T, n int) []unit {
	t.Helper()
	units := make([]unit, n)
	for i := range units {
		units[i] = v.next(t)
	}
	return units
}

func (v *viewer) waitEnd(t *testing.T) {
	t.Helper()
	select {
	case <-v.ended:
	case <-time.After(patience):
		t.Fatal("the session did not end")
	}
}

func contiguous(t *testing.T, units []unit, ticks uint32) {
	t.Helper()
	for i := 1; i < len(units); i++ {
		a, b := units[i-1], units[i]
		if b.stamp.Counter != a.stamp.Counter+1 {
			t.Fatalf("counter %d comes after %d", b.stamp.Counter, a.stamp.Counter)
		}
		if b.timestamp-a.timestamp != ticks {
			t.Fatalf("frame %d is %d ticks after the previous one, want %d", i, b.timestamp-a.timestamp, ticks)
		}
	}
}

func TestFramesAreContiguousOverTheLoop(t *testing.T) {
	t.Parallel()
	for _, transport := range []gortsplib.Transport{gortsplib.TransportTCP, gortsplib.TransportUDP} {
		t.Run(fmt.Sprint(transport), func(t *testing.T) {
			t.Parallel()
			// UDP loses what a busy reader has no room for, which is about 90 packets: each waits
			// until there is room.
			room, over := make(chan struct{}, 40), make(chan struct{})
			c := start(t, Options{FPS: 100, Start: 7, NearWrap: true, Oddities: Oddities{Wire: func(p Packet) []Packet {
				select {
				case room <- struct{}{}:
				case <-over:
				}
				return []Packet{p}
			}}})
			v := watch(t, c.URL(), transport, func() {
				select {
				case <-room:
				case <-over:
				}
			})
			end := sync.OnceFunc(func() { close(over) })
			t.Cleanup(end)
			units := v.take(t, 300) // the clip has 125 frames
			end()
			if u := units[0]; !u.has(nal.H264IDR) || !u.has(nal.H264SPS) || !u.has(nal.H264PPS) || u.stamp.Counter != 7 {
				t.Errorf("the session does not begin with a complete keyframe numbered 7: %v", u.stamp)
			}
			contiguous(t, units, 900)
			if first, last := units[0].timestamp, units[299].timestamp; first != 1<<32-90000 || last > first {
				t.Errorf("timestamps go from %d to %d and do not wrap", first, last)
			}
			for i, u := range units {
				if u.has(nal.H264IDR) != (i%25 == 0) {
					t.Fatalf("frame %d: keyframe is %v", i, u.has(nal.H264IDR))
				}
				if since := time.Since(u.stamp.Sent); since < 0 || since > time.Minute {
					t.Fatalf("frame %d was sent %v ago", i, since)
				}
			}
			v.close()
			waitUntil(t, func() bool { return !c.Sessions()[0].Ended.IsZero() })
			s := c.Sessions()[0]
			if s.First != 7 || s.Frames < 300 || s.Last != 7+uint64(s.Frames)-1 || s.Skipped != 0 || s.Ended.Before(s.Began) {
				t.Errorf("the session is reported as %+v", s)
			}
		})
	}
}

func TestTicksAt25(t *testing.T) {
	t.Parallel()
	late := testtools.SchedulingDelay(t) // the first frame may be, which makes the others seem fast
	c := start(t, Options{})
	units := watch(t, c.URL(), gortsplib.TransportTCP).take(t, 35)
	contiguous(t, units, 3600)
	if took := units[34].stamp.Sent.Sub(units[0].stamp.Sent); took < 1130*time.Millisecond-4*late() {
		t.Errorf("35 frames at 25 frames/s took %v", took)
	}
}

// waitUntil polls for conditions without an event.
func waitUntil(t *testing.T, done func() bool) {
	t.Helper()
	testtools.Eventually(t, patience, func() error {
		if !done() {
			return errors.New("the condition did not occur")
		}
		return nil
	})
}

func TestSessionsAreApart(t *testing.T) {
	t.Parallel()
	c := start(t, Options{FPS: 100, Start: 1000})
	a := watch(t, c.URL(), gortsplib.TransportTCP)
	contiguous(t, a.take(t, 7), 900)
	b := watch(t, c.URL(), gortsplib.TransportTCP)
	units := b.take(t, 30)
	contiguous(t, units, 900)
	if first := units[0]; !first.has(nal.H264IDR) || first.stamp.Counter != 1<<32+1000 {
		t.Errorf("the second session begins with %v", first.stamp)
	}
	c.Drop()
	a.waitEnd(t)
	b.waitEnd(t)
	for i, s := range c.Sessions() {
		if s.Ended.IsZero() || s.First != 1000+uint64(i)<<32 {
			t.Errorf("session %d is reported as %+v", i, s)
		}
	}
	// Exactly what was counted as sent has arrived.
	last := units[len(units)-1].stamp.Counter
	for {
		select {
		case u := <-b.units:
			last = u.stamp.Counter
			continue
		default:
		}
		break
	}
	if want := c.Sessions()[1].Last; last != want {
		t.Errorf("the last frame received is %d, counted as sent were frames up to %d", last, want)
	}
	watch(t, c.URL(), gortsplib.TransportTCP).take(t, 1)
}

func TestPassword(t *testing.T) {
	t.Parallel()
	c := start(t, Options{User: "adm:in", Pass: "p@ss:word/1", FPS: 100})
	watch(t, c.URL(), gortsplib.TransportTCP).take(t, 3)

	u, err := url.Parse(c.URL())
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []*url.Userinfo{nil, url.UserPassword("adm:in", "wrong"), url.UserPassword("who", "p@ss:word/1")} {
		u.User = user
		client, _, err := dial(u.String(), gortsplib.TransportTCP)
		var bad liberrors.ErrClientBadStatusCode
		if err == nil {
			client.Close()
		}
		if !errors.As(err, &bad) || bad.Code != base.StatusUnauthorized {
			t.Errorf("user %v: %v, want status 401", user, err)
		}
	}
}

func TestBothAuthMethodsAreOffered(t *testing.T) {
	t.Parallel()
	c := start(t, Options{User: "u", Pass: "p"})
	address, err := base.ParseURL(c.URL())
	if err != nil {
		t.Fatal(err)
	}
	address.User = nil
	var offered []string
	client := &gortsplib.Client{Scheme: "rtsp", Host: address.Host, OnResponse: func(r *base.Response) {
		offered = append(offered, r.Header["WWW-Authenticate"]...)
	}}
	if err := client.Start2(); err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, _, err := client.Describe(address); err == nil {
		t.Error("the camera answers without a password")
	}
	all := strings.Join(offered, "\n")
	if !strings.Contains(all, "Basic ") || !strings.Contains(all, "Digest ") {
		t.Errorf("offered is %q", all)
	}
}

func TestUnplugAndPlug(t *testing.T) {
	t.Parallel()
	c := start(t, Options{FPS: 100})
	address := c.URL()
	v := watch(t, address, gortsplib.TransportTCP)
	v.take(t, 5)
	for range 3 {
		c.Unplug()
		v.waitEnd(t)
		if _, _, err := dial(address, gortsplib.TransportTCP); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("an unplugged camera answers with %v", err)
		}
		if err := c.Plug(); err != nil {
			t.Fatal(err)
		}
		v = watch(t, address, gortsplib.TransportTCP)
		contiguous(t, v.take(t, 5), 900)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Plug(); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed camera can be plugged in: %v", err)
	}
}

func TestStall(t *testing.T) {
	t.Parallel()
	late := testtools.SchedulingDelay(t)
	c := start(t, Options{FPS: 100})
	v := watch(t, c.URL(), gortsplib.TransportTCP)
	before := v.take(t, 5)[4]
	c.Stall()
	stalled := time.Now()
	before = v.drain(t, c, before)
	const pause = 300 * time.Millisecond
	for quiet := time.After(pause); quiet != nil; {
		select {
		case u := <-v.units:
			if u.stamp.Sent.After(stalled) {
				t.Fatalf("frame %d came during a stall", u.stamp.Counter)
			}
			before = u // it was on its way
		case <-v.ended:
			t.Fatal("the session ended during a stall")
		case <-quiet:
			quiet = nil
		}
	}
	c.Resume()
	after := v.take(t, 5)
	contiguous(t, after, 900)
	if after[0].stamp.Counter != before.stamp.Counter+1 {
		t.Errorf("frame %d comes after %d", after[0].stamp.Counter, before.stamp.Counter)
	}
	apart := after[0].stamp.Sent.Sub(before.stamp.Sent)
	ticks := time.Duration(after[0].timestamp-before.timestamp) * time.Second / clockRate
	if apart < pause || (ticks-apart).Abs() > 100*time.Millisecond+4*late() {
		t.Errorf("timestamps advanced by %v in %v", ticks, apart)
	}
}

// drain waits for the frames of a stalled camera that are on their way, and returns the last.
func (v *viewer) drain(t *testing.T, c *Camera, last unit) unit {
	t.Helper()
	waitUntil(t, func() bool {
		select {
		case last = <-v.units:
		default:
		}
		s := c.Sessions()[0]
		return s.Frames > 0 && last.stamp.Counter == s.Last
	})
	return last
}

func TestJump(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{time.Hour, -10 * time.Second} {
		c := start(t, Options{FPS: 100})
		v := watch(t, c.URL(), gortsplib.TransportTCP)
		before := v.next(t)
		c.Jump(d)
		for range 100 {
			u := v.next(t)
			if step := int32(u.timestamp - before.timestamp); step != 900 {
				if want := int32(900 + d.Seconds()*clockRate); step != want {
					t.Errorf("timestamps jump by %d ticks, want %d", step, want)
				}
				before.nalus = nil
			}
			if u.stamp.Counter != before.stamp.Counter+1 {
				t.Fatalf("frame %d comes after %d", u.stamp.Counter, before.stamp.Counter)
			}
			before.timestamp, before.stamp = u.timestamp, u.stamp
		}
		if before.nalus != nil {
			t.Error("timestamps do not jump")
		}
	}
}

func widthOf(t *testing.T, nalus [][]byte) int {
	t.Helper()
	for _, n := range nalus {
		if n[0]&0x1f == nal.H264SPS {
			var sps h264.SPS
			if err := sps.Unmarshal(n); err != nil {
				t.Fatal(err)
			}
			return sps.Width()
		}
	}
	return 0
}

func TestChangeParams(t *testing.T) {
	t.Parallel()
	c := start(t, Options{FPS: 200})
	v := watch(t, c.URL(), gortsplib.TransportTCP)
	units := v.take(t, 30)
	var widths []int
	for range 3 {
		c.ChangeParams()
		c.ChangeParams() // back again: no change is visible
		c.ChangeParams()
		// The change appears at a keyframe, without a missing frame.
		for was := c.controls.current(); ; {
			u := v.next(t)
			units = append(units, u)
			if w := widthOf(t, u.nalus); w == map[bool]int{true: 1920, false: 1280}[was == c.clips[0]] {
				break
			}
		}
	}
	contiguous(t, units, 450)
	for _, u := range units {
		if w := widthOf(t, u.nalus); w != 0 && (len(widths) == 0 || widths[len(widths)-1] != w) {
			widths = append(widths, w)
		}
	}
	if fmt.Sprint(widths) != "[1920 1280 1920 1280]" {
		t.Errorf("the widths are %v", widths)
	}
	fresh := watch(t, c.URL(), gortsplib.TransportTCP)
	if w := widthOf(t, [][]byte{fresh.format.SPS}); w != 1280 {
		t.Errorf("the SDP announces width %d after the change", w)
	}
	if w := widthOf(t, fresh.next(t).nalus); w != 1280 {
		t.Errorf("a new session has width %d after the change", w)
	}
}

func TestWhereParametersAre(t *testing.T) {
	t.Parallel()
	v := watch(t, start(t, Options{NoSDPParams: true, FPS: 100}).URL(), gortsplib.TransportTCP)
	if v.format.SPS != nil || v.format.PPS != nil || !v.next(t).has(nal.H264SPS) {
		t.Error("parameter sets are not in band only")
	}
	v = watch(t, start(t, Options{NoInbandParams: true, FPS: 100}).URL(), gortsplib.TransportTCP)
	if widthOf(t, [][]byte{v.format.SPS}) != 1920 || v.format.PPS == nil {
		t.Error("parameter sets are not in the SDP")
	}
	for _, u := range v.take(t, 30) {
		if u.has(nal.H264SPS) || u.has(nal.H264PPS) {
			t.Fatal("parameter sets are in band")
		}
	}
}

func TestBitrate(t *testing.T) {
	t.Parallel()
	for _, bitrate := range []int{800_000, 4_000_000, 20_000_000} {
		t.Run(fmt.Sprint(bitrate), func(t *testing.T) {
			t.Parallel()
			const fps, frames = 25, 125
			// Ten times as fast, at ten times the bitrate, is the same stream, for a machine that can read it.
			var units []unit
			speed := 10
			for ; ; speed = max(speed/3, 1) {
				c := start(t, Options{Bitrate: speed * bitrate, FPS: float64(speed * fps)})
				units = watch(t, c.URL(), gortsplib.TransportTCP).take(t, frames)
				skipped := c.Sessions()[0].Skipped
				if skipped == 0 {
					break
				}
				if speed == 1 {
					t.Fatalf("%d frames were left out", skipped)
				}
				t.Logf("at %d times the speed %d frames were left out", speed, skipped)
			}
			contiguous(t, units, uint32(clockRate/(speed*fps)))
			total := 0
			for _, u := range units {
				total += u.size()
			}
			if got := float64(total) * 8 * fps / frames; math.Abs(got/float64(bitrate)-1) > 0.02 {
				t.Errorf("the bitrate is %.0f, want %d", got, bitrate)
			}
		})
	}
}

func TestFillerSizes(t *testing.T) {
	t.Parallel()
	f := newFiller()
	for _, size := range []int{0, 5, 6, 7, 100, 1403, 1404, 1405, 1406, 2802, 2803, 2804, 4000, 4197, 4198, 4199, 4200, 100_000} {
		decoder := &rtph264.Decoder{PacketizationMode: 1}
		if err := decoder.Init(); err != nil {
			t.Fatal(err)
		}
		var nalus [][]byte
		packets := 0
		f.each(size, func(payload []byte) {
			packets++
			got, err := decoder.Decode(&rtp.Packet{
				Header:  rtp.Header{Version: 2, SequenceNumber: uint16(packets), Marker: packets == f.count(size)},
				Payload: append([]byte(nil), payload...),
			})
			if err == nil {
				nalus = append(nalus, got...)
			} else if !errors.Is(err, rtph264.ErrMorePacketsNeeded) {
				t.Errorf("size %d: %v", size, err)
			}
		})
		if size < minFiller {
			if packets != 0 || f.count(size) != 0 {
				t.Errorf("size %d: %d packets", size, packets)
			}
			continue
		}
		if packets != f.count(size) || len(nalus) != 1 || len(nalus[0]) != size-4 {
			t.Errorf("size %d: %d packets, %d announced, %d NAL units", size, packets, f.count(size), len(nalus))
			continue
		}
		want := "\x0c" + strings.Repeat("\xff", size-6) + "\x80"
		if string(nalus[0]) != want {
			t.Errorf("size %d: the NAL unit is not a filler", size)
		}
	}
}

// stuck is a sink that has room for some packets only.
type stuck struct {
	left                            int // packets
	packets, frames, skips, markers int
	timestamps                      []uint32
}

func (s *stuck) room(n int) bool { return n <= s.left }
func (s *stuck) flush()          { s.frames++ }
func (s *stuck) skip()           { s.skips++ }
func (s *stuck) write(_ []byte, timestamp uint32, marker bool) {
	s.packets++
	s.left--
	if marker {
		s.markers++
		s.timestamps = append(s.timestamps, timestamp)
	}
}

func TestReaderThatIsTooSlow(t *testing.T) {
	t.Parallel()
	big, err := clip1080()
	if err != nil {
		t.Fatal(err)
	}
	to := &stuck{left: 1000}
	p := &player{controls: &controls{clip: big}, sink: to, clip: big, fps: 25, inband: true, stamped: true, filler: newFiller()}
	slot := int64(0)
	frames := func(n int) {
		for range n {
			p.frame(slot)
			slot++
		}
	}
	frames(10)
	to.left = 0
	frames(5)
	if to.frames != 10 || to.skips != 5 || p.counter != 10 {
		t.Fatalf("%d frames, %d left out, counter %d", to.frames, to.skips, p.counter)
	}
	to.left = 1000
	frames(10) // up to the keyframe at slot 25: not decodable
	if to.frames != 10 || to.skips != 15 {
		t.Fatalf("%d frames, %d left out before a keyframe", to.frames, to.skips)
	}
	frames(2)
	if to.frames != 12 || p.counter != 12 || to.markers != 12 || to.timestamps[10] != 25*3600 {
		t.Errorf("%d frames, counter %d, timestamp %d after a keyframe", to.frames, p.counter, to.timestamps[10])
	}
}

func TestSessionCountsWholeWrittenFrames(t *testing.T) {
	t.Parallel()
	written := uint64(0)
	s := &session{first: 5, written: func() uint64 { return written }}
	s.frame(3)
	s.frame(6)
	s.frame(9)
	if r := s.report(); r.Frames != 0 {
		t.Errorf("nothing is written: %+v", r)
	}
	written = 5
	if r := s.report(); r.Frames != 1 || r.First != 5 || r.Last != 5 {
		t.Errorf("5 packets are written: %+v", r)
	}
	if s.fits(4, 7) || !s.fits(3, 7) {
		t.Error("4 packets are queued and 3 more fit")
	}
	written = 8
	s.end()
	written = 9
	if r := s.report(); r.Frames != 2 || r.Last != 6 || r.Ended.IsZero() {
		t.Errorf("8 packets were written: %+v", r)
	}
}

func TestMJPEG(t *testing.T) {
	t.Parallel()
	c := start(t, Options{MJPEG: true, FPS: 100})
	client, d, err := dial(c.URL(), gortsplib.TransportTCP)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var mjpeg *format.MJPEG
	media := d.FindFormat(&mjpeg)
	if media == nil || len(d.Medias) != 1 || len(media.Formats) != 1 {
		t.Fatal("the SDP does not announce MJPEG only")
	}
	decoder, err := mjpeg.CreateDecoder()
	if err != nil {
		t.Fatal(err)
	}
	pictures := make(chan []byte, 1000)
	client.OnPacketRTP(media, mjpeg, func(p *rtp.Packet) {
		if picture, err := decoder.Decode(p); err == nil {
			pictures <- picture
		}
	})
	if _, err := client.Play(nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		select {
		case p := <-pictures:
			if len(p) < 1000 {
				t.Errorf("a picture has %d bytes", len(p))
			}
		case <-time.After(patience):
			t.Fatal("no picture came")
		}
	}
	waitUntil(t, func() bool { return c.Sessions()[0].Frames >= 3 })
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{FPS: -1}, {Pass: "p"}, {NoSDPParams: true, NoInbandParams: true}, {Bitrate: -1}, {Bitrate: 100_000},
		{MJPEG: true, Bitrate: 5_000_000}, {Addr: "nonsense"}, {Addr: "192.0.2.1:0"},
	} {
		c, err := Start(o)
		if err == nil {
			c.Close()
			t.Errorf("%+v is accepted", o)
		}
	}
}

func TestNoUDP(t *testing.T) {
	t.Parallel()
	c := start(t, Options{NoUDP: true})
	if client, _, err := dial(c.URL(), gortsplib.TransportUDP); err == nil {
		client.Close()
		t.Error("the camera offers UDP")
	}
}

func TestHooksFromEverywhere(t *testing.T) {
	t.Parallel()
	c := start(t, Options{FPS: 500, Bitrate: 20_000_000})
	watch(t, c.URL(), gortsplib.TransportTCP).take(t, 1)
	var all sync.WaitGroup
	for _, hook := range []func(){
		c.Stall, c.Resume, c.ChangeParams, c.Drop, c.Unplug,
		func() { c.Jump(time.Second) },
		func() { _ = c.Plug() },
		func() { c.Sessions() },
		func() {
			if client, _, err := dial(c.URL(), gortsplib.TransportTCP); err == nil {
				_, _ = client.Play(nil)
				client.Close()
			}
		},
	} {
		all.Go(func() {
			for range 20 {
				hook()
			}
		})
	}
	all.Wait()
}

func TestFFprobeSeesTheStream(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffprobe")
	c := start(t, Options{User: "u", Pass: "p@ss/1"})
	for _, transport := range []string{"tcp", "udp"} {
		out, err := exec.Command("ffprobe", "-v", "error", "-rtsp_transport", transport, "-show_entries",
			"stream=codec_name,width,height", "-of", "csv=p=0", c.URL()).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != "h264,1920,1080" {
			t.Errorf("over %s: %q, %v", transport, out, err)
		}
	}
	out, err := exec.Command("ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-show_entries",
		"stream=codec_name,width,height", "-of", "csv=p=0", start(t, Options{MJPEG: true}).URL()).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "mjpeg,640,360" {
		t.Errorf("MJPEG: %q, %v", out, err)
	}
}

func TestFFmpegDecodesWithoutComplaint(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	c := start(t, Options{Bitrate: 4_000_000})
	for _, args := range [][]string{
		{"-i", "clip.h264"},
		{"-i", "clip720.h264"},
		{"-rtsp_transport", "tcp", "-t", "2", "-i", c.URL()},
	} {
		args = append(append([]string{"-v", "error", "-xerror"}, args...), "-f", "null", "-")
		if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("ffmpeg %v: %v %s", args, err, out)
		}
	}
}
