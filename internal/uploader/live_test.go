package uploader

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/pace"
)

// runLive runs a live upload beside the test.
func (w *rig) runLive(u *Uploader) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = u.RunLive(ctx) }()
	stop = func() { cancel(); <-done }
	w.t.Cleanup(stop)
	return stop
}

func TestLiveFollowsInOneSession(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	stop := w.runLive(w.uploader())
	for range 2 {
		writer := w.create(640)
		for range 3 {
			w.fragment(writer, 2*time.Second, 300)
			w.await(len(w.want))
		}
		must(t, writer.Seal())
	}
	stop()
	w.expectOnce()
	if n := w.service.Stats(door).Sessions; n != 1 {
		t.Errorf("%d sessions, want one", n)
	}
}

func TestLiveSendsTheNewestBeforeTheGap(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(2, 4) // during an outage
	writer := w.create(640)
	for range 3 {
		w.fragment(writer, 2*time.Second, 300)
	}
	u := w.uploader()
	stop := w.runLive(u)
	w.await(11)
	want := slices.Concat(w.want[10:], w.want[:10])
	if got := w.stored(); !slices.Equal(got, want) {
		t.Errorf("the service has %v\nwant %v", w.relative(got), w.relative(want))
	}
	w.fragment(writer, 2*time.Second, 300)
	w.await(12)
	must(t, writer.Seal())
	stop()
	w.drain(w.uploader())
	w.expectUploaded(0)
	w.expectAll()
	if got := w.stored(); len(got) != 12 {
		t.Errorf("fragments came twice: %v", w.relative(got))
	}
}

func TestTheGapGivesWayToWhatIsNewer(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(4, 10)
	writer := w.create(640)
	w.fragment(writer, 2*time.Second, 300)
	u := w.uploader(oneByOne)
	const perSecond = 30
	u.pace = pace.New(pace.Options{Fragments: perSecond, FragmentBurst: 1, Sessions: 1e6})
	start := time.Now()
	w.runLive(u)
	w.await(4)                                           // the newest, and a little of the gap
	turn := int(time.Since(start).Seconds() * perSecond) // it has at least as long as the newest took
	w.fragment(writer, 2*time.Second, 300)
	fresh := w.want[len(w.want)-1]
	before := len(w.stored())
	w.await(len(w.want))
	must(t, writer.Seal())
	if i := slices.Index(w.stored(), fresh); i > before+2+turn {
		t.Errorf("the newest fragment came after %d older ones", i-before)
	}
	w.expectAll()
	if got := w.stored(); len(got) != len(w.want) {
		t.Errorf("fragments came twice: %v", w.relative(got))
	}
}

// TestTheGapIsSentWhereSessionsTakeLongToOpen has a link, or a hub, so slow that a newer fragment is
// complete whenever a session is open at last.
func TestTheGapIsSentWhereSessionsTakeLongToOpen(t *testing.T) {
	t.Parallel()
	const missed, sessions = 4, 20
	w := newRig(t, 24, roomy)
	w.record(1, missed)
	writer := w.create(640)
	w.fragment(writer, 2*time.Second, 300)
	last := w.want[missed-1]
	all := func() bool { return slices.Contains(w.stored(), last) }
	opened := 0
	w.cloud.each = func() {
		if opened++; opened <= sessions {
			w.fragment(writer, 2*time.Second, 300)
		}
	}
	stop := w.runLive(w.uploader())
	for !all() {
		must(t, w.service.AwaitFragments(w.context(), door, len(w.stored())+1))
	}
	stop()
	if opened > sessions {
		t.Errorf("in %d sessions nothing, or little, of the backlog was sent: %v", sessions, w.relative(w.stored()))
	}
	must(t, writer.Seal())
}

// fickle is a disk from which a segment cannot be read the second time.
type fickle struct {
	*watchedStore
	segment segment.Key
	opened  int
}

func (f *fickle) OpenSegment(k segment.Key) (*segment.Reader, error) {
	if k == f.segment {
		if f.opened++; f.opened == 2 {
			return nil, syscall.EIO
		}
	}
	return f.watchedStore.OpenSegment(k)
}

