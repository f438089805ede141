package event

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/faultdisk"
)

// noon is when the tests begin.
var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// rig is a store in a directory, with a clock that the test sets.
type rig struct {
	t   *testing.T
	o   Options
	now time.Time
	s   *Store
}

func newRig(t *testing.T, change ...func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, now: noon}
	r.o = Options{Dir: t.TempDir(), Now: func() time.Time { return r.now }}
	for _, f := range change {
		f(&r.o)
	}
	r.s = Open(r.o)
	return r
}

// trigger triggers an event of the stream door, 10 s before and 30 s after now, unless change says something else.
func (r *rig) trigger(change ...func(*Trigger)) (Event, bool, error) {
	t := Trigger{Streams: []string{"door"}, Pre: 10 * time.Second, Post: 30 * time.Second, Reason: "bell", Source: "test"}
	for _, f := range change {
		f(&t)
	}
	return r.s.Trigger(t)
}

func (r *rig) must(change ...func(*Trigger)) Event {
	r.t.Helper()
	e, _, err := r.trigger(change...)
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

func id(text string) func(*Trigger) { return func(t *Trigger) { t.ID = text } }

func TestATriggerBeginsAnEventOrExtendsOne(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		first, second func(*Trigger)
		later         time.Duration
		events        int
		to            time.Duration // the end of the first event, since noon
	}{
		"the same reason while it is open":   {nil, nil, 20 * time.Second, 1, 50 * time.Second},
		"the same reason after its end":      {nil, nil, 31 * time.Second, 2, 30 * time.Second},
		"another reason":                     {nil, func(t *Trigger) { t.Reason = "motion" }, 20 * time.Second, 2, 30 * time.Second},
		"another source":                     {nil, func(t *Trigger) { t.Source = "mqtt" }, 20 * time.Second, 2, 30 * time.Second},
		"another stream":                     {nil, func(t *Trigger) { t.Streams = []string{"yard"} }, 20 * time.Second, 2, 30 * time.Second},
		"the same id":                        {id("a"), id("a"), 20 * time.Second, 1, 50 * time.Second},
		"the same id, another reason":        {id("a"), func(t *Trigger) { t.ID, t.Reason = "a", "" }, 20 * time.Second, 1, 50 * time.Second},
		"the same id after its end":          {id("a"), id("a"), 31 * time.Second, 1, 30 * time.Second},
		"the same message once more":         {id("a"), func(t *Trigger) { t.ID, t.Repeated = "a", true }, 20 * time.Second, 1, 30 * time.Second},
		"another id":                         {id("a"), id("b"), 20 * time.Second, 2, 30 * time.Second},
		"no id while one with an id is open": {id("a"), nil, 20 * time.Second, 1, 50 * time.Second},
		"a shorter one":                      {nil, func(t *Trigger) { t.Post = time.Second }, 20 * time.Second, 1, 30 * time.Second},
		"an hour before it":                  {nil, func(t *Trigger) { t.Time = noon.Add(-time.Hour) }, 20 * time.Second, 2, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			do := func(f func(*Trigger)) Event {
				if f == nil {
					return r.must()
				}
				return r.must(f)
			}
			first := do(row.first)
			r.now = r.now.Add(row.later)
			do(row.second)
			check := func(s *Store) {
				t.Helper()
				got, _ := s.Get(first.ID)
				if n := len(s.List("", time.Time{}, time.Time{})); n != row.events || !got.To.Equal(noon.Add(row.to)) {
					t.Errorf("%d events, the first ends at %s; want %d and %s", n, got.To, row.events, noon.Add(row.to))
				}
			}
			check(r.s)
			check(Open(r.o)) // after a kill
		})
	}
}

