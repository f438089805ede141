package uploader

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/poison"
)

// brokenLines is how many fragments are sent, and for how many of them the connections of each line last.
type brokenLines struct {
	fragments int
	means     []float64
}

// fallible is a line whose connections break after a random number of bytes, counted in both directions.
type fallible struct {
	mean float64 // bytes

	mu     sync.Mutex
	random *rand.Rand
	opened int
}

func (l *fallible) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened++
	return &mortal{TCPConn: c.(*net.TCPConn), left: int64(l.random.ExpFloat64() * l.mean)}, nil
}

// mortal is a connection that breaks, in the middle of a write or a read.
type mortal struct {
	*net.TCPConn
	mu   sync.Mutex
	left int64 // bytes
}

// allow says how many of n bytes still pass.
func (m *mortal) allow(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	passed := int(min(int64(n), m.left))
	m.left -= int64(passed)
	return passed
}

func (m *mortal) cut() {
	_ = m.SetLinger(0) // a reset
	_ = m.TCPConn.Close()
}

func (m *mortal) Write(p []byte) (int, error) {
	passed := m.allow(len(p))
	n, err := m.TCPConn.Write(p[:passed])
	if err == nil && passed < len(p) {
		m.cut()
		err = net.ErrClosed
	}
	return n, err
}

func (m *mortal) Read(p []byte) (int, error) {
	n, err := m.TCPConn.Read(p)
	if passed := m.allow(n); passed < n {
		m.cut()
		return passed, net.ErrClosed
	}
	return n, err
}

// filmed is what was recorded: the frames of each track by their times.
type filmed map[int64][sha256.Size]byte

const (
	lineFragment = 10_000 // ms
	lineGOP      = 2000
	lineFrame    = 200
	lineBytes    = 64_000 // of a fragment
)

// film records fragments of 10 s with a keyframe every 2 s, so that each can go as five.
func (w *rig) film(random *rand.Rand, fragments, inSegment int) filmed {
	w.t.Helper()
	return w.filmOf(random, fragments, inSegment, lineFragment)
}

// filmOf is film with fragments of that many ms.
func (w *rig) filmOf(random *rand.Rand, fragments, inSegment, length int) filmed {
	w.t.Helper()
	frames := filmed{}
	var writer *segment.Writer
	for n := range fragments {
		if n%inSegment == 0 {
			writer = w.createWith(aac)
		}
		start := w.next.Sub(time.UnixMilli(writer.Key().Start))
		must(w.t, writer.BeginFragment(start, true))
		for at := 0; at < length; at += lineFrame {
			key := at%lineGOP == 0
			nal := make([]byte, lineBytes*lineFrame/lineFragment)
			for i := range nal {
				nal[i] = byte(random.Uint32())
			}
			if nal[0] = 0x41; key {
				nal[0] = 0x65
			}
			t := start + time.Duration(at)*time.Millisecond
			must(w.t, writer.WriteFrame(1, t, key, [][]byte{nal}))
			must(w.t, writer.WriteFrame(2, t+20*time.Millisecond, true, [][]byte{nal[:30]}))
			data := append([]byte{byte(len(nal) >> 24), byte(len(nal) >> 16), byte(len(nal) >> 8), byte(len(nal))}, nal...)
			frames[writer.Key().Start+t.Milliseconds()] = sha256.Sum256(data)
		}
		_, err := writer.EndFragment()
		must(w.t, err)
		w.want = append(w.want, w.next.UnixMilli())
		w.next = w.next.Add(time.Duration(length) * time.Millisecond)
		if (n+1)%inSegment == 0 || n+1 == fragments {
			must(w.t, writer.Seal())
		}
	}
	return frames
}