func TestWhatWasMissedIsSentWhenTheNewestCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(2, 2)
	store := &fickle{watchedStore: w.store, segment: w.store.Segments(door, time.Time{}, time.Time{})[1].Key}
	w.runLive(w.uploader(func(o *Options) { o.Store = store }))
	w.await(2)
	if got := w.stored(); !slices.Equal(got, w.want[:2]) {
		t.Errorf("the service has %v, want %v", w.relative(got), w.relative(w.want[:2]))
	}
}

// TestTheGapIsSentWhereAcknowledgementsComeLate has a service so slow that a newer fragment is always
// in flight.
func TestTheGapIsSentWhereAcknowledgementsComeLate(t *testing.T) {
	t.Parallel()
	const missed, most = 5, 100
	w := newRig(t, 24, roomy)
	w.service.Faults().Inject(door, media.DelayPersisted(300*time.Millisecond))
	writer := w.create(640)
	for range missed + 1 {
		w.fragment(writer, time.Second, 300)
	}
	all := func() bool {
		stored := w.stored()
		return !slices.ContainsFunc(w.want[:missed], func(at int64) bool { return !slices.Contains(stored, at) })
	}
	w.runLive(w.uploader())
	every := time.NewTicker(100 * time.Millisecond)
	defer every.Stop()
	for n := 0; !all(); n++ {
		if n == most {
			t.Fatalf("the service has too little of the backlog: %v", w.relative(w.stored()))
		}
		<-every.C
		w.fragment(writer, time.Second, 300)
	}
	must(t, writer.Seal())
}

// fragmentsOf is a progress without its bytes, which must be in the same proportion as the fragments: the
// fragments of these tests are of one size.
func fragmentsOf(t *testing.T, p Progress) Progress {
	t.Helper()
	if p.Total > 0 && (p.TotalBytes == 0 || p.Bytes*int64(p.Total) != p.TotalBytes*int64(p.Done)) {
		t.Errorf("%d of %d bytes are said for %d of %d fragments", p.Bytes, p.TotalBytes, p.Done, p.Total)
	}
	p.Bytes, p.TotalBytes = 0, 0
	return p
}

func TestOnDemandSendsTheRangeOnlyAndTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(3, 4)
	var told []Progress
	u := w.uploader(oneByOne)
	from, to := time.UnixMilli(w.want[3]), time.UnixMilli(w.want[6])
	must(t, u.Range(w.context(), from, to, func(p Progress) { told = append(told, fragmentsOf(t, p)) }))
	if got := w.stored(); !slices.Equal(got, w.want[3:6]) {
		t.Errorf("the service has %v, want %v", w.relative(got), w.relative(w.want[3:6]))
	}
	want := []Progress{{Total: 3}, {Total: 3, Done: 1}, {Total: 3, Done: 2}, {Total: 3, Done: 3}, {Total: 3, Done: 3, Finished: true}}
	if !slices.Equal(told, want) {
		t.Errorf("it told %+v, want %+v", told, want)
	}
	w.drain(u)
	w.expectAll()
	w.expectUploaded(0)
	if got := w.stored(); len(got) != len(w.want) {
		t.Errorf("fragments came twice: %v", w.relative(got))
	}
}

func TestOnDemandSendsAllFragmentsWithMediaOfTheRange(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(2, 4) // fragments of 2 s with frames up to 1.6 s
	u := w.uploader()
	for _, c := range []struct {
		from, to time.Duration
		want     []int64
	}{
		{2*time.Second + 500*time.Millisecond, 2*time.Second + 700*time.Millisecond, w.want[1:2]},
		{5 * time.Second, 10 * time.Second, w.want[2:5]},
		{13*time.Second + 700*time.Millisecond, 14 * time.Second, nil},
	} {
		before := len(w.stored())
		var last Progress
		must(t, u.Range(w.context(), begin.Add(c.from), begin.Add(c.to), func(p Progress) { last = p }))
		if got := w.stored()[before:]; !slices.Equal(got, c.want) {
			t.Errorf("from %s to %s the service has %v, want %v", c.from, c.to, w.relative(got), w.relative(c.want))
		}
		if want := (Progress{Total: len(c.want), Done: len(c.want), Finished: true}); fragmentsOf(t, last) != want {
			t.Errorf("from %s to %s it ends with %+v, want %+v", c.from, c.to, last, want)
		}
	}
}

func TestOnDemandTellsWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	request := func(t *testing.T, w *rig, u *Uploader) {
		err := u.Range(w.context(), begin, begin.Add(time.Hour), func(p Progress) {
			if p.Finished {
				t.Errorf("it is said to be done: %+v", p)
			}
		})
		if fault := (*health.Fault)(nil); !errors.As(err, &fault) {
			t.Errorf("got %v", err)
		}
	}
	t.Run("never", func(t *testing.T) {
		t.Parallel()
		w := newRigWithAnUnreadableSegment(t)
		request(t, w, w.uploader())
		w.expectAll(w.want[2], w.want[3])
	})
	t.Run("for a moment", func(t *testing.T) {
		t.Parallel()
		w := newRig(t, 24, roomy)
		w.record(2, 2)
		store := &fickle{watchedStore: w.store, segment: w.store.Segments(door, time.Time{}, time.Time{})[1].Key}
		var last Progress
		u := w.uploader(func(o *Options) { o.Store = store })
		must(t, u.Range(w.context(), begin, begin.Add(time.Hour), func(p Progress) { last = p }))
		if want := (Progress{Total: 4, Done: 4, Finished: true}); fragmentsOf(t, last) != want {
			t.Errorf("it ends with %+v, want %+v", last, want)
		}
		w.expectOnce()
	})
}

func TestOnDemandTellsWhatTheServiceRefuses(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(1, 4)
	w.service.Faults().Inject(door, media.ErrorAt(media.AtFragmentStart, 4002).Skip(1).Times(1))
	var last Progress
	must(t, w.uploader().Range(w.context(), begin, begin.Add(time.Hour), func(p Progress) { last = p }))
	if want := (Progress{Total: 4, Done: 4, Refused: 1, Finished: true}); fragmentsOf(t, last) != want {
		t.Errorf("it ends with %+v, want %+v", last, want)
	}
}

func TestARunningUploadGivesWayToDemand(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(8, 5)
	u := w.uploader(oneByOne)
	u.pace = pace.New(pace.Options{Fragments: 40, FragmentBurst: 1, Sessions: 1e6})
	stop := w.run(u)
	w.await(2)
	from := time.UnixMilli(w.want[34])
	must(t, u.Range(w.context(), from, from.Add(time.Hour), func(Progress) {}))
	if ahead := len(w.stored()); ahead > 30 {
		t.Errorf("%d fragments were sent before the requested ones", ahead)
	}
	w.await(len(w.want))
	stop()
	w.drain(w.uploader())
	w.expectAll()
	w.expectUploaded(0)
	if got := w.stored(); len(got) != len(w.want) {
		t.Errorf("fragments came twice: %v", w.relative(got))
	}
}