func TestWhatIsWrongWithATriggerIsSaid(t *testing.T) {
	t.Parallel()
	for says, change := range map[string]func(*Trigger){
		"needs a stream":            func(t *Trigger) { t.Streams = nil },
		"a name that no stream can": func(t *Trigger) { t.Streams = []string{"../door"} },
		"at most 16 are allowed": func(t *Trigger) {
			for i := range 17 {
				t.Streams = append(t.Streams, fmt.Sprint("s", i))
			}
		},
		"The id of an event has":        id("a,b"),
		"1 to 64 letters":               id(strings.Repeat("x", 65)),
		"must be from 0s to 1h":         func(t *Trigger) { t.Pre = time.Hour + 1 },
		"it must be from 1970-01-01 on": func(t *Trigger) { t.Time = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) },
		"which is still to come":        func(t *Trigger) { t.Time = noon.Add(2 * time.Minute) },
	} {
		r := newRig(t)
		if _, _, err := r.trigger(change); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the answer is %v, want %q", err, says)
		}
		if list := r.s.List("", time.Time{}, time.Time{}); len(list) > 0 {
			t.Errorf("%q leaves %+v", says, list)
		}
	}
}

func TestAtMostSixteenAreOpenAndExtendedAllTheSame(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range MaxOpen {
		r.must(id(fmt.Sprint("e", i)))
	}
	if _, _, err := r.trigger(id("more")); err == nil || !strings.Contains(err.Error(), "door has 16 open events already") {
		t.Errorf("one more is answered with %v", err)
	}
	r.must(id("e3"))
	r.must(id("other"), func(t *Trigger) { t.Streams = []string{"yard"} })
	r.now = r.now.Add(time.Minute)
	r.must(id("more"))
}

func TestTheOldestFinishedMakesRoom(t *testing.T) {
	t.Parallel()
	uploads := true
	r := newRig(t, func(o *Options) { o.most, o.Uploads = 3, func(string) bool { return uploads } })
	for _, name := range []string{"a", "b", "c"} {
		r.must(id(name))
		r.now = r.now.Add(time.Minute)
	}
	if _, _, err := r.trigger(id("d")); err == nil || !strings.Contains(err.Error(), "3 events are kept already") {
		t.Errorf("with none that is finished: %v", err)
	}
	if err := r.s.Finish("b", "door", r.s.Version("door"), Progress{Recorded: 1, Uploaded: 1}); err != nil {
		t.Fatal(err)
	}
	r.must(id("d"))
	expect := func(want ...string) {
		t.Helper()
		var got []string
		for _, e := range r.s.List("", time.Time{}, time.Time{}) {
			got = append(got, e.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v are kept, want %v", got, want)
		}
	}
	expect("a", "c", "d")
	uploads = false // what cannot be uploaded is never finished
	r.now = r.now.Add(time.Minute)
	r.must(id("e"))
	expect("c", "d", "e")
}

// cut is a disk that loses its power before the n-th operation: nothing is done from then on, and what was not synced is there or not.
type cut struct {
	atomicfile.OS
	left int
	torn int // bytes of the last write that arrive
}

var errOff = errors.New("the power is off")

func (c *cut) step() error {
	if c.left--; c.left < 0 {
		return errOff
	}
	return nil
}

func (c *cut) OpenFile(name string, flag int, mode os.FileMode) (atomicfile.File, error) {
	if err := c.step(); err != nil {
		return nil, err
	}
	f, err := c.OS.OpenFile(name, flag, mode)
	return cutFile{f, c}, err
}

func (c *cut) Rename(from, to string) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.OS.Rename(from, to)
}

func (c *cut) SyncDir(dir string) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.OS.SyncDir(dir)
}

type cutFile struct {
	atomicfile.File
	c *cut
}

func (f cutFile) Write(p []byte) (int, error) {
	if err := f.c.step(); err != nil {
		n, _ := f.File.Write(p[:min(len(p), f.c.torn)])
		f.c.torn = 0
		return n, err
	}
	return f.File.Write(p)
}

func (f cutFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.c.step(); err != nil {
		n, _ := f.File.WriteAt(p[:min(len(p), f.c.torn)], at)
		f.c.torn = 0
		return n, err
	}
	return f.File.WriteAt(p, at)
}

func (f cutFile) Sync() error {
	if err := f.c.step(); err != nil {
		return err
	}
	return f.File.Sync()
}