// A line that breaks at random never costs a fragment, however short its connections live.
func TestALineThatBreaksAtRandomLosesNothing(t *testing.T) {
	t.Parallel()
	lines := testtools.Proof(t, "line", testtools.Sizes[brokenLines]{
		Short: brokenLines{40, []float64{0.3, 1, 4}}, Middle: brokenLines{150, []float64{0.3, 0.7, 1, 4}},
		Long: brokenLines{1000, []float64{0.3, 0.5, 0.7, 1, 2, 4, 8}},
	})
	fragments := lines.fragments
	for i, mean := range lines.means {
		t.Run(fmt.Sprint(mean), func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			w := newRig(t, 24, roomy)
			frames := w.film(rand.New(rand.NewPCG(uint64(i), 1)), fragments, 25)
			line := &fallible{mean: mean * lineBytes, random: rand.New(rand.NewPCG(uint64(i), 2))}
			w.network.through(line.dial)
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
			defer cancel()
			if err := w.uploader().Drain(ctx); err != nil {
				t.Fatalf("Drain: %v; the service says %+v; health %+v", err, w.service.Stats(door), w.health.Snapshot())
			}
			w.expectUploaded(0)
			w.expectFrames(frames)
			if n, refused := w.number(health.FragmentsPersisted), w.number(health.FragmentsRefused); n != int64(fragments) || refused != 0 {
				t.Errorf("%d fragments are persisted, %d refused, want all %d and none", n, refused, fragments)
			}
			for _, c := range w.health.Component(door, health.JobUploader).Snapshot().Conditions {
				t.Errorf("a condition is left: %+v", c)
			}
			parts := 0
			for _, f := range w.service.Fragments(door) {
				if f.Duration < (lineFragment-lineGOP)*time.Millisecond {
					parts++
				}
			}
			t.Logf("%d fragments over %d connections in %v; the service has %d, %d of them parts",
				fragments, line.opened, time.Since(began).Round(time.Millisecond), len(w.service.Fragments(door)), parts)
		})
	}
}

// expectFrames checks that the service has every frame as it was recorded, and in order within each of
// its fragments.
func (w *rig) expectFrames(want filmed) {
	w.t.Helper()
	got := make(filmed)
	fragment, last := -1, time.Time{}
	for f, err := range w.service.Frames(door) {
		must(w.t, err)
		if f.Fragment == fragment && !f.Producer.After(last) {
			w.t.Errorf("the frame at %v comes behind that at %v", f.Producer, last)
		}
		if f.Fragment != fragment && !f.Keyframe {
			w.t.Errorf("a fragment begins at %v without a keyframe", f.Producer)
		}
		fragment, last = f.Fragment, f.Producer
		got[f.Producer.UnixMilli()] = sha256.Sum256(f.Data)
	}
	missing, other := 0, 0
	for at, sum := range want {
		switch is, ok := got[at]; {
		case !ok:
			missing++
		case is != sum:
			other++
		}
	}
	if missing+other > 0 || len(got) != len(want) {
		w.t.Errorf("of %d frames %d are missing and %d are others; the service has %d", len(want), missing, other, len(got))
	}
}

// strict limits do not accept the fragments of film.
func strict() media.Limits {
	limits := roomy
	limits.MaxFragmentDuration = lineFragment / 2 * time.Millisecond
	return limits
}

// A fragment that the service says is too long goes in parts; one that cannot be split is refused.
func TestAFragmentThatIsTooLongGoesInParts(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, strict())
	frames := w.film(rand.New(rand.NewPCG(5, 6)), 4, 2)
	u := w.uploader()
	must(t, u.SetTags(someTags))
	w.drain(u)
	w.expectUploaded(0)
	w.expectFrames(frames)
	list := w.service.Fragments(door)
	if len(list) != 20 {
		t.Errorf("the service has %d fragments, want 4 in 5 parts each", len(list))
	}
	for _, f := range list {
		if len(f.Tags) != len(someTags)+1 { // and the one that ends it
			t.Errorf("the part at %v has the tags %v", f.Producer, f.Tags)
		}
	}
	if n := w.number(health.FragmentsPersisted); n != 4 {
		t.Errorf("%d fragments are counted, want the 4 that were recorded", n)
	}

	writer := w.create(640)
	w.fragment(writer, 6*time.Second, 300)
	w.fragment(writer, 4*time.Second, 300)
	must(t, writer.Seal())
	w.drain(u)
	w.expectUploaded(1)
	if got := w.store.Refused(door); len(got) != 1 || !segment.SameCode(got[0].Code, "4002") {
		t.Errorf("refused: %+v", got)
	}
}