func TestDemandIsServedWhileTheUploadWaitsForTheCloud(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(2, 3)
	fault := w.service.Faults().Inject(door, media.Refuse(404, "ResourceNotFoundException"))
	u := w.uploader(func(o *Options) { o.AskUser.Min, o.AskUser.Max, o.AskUser.Floor = time.Hour, time.Hour, time.Hour })
	w.run(u)
	must(t, fault.Await(w.context(), 1))
	fault.Clear()
	must(t, u.Range(w.context(), begin, begin.Add(time.Hour), func(Progress) {}))
	w.expectOnce()
	if n := w.number(health.FragmentsPersisted); n != 6 {
		t.Errorf("%d fragments are counted", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := u.Range(ctx, begin, begin.Add(time.Hour), func(Progress) {}); err == nil {
		t.Error("a demand that was given up must say so")
	}
}

// What the service lacks is pending, and nothing else, wherever in the segment being written it is.
func TestTheBacklogOfALiveUploadIsWhatTheServiceLacks(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	writer := w.create(640)
	add := func(n int) {
		for range n {
			w.fragment(writer, 20*time.Second, 300) // ends with a frame at 19.6 s
		}
	}
	// Only the newest fragment of the backlog gets through, then the service is silent.
	add(3)
	silent := w.service.Faults().Inject(door, media.BlackHoleAt(media.AfterReceived).Skip(1))
	w.runLive(w.uploader(oneByOne))
	w.await(1)
	must(t, silent.Await(w.context(), 1))
	w.expectBacklog(writer, 2)
	add(2) // meanwhile
	w.expectBacklog(writer, 4)
	silent.Clear()
	w.await(5)
	w.expectBacklog(writer, 0)

	// A fragment that is stored and whose acknowledgement is held back is not known to be.
	w.service.Faults().Inject(door, media.Drop(media.EventPersisted))
	add(1)
	must(t, w.service.AwaitFragments(w.context(), door, 6))
	w.expectBacklog(writer, 1, w.want[5])
	must(t, writer.Seal())
}

// expectBacklog compares what is pending with the fragments of the only segment that the service
// lacks, of which there are that many, or has not acknowledged.
func (w *rig) expectBacklog(writer *segment.Writer, fragments int, unacknowledged ...int64) {
	w.t.Helper()
	reader, err := w.store.OpenSegment(writer.Key())
	must(w.t, err)
	defer func() { must(w.t, reader.Close()) }()
	list, _, err := reader.Fragments()
	must(w.t, err)
	have := w.stored()
	var want segment.Usage
	lacking := 0
	for i, at := range w.want {
		if slices.Contains(have, at) && !slices.Contains(unacknowledged, at) {
			continue
		}
		begins := time.Duration(0) // where the previous one ends
		if i > 0 {
			begins = list[i-1].Last
		}
		if lacking++; lacking == 1 {
			want.PendingSince = time.UnixMilli(writer.Key().Start).Add(begins).UTC()
			last := list[len(list)-1]
			want.PendingBytes = last.Offset + last.Size // the head of the file, and the checksums
			for _, f := range list {
				want.PendingBytes -= f.Size
			}
		}
		want.PendingBytes += list[i].Size
		want.PendingDuration += list[i].Last - begins
	}
	if lacking != fragments {
		w.t.Fatalf("the service lacks %d fragments, want %d", lacking, fragments)
	}
	got := w.store.Usage(door)
	if got.PendingBytes != want.PendingBytes || got.PendingDuration != want.PendingDuration || !got.PendingSince.Equal(want.PendingSince) {
		w.t.Errorf("with %d fragments that the service lacks, %d bytes, %s since %s are pending; want %d bytes, %s since %s", fragments,
			got.PendingBytes, got.PendingDuration, got.PendingSince, want.PendingBytes, want.PendingDuration, want.PendingSince)
	}
}

// What was recorded before stays on the hub, and nothing is sent twice when it is uploaded later.
func TestLiveSinceSendsNothingOlder(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(2, 4) // on request only
	writer := w.create(640)
	for range 3 {
		w.fragment(writer, 2*time.Second, 300)
	}
	u := w.uploader()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = u.RunLiveSince(ctx, time.UnixMilli(w.want[9])) }()
	defer func() { cancel(); <-done }()
	w.await(2)
	w.fragment(writer, 2*time.Second, 300)
	w.await(3)
	must(t, writer.Seal())
	next := w.create(640)
	w.fragment(next, 2*time.Second, 300)
	w.await(4)
	must(t, next.Seal())
	cancel()
	<-done
	got := slices.Sorted(slices.Values(w.stored()))
	if !slices.Equal(got, w.want[9:]) {
		t.Errorf("the service has %v\nwant %v", w.relative(got), w.relative(w.want[9:]))
	}
	w.drain(w.uploader())
	w.expectAll()
	if got := w.stored(); len(got) != len(w.want) {
		t.Errorf("fragments came twice: %v", w.relative(got))
	}
}