// Whenever the power is cut, whatever was acknowledged is there afterwards, and what follows is kept too.
func TestAPowerCutLosesNoEventThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	for _, torn := range []int{0, 1, 40, 10_000} {
		for n, over := 0, false; !over; n++ {
			files := &cut{left: n, torn: torn}
			r := newRig(t, func(o *Options) { o.Files = files })
			want := make(map[string]Event)
			for i := range 6 {
				r.now = r.now.Add(7 * time.Second)
				e, _, err := r.trigger(id(fmt.Sprint("e", i%4)))
				if err != nil {
					break
				}
				want[e.ID] = e
			}
			over = files.left >= 0
			check := func(s *Store) {
				t.Helper()
				for name, e := range want {
					got, ok := s.Get(name)
					// What was written and not acknowledged may be there as well: the event then lasts longer.
					if !ok || got.To.Before(e.To) || !got.From.Equal(e.From) || got.Triggers < e.Triggers {
						t.Errorf("cut before operation %d, with %d bytes of the last write: event %s is %+v, was acknowledged as %+v", n, torn,
							name, got, e)
					}
				}
			}
			r.o.Files = atomicfile.OS{}
			r.s = Open(r.o)
			check(r.s)
			want["after"] = r.must(id("after"), func(t *Trigger) { t.Streams = []string{"yard"} })
			check(Open(r.o))
		}
	}
}

// Where the disk fails in any way the trigger is refused, and once it works the next event and those of before are kept.
func TestADiskThatFailsRefusesTheEvent(t *testing.T) {
	t.Parallel()
	for _, fault := range faultdisk.Faults {
		for n := 1; ; n++ {
			disk := faultdisk.New()
			r := newRig(t, func(o *Options) { o.Files = disk })
			want := []Event{r.must(id("a")), r.must(id("b"))}
			disk.Arm(fault, n, 1)
			e, _, err := r.trigger(id("c"))
			struck := disk.Struck() != ""
			disk.Over()
			if err == nil {
				want = append(want, e)
			} else if !strings.Contains(err.Error(), "cannot be saved: ") {
				t.Errorf("%s: %v", fault, err)
			}
			want = append(want, r.must(id("d")))
			s := Open(r.o)
			for _, e := range want {
				if got, ok := s.Get(e.ID); !ok || !reflect.DeepEqual(got, e) {
					t.Errorf("%s of operation %d: event %s is %+v afterwards", fault, n, e.ID, got)
				}
			}
			if !struck {
				break
			}
		}
	}
}

func TestTheJournalStaysSmallAndSkipsWhatIsDamaged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for range 3000 {
		r.now = r.now.Add(time.Millisecond)
		r.must(id("a"))
	}
	b := r.must(id("b"))
	path := filepath.Join(r.o.Dir, File)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 2*slack {
		t.Errorf("two events take %d bytes", len(data))
	}
	data = append([]byte("00000000 {}\nrubbish\n"), data...)
	data = append(data, []byte("12345678 {\"id\":\"torn")...)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s := Open(r.o)
	if got, ok := s.Get("b"); !ok || !reflect.DeepEqual(got, b) || len(s.List("", time.Time{}, time.Time{})) != 2 {
		t.Errorf("beside damaged lines event b is %+v", got)
	}
}

func TestTagsHaveTheEventsThatBeganLast(t *testing.T) {
	t.Parallel()
	var list []*Event
	for i := range 10 {
		list = append(list, &Event{ID: strings.Repeat(fmt.Sprint(i), 40), Time: noon.Add(time.Duration(i) * time.Second)})
	}
	got := IDs(list)
	want := strings.Join([]string{list[0].ID, list[1].ID, list[2].ID, list[3].ID, list[4].ID, list[5].ID}, ",") // sorted by IDs
	if got != want || len(got) > 256 || got[0] != '9' {
		t.Errorf("the tag is %q", got)
	}
	if got := IDs([]*Event{{ID: "a", Time: noon}, {ID: "b", Time: noon.Add(1)}}); got != "b,a" {
		t.Errorf("the tag of two is %q", got)
	}
}

func FuzzJournalLines(f *testing.F) {
	good, err := line(&Event{ID: "a", Streams: []string{"door"}, Time: noon, From: noon, To: noon.Add(1)}, "b")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good[:len(good)-1])
	f.Add([]byte("00000000 {}"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, ok := parse(text)
		if !ok {
			return
		}
		again, err := line(&e.Event, e.InsteadOf)
		if err != nil {
			t.Fatal(err)
		}
		if back, ok := parse(again[:len(again)-1]); !ok || back.ID != e.ID {
			t.Errorf("%q is read as %+v, and that is written as %q", text, e, again)
		}
	})
}
