package event

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// kept are the ids of the events of a store.
func kept(s *Store) (ids []string) {
	for _, e := range s.List("", time.Time{}, time.Time{}) {
		ids = append(ids, e.ID)
	}
	return ids
}

// finished triggers an event, waits for its end, and finishes it.
func (r *rig) finished(name string) {
	r.t.Helper()
	r.must(id(name))
	r.now = r.now.Add(time.Minute)
	if err := r.s.Finish(name, "door", r.s.Version("door"), Progress{Recorded: 1, Uploaded: 1}); err != nil {
		r.t.Fatal(err)
	}
}

func TestWhatMadeRoomDoesNotComeBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.most = 3 })
	r.must(id("waits"))
	r.now = r.now.Add(time.Minute)
	for i := range 20 {
		r.finished(fmt.Sprint("e", i))
	}
	want := []string{"waits", "e18", "e19"}
	for range 3 {
		if got := kept(r.s); !slices.Equal(got, want) {
			t.Fatalf("%v are kept, want %v", got, want)
		}
		r.s = Open(r.o)
	}
	// A journal with more, as earlier versions left it, is trimmed, and stays so.
	r.o.most = 2
	for range 2 {
		r.s = Open(r.o)
		if got, want := kept(r.s), []string{"waits", "e19"}; !slices.Equal(got, want) {
			t.Errorf("%v are kept, want %v", got, want)
		}
	}
	r.finished("last")
	r.o.most = 3
	if got, want := kept(Open(r.o)), []string{"waits", "last"}; !slices.Equal(got, want) {
		t.Errorf("%v are kept, want %v", got, want)
	}
}

// A journal is read whatever its size, and whatever lies between its lines.
func TestAJournalOfAnySizeIsRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var streams []string
	for i := range MaxStreams {
		streams = append(streams, fmt.Sprintf("%c%s", 'a'+i, strings.Repeat("x", 255)))
	}
	done := make(map[string]Progress)
	for _, name := range streams {
		done[name] = Progress{Recorded: 123456, Uploaded: 12345, Bytes: 1 << 40, Sent: 1 << 40}
	}
	path := filepath.Join(r.o.Dir, File)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriter(f)
	write := func(name string) {
		text, err := line(&Event{ID: name, Streams: streams, Time: noon, From: noon, To: noon.Add(1),
			Reason: strings.Repeat("<", maxReason), Done: done}, "")
		if err != nil || len(text) > maxLine {
			t.Fatalf("a line of %d bytes: %v", len(text), err)
		}
		if _, err := out.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	for range 70 { // one line of 70 MB
		_, _ = out.WriteString(strings.Repeat("y", 1<<20))
	}
	_, _ = out.WriteString("\n")
	write("second")
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	seen, logs := observer.New(zap.InfoLevel)
	r.o.Log = zap.New(seen)
	r.s = Open(r.o)
	if got := kept(r.s); !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("%v are read", got)
	}
	if lines := logs.FilterField(zap.Int("events", 1)).Len(); lines != 1 {
		t.Errorf("the damaged line is logged %d times", lines)
	}
	r.must(id("third"))
	if info, err := os.Stat(path); err != nil || info.Size() > 1<<20 {
		t.Errorf("the journal is not written again without what is out of date: %v %v", info, err)
	}
	if got := kept(Open(r.o)); len(got) != 3 {
		t.Errorf("%v are kept", got)
	}
}

// The clock is set while an event is open: it gets the media by both.
func TestAnOpenEventFollowsTheClock(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		step     time.Duration
		from, to time.Duration // of the event, from when it was triggered
	}{
		"slewed":         {time.Second, -10 * time.Second, 30 * time.Second},
		"forward":        {10 * time.Minute, -10 * time.Second, 10*time.Minute + 30*time.Second},
		"back":           {-10 * time.Minute, -10 * time.Minute, 30 * time.Second},
		"back a little":  {-5 * time.Second, -10 * time.Second, 30 * time.Second},
		"forward by far": {26 * time.Hour, -10 * time.Second, 30 * time.Second},
		"back by far":    {-26 * time.Hour, -10 * time.Second, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			clock := start
			r := newRig(t, func(o *Options) { o.Now = func() time.Time { return clock } })
			r.must(id("a"), func(t *Trigger) { t.Time = start })
			r.must(id("over"), func(t *Trigger) { t.Time, t.Post = start.Add(-time.Minute), time.Second })
			before := r.s.Version("door")
			clock = testtools.Stepped(start, row.step)
			r.s.Step()
			base := start.UTC().Truncate(time.Millisecond)
			for _, s := range []*Store{r.s, Open(r.o)} {
				e, _ := s.Get("a")
				if from, to := e.From.Sub(base), e.To.Sub(base); from != row.from || to != row.to {
					t.Errorf("it is from %s to %s, want %s and %s", from, to, row.from, row.to)
				}
			}
			changes := row.to != 30*time.Second || row.from != -10*time.Second
			if changed := r.s.Version("door") != before; changed != changes {
				t.Errorf("those who follow it are notified: %v", changed)
			}
			if e, _ := r.s.Get("over"); e.To.Sub(base) != -59*time.Second {
				t.Errorf("an event that was over ends at %s", e.To.Sub(base))
			}
		})
	}
}
