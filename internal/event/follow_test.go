package event

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// hub is a stream's media, its upload, and what is said of the line, in a bubble of synctest.
type hub struct {
	*rig
	sent    *Sent
	changes chan struct{}

	mu      sync.Mutex
	media   []Fragment
	before  []Fragment // sent in an earlier run
	said    []Need
	listed  atomic.Int64 // fragments that were read
	send    func(ctx context.Context, h *hub, s Sending) error
	current bool
}

func newHub(t *testing.T, change ...func(*Options)) *hub {
	h := &hub{rig: newRig(t, append(change, func(o *Options) { o.Now = time.Now })...), sent: new(Sent), changes: make(chan struct{}, 1),
		send: sendAll}
	h.now = time.Now()
	return h
}

// sendAll sends whatever is there, and what comes while more will be recorded.
func sendAll(ctx context.Context, h *hub, s Sending) error {
	for {
		for _, f := range h.Fragments(s.Span) {
			if !f.Done {
				s.Begins()
				h.done(f.From)
				s.Got()
			}
		}
		if !s.GoesOn() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second / 2):
		}
	}
}

// done notes that the fragment is sent that began then.
func (h *hub) done(began time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent.Note(began)
	if i := slices.IndexFunc(h.media, func(f Fragment) bool { return f.From.Equal(began) }); i >= 0 {
		h.media[i].Done = true
	}
}

// newest is when the newest fragment ends.
func (h *hub) newest() (at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.media); n > 0 {
		at = h.media[n-1].To
	}
	return at
}

// record records a second of media that ends now.
func (h *hub) record() {
	now := time.Now().UTC()
	h.mu.Lock()
	h.media = append(h.media, Fragment{From: now.Add(-time.Second), To: now.Add(-40 * time.Millisecond), Bytes: 1000})
	h.mu.Unlock()
	select {
	case h.changes <- struct{}{}:
	default:
	}
}

// remove deletes the oldest fragments.
func (h *hub) remove(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.media = h.media[n:]
}

func (h *hub) Fragments(s Span) (list []Fragment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i, _ := slices.BinarySearchFunc(h.media, s.From.Add(-time.Second), func(f Fragment, at time.Time) int { return f.From.Compare(at) })
	for _, f := range h.media[i:] {
		if f.in(s) {
			h.listed.Add(1)
			list = append(list, f)
		}
	}
	return list
}

func (h *hub) Before(s Span) []Fragment { return h.before }

func (h *hub) Send(ctx context.Context, s Sending) error { return h.send(ctx, h, s) }

func (h *hub) Current() bool { return h.current }

// follow follows the events of the stream door until stop is called.
func (h *hub) follow() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		_ = Follow(ctx, Following{
			Stream: "door", Store: h.s, Sender: h, Sent: h.sent, Media: h.changes, Now: time.Now,
			Newest: h.newest,
			Need: func(n Need) {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.said = append(h.said, n)
			},
		})
	})
	return func() { cancel(); group.Wait() }
}

// needs is what was said last.
func (h *hub) needs() Need {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.said[len(h.said)-1]
}

// runs records a fragment each second, for so many.
func (h *hub) runs(seconds int) {
	for range seconds {
		time.Sleep(time.Second)
		h.record()
	}
	synctest.Wait()
}

// expect checks the final progress of an event.
func (h *hub) expect(id string, want Progress) {
	h.t.Helper()
	synctest.Wait()
	e, _ := h.s.Get(id)
	got, final := e.Done["door"]
	got.Bytes, got.Sent = 0, 0
	if !final || got != want {
		h.t.Errorf("event %s ended: %v, with %+v, want %+v", id, final, got, want)
	}
}

func TestTheMediaOfAnEventIsSentAsItGrows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.runs(20)
		stop := h.follow()
		defer stop()
		h.must(id("a"))
		h.runs(10)
		if n := h.needs(); n != Soon {
			t.Errorf("while nothing waits to be sent of an open event, %d is needed", n)
		}
		h.runs(50)
		h.expect("a", Progress{Recorded: 40, Uploaded: 40})
		if n := h.needs(); n != Nothing {
			t.Errorf("after the event %d is needed", n)
		}
	})
}

// Until the fragment is complete in which an event happened nothing else begins, also when all is sent that is on the disk: be it that
// what sends it waits for that fragment, or that it has returned.
func TestNothingElseBeginsBeforeThePreRollIsThere(t *testing.T) {
	t.Parallel()
	for name, returns := range map[string]bool{"it waits": false, "it has returned": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t)
				h.runs(20)
				h.send = func(ctx context.Context, h *hub, s Sending) error {
					if returns {
						s.GoesOn = func() bool { return false }
					}
					return sendAll(ctx, h, s)
				}
				stop := h.follow()
				defer stop()
				h.must(id("a"))
				time.Sleep(900 * time.Millisecond)
				synctest.Wait()
				if n := h.needs(); n != Now {
					t.Errorf("before the fragment in which it happened is complete, %d is needed", n)
				}
				time.Sleep(100 * time.Millisecond)
				h.record()
				h.runs(3)
				if n := h.needs(); n != Soon {
					t.Errorf("when all until then is sent, %d is needed", n)
				}
			})
		})
	}
}