// TestAStoreOfLongFragmentsArrivesWhole at a service that accepts 10 s only, as one text of AWS has it. It says so once.
func TestAStoreOfLongFragmentsArrivesWhole(t *testing.T) {
	t.Parallel()
	limits := roomy
	limits.MaxFragmentDuration = 10 * time.Second
	w := newRig(t, 24, limits)
	random := rand.New(rand.NewPCG(8, 9))
	frames := w.filmOf(random, 9, 3, 19_000)
	var longest []time.Duration
	asked := func(o *Options) { o.TooLong = func(d time.Duration) { longest = append(longest, d) } }
	w.drain(w.uploader(asked))
	maps.Copy(frames, w.filmOf(random, 4, 2, 17_000))
	w.health.Component(door, health.JobUploader).End()
	w.drain(w.uploader(asked, func(o *Options) { o.Longest = longest[0] })) // of another job
	w.expectUploaded(0)
	w.expectFrames(frames)
	if n := len(w.store.Refused(door)); n > 0 || !slices.Equal(longest, []time.Duration{10 * time.Second}) || !w.reports(codeLength) {
		t.Errorf("%d fragments are refused; shorter ones than %s are asked for, reported: %v", n, longest, w.reports(codeLength))
	}
	if s := w.service.Stats(door); s.Errors != 1 || s.Sessions > 5 {
		t.Errorf("it took %d ERRORs and %d sessions", s.Errors, s.Sessions)
	}
	for _, f := range w.service.Fragments(door) {
		if f.Duration > limits.MaxFragmentDuration {
			t.Errorf("the service has a fragment of %s", f.Duration)
		}
	}
}

// TestAServiceThatIsStrictAboutTheShortest fragment refuses one that is a little shorter, and loses none.
func TestAServiceThatIsStrictAboutTheShortest(t *testing.T) {
	t.Parallel()
	limits := roomy
	limits.MinFragmentDuration = 1112 * time.Millisecond // the stand-in takes a tenth less
	w := newRig(t, 24, limits)
	writer := w.create(640)
	for n := range 8 {
		w.fragment(writer, time.Duration(950+20*n)*time.Millisecond, 300)
	}
	must(t, writer.Seal())
	w.drain(w.uploader())
	w.expectOnce()
	w.expectUploaded(0)
	if s := w.service.Stats(door); s.Errors != 1 || len(w.store.Refused(door)) > 0 {
		t.Errorf("it took %d ERRORs, and %d fragments are refused", s.Errors, len(w.store.Refused(door)))
	}
}

// short lets no more bytes of a body through than most.
type short struct {
	io.Reader
	left int
}

func (s *short) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, errPoison
	}
	n, err := s.Reader.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, err
}

// A fragment goes in parts when the line broke five times, and the next ones sooner.
func TestWhenFragmentsGoInParts(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	random := rand.New(rand.NewPCG(9, 10))
	w.filter = func(r io.Reader) io.Reader { return &short{r, lineBytes / 2} } // two parts pass
	u := w.uploader()
	frames := filmed{}
	for _, tries := range []int{poison.SplitAfter, poison.SplitSoon} {
		var stored []int // at the start of each session
		had := len(w.stored())
		w.cloud.each = func() { stored = append(stored, len(w.stored())-had) }
		maps.Copy(frames, w.film(random, 1, 1))
		w.drain(u)
		if n := slices.IndexFunc(stored, func(n int) bool { return n > 0 }); n != tries+1 {
			t.Errorf("the first part is there before session %d, want it to be tried %d times whole: %v", n, tries, stored)
		}
	}
	w.expectUploaded(0)
	w.expectFrames(frames)
	if n := len(w.service.Fragments(door)); n != 10 {
		t.Errorf("the service has %d fragments, want 2 in 5 parts each", n)
	}
}

// What the service refuses of a part is refused of the fragment; the other parts are sent.
func TestARefusedPart(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, strict())
	w.film(rand.New(rand.NewPCG(7, 8)), 2, 2)
	w.service.Faults().Inject(door, media.ErrorAt(media.AtFragmentStart, 4007).Of(w.want[0]+lineGOP))
	w.drain(w.uploader())
	w.expectUploaded(1)
	if n := len(w.service.Fragments(door)); n != 9 {
		t.Errorf("the service has %d parts, want 9 of 10", n)
	}
	if got := w.store.Refused(door); len(got) != 1 || got[0].Code != "4007 INVALID_PRODUCER_TIMESTAMP" {
		t.Errorf("refused: %+v", got)
	}
}