// An event of which nothing gets through holds up others for a minute, although what sends it does not return, and whatever is triggered
// meanwhile.
func TestAStuckEventHoldsUpOthersForAMinuteOnly(t *testing.T) {
	t.Parallel()
	for name, send := range map[string]func(context.Context, *hub, Sending) error{
		"it does not return": func(ctx context.Context, _ *hub, s Sending) error { s.Begins(); <-ctx.Done(); return ctx.Err() },
		"it fails":           func(context.Context, *hub, Sending) error { return errors.New("refused") },
		"it sends nothing":   func(context.Context, *hub, Sending) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t)
				h.runs(20)
				h.send = send
				stop := h.follow()
				defer stop()
				h.must(id("a"))
				h.runs(59)
				if n := h.needs(); n != Now {
					t.Errorf("at first %d is needed", n)
				}
				h.runs(2)
				if n := h.needs(); n != Nothing {
					t.Errorf("after a minute %d is needed", n)
				}
				for i := range 60 { // nor does a sensor that continues
					h.must(func(t *Trigger) { t.Reason = string(rune('a' + i%5)) })
					h.runs(1)
					if n := h.needs(); n != Nothing {
						t.Fatalf("after further triggers %d is needed", n)
					}
				}
			})
		})
	}
}

// What was deleted before it was sent is lost, and said so, also after a restart; what was sent before it was deleted is in the cloud.
func TestWhatIsDeletedIsLostOrInTheCloud(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.runs(20)
		h.send = func(context.Context, *hub, Sending) error { return errors.New("no line") }
		stop := h.follow()
		h.must(id("a"))
		h.runs(5)
		h.remove(14) // 4 of the event
		h.runs(2)
		h.done(h.media[0].From) // sent by somebody else, and deleted before it is listed again
		h.remove(1)
		h.runs(2)
		stop()
		h.s = Open(h.o)
		h.before = []Fragment{{From: h.t0(14), To: h.t0(15), Bytes: 1000, Done: true}}
		h.send = sendAll
		stop = h.follow()
		defer stop()
		h.runs(60)
		h.expect("a", Progress{Recorded: 40, Uploaded: 36, Lost: 4})
	})
}

// t0 is the time that long after the recording began.
func (h *hub) t0(seconds int) time.Time { return h.now.Add(time.Duration(seconds) * time.Second).UTC() }

// An event whose media is all in the cloud, and deleted here, is not one of which nothing was recorded.
func TestWhatTheCloudHasIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.runs(20)
		h.before, h.media = h.media[15:], nil
		for i := range h.before {
			h.before[i].Done = true
		}
		stop := h.follow()
		defer stop()
		h.must(id("a"), func(t *Trigger) { t.Pre, t.Post = 5*time.Second, 0 })
		time.Sleep(time.Minute)
		h.expect("a", Progress{Recorded: 5, Uploaded: 5})
	})
}

// An event that is extended all the time does not read all its media for each fragment, and remembers no other.
func TestALongEventIsCheap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.runs(20)
		stop := h.follow()
		defer stop()
		for range 400 {
			h.must()
			h.runs(1)
		}
		if h.listed.Load() > 8000 {
			t.Errorf("%d fragments were read for an event with 400", h.listed.Load())
		}
		for i := range 200 { // there is always an event, but not the same
			h.must(func(t *Trigger) {
				t.ID, t.Pre, t.Post = "e"+string(rune('0'+i%8))+time.Now().Format("150405"), 0, 5*time.Second
			})
			h.runs(1)
		}
		synctest.Wait()
		h.sent.mu.Lock()
		defer h.sent.mu.Unlock()
		if n := len(h.sent.list); n > 50 {
			t.Errorf("%d fragments are remembered as sent", n)
		}
	})
}

// A stream that is no longer uploaded ends its events, what is in the cloud and on the hub is said, and they make room.
func TestEventsOfAStreamThatIsNoLongerUploadedEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, func(o *Options) { o.most, o.Uploads = 1, func(stream string) bool { return stream == "door" } })
		h.must(id("a"), func(t *Trigger) { t.Streams = []string{"door", "yard"} })
		h.runs(40)
		stop := h.follow()
		defer stop()
		time.Sleep(time.Minute)
		h.expect("a", Progress{Recorded: 30, Uploaded: 30})
		if e, _ := h.s.Get("a"); e.Finished() {
			t.Fatal("it ends at once where the stream may come back")
		}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		defer group.Wait()
		defer cancel()
		group.Go(func() {
			_ = h.s.EndUnserved(ctx, Unserved{HoldsDue: func(context.Context, []*Event) {}, Fragments: func(_ string, s Span) []Fragment {
				return []Fragment{{From: s.From, To: s.From, Bytes: 10, Done: true}, {From: s.To, To: s.To, Bytes: 20}}
			}})
		})
		time.Sleep(patience + time.Minute)
		synctest.Wait()
		e, _ := h.s.Get("a")
		if want := (Progress{Recorded: 2, Uploaded: 1, Unsent: 1, Bytes: 30, Sent: 10}); e.Done["yard"] != want || !e.Finished() {
			t.Errorf("the stream that is not uploaded ended with %+v, want %+v", e.Done["yard"], want)
		}
		h.must(id("b")) // there is room for one
	})
}
