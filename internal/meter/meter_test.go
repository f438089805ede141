package meter

import (
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/faultdisk"
)

const mega = 1_000_000

// TestEachClassHasItsShare of a cap of 1 GB without overhead.
func TestEachClassHasItsShare(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		used     int64
		want     [classes]bool
		code     string
		severity health.Severity
	}{
		"nothing used":      {0, [classes]bool{true, true, true}, "", 0},
		"79.9 %":            {799 * mega, [classes]bool{true, true, true}, "", 0},
		"80 %":              {800 * mega, [classes]bool{true, true, true}, codeCap, health.Info},
		"89 %":              {890 * mega, [classes]bool{true, true, true}, codeCap, health.Info},
		"89.95 %":           {899500000, [classes]bool{false, true, true}, codeCap, health.Degraded},
		"90 %":              {900 * mega, [classes]bool{false, true, true}, codeCap, health.Degraded},
		"94.95 %":           {949500000, [classes]bool{false, false, true}, codeCap, health.Degraded},
		"95 %":              {950 * mega, [classes]bool{false, false, true}, codeCap, health.Degraded},
		"99.95 %":           {999500000, [classes]bool{false, false, false}, codeCap, health.Failed},
		"100 %":             {1000 * mega, [classes]bool{false, false, false}, codeCap, health.Failed},
		"control went over": {1200 * mega, [classes]bool{false, false, false}, codeCap, health.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "1GB/day, overhead=1", "2026-11-28T12:00:00Z")
			r.use(row.used)
			for class, want := range row.want {
				if got := r.May(Class(class), mega); (got != Refused) != want {
					t.Errorf("class %d is answered with %d", class, got)
				}
			}
			if code, severity := r.code(); code != row.code || severity != row.severity {
				t.Errorf("the condition is %q, %v; want %q, %v", code, severity, row.code, row.severity)
			}
			r.clock.pass(12 * time.Hour)
			r.work()
			if code, _ := r.code(); code != "" || !r.send(Backlog, mega) {
				t.Errorf("on the next day the condition is %q", code)
			}
		})
	}
}

// A fragment that no period has room for is named, and others are sent.
func TestAFragmentIsLargerThanItsShare(t *testing.T) {
	t.Parallel()
	r := newRig(t, "10MB/day, overhead=1", "2026-11-28T12:00:00Z")
	for range 2 {
		if r.send(Backlog, 9*mega) || !r.send(Backlog, mega) {
			t.Error("a fragment of 9 MB has 9 MB, or one of 1 MB has not")
		}
		c, _ := r.health.Component("", health.JobCloud).Snapshot().Worst()
		if c.Code != codeCap || c.Severity != health.Failed || !strings.Contains(c.Text, "too small for fragments of 9.1 MB") {
			t.Errorf("the condition is %+v", c)
		}
		r.clock.pass(24 * time.Hour)
		r.work()
	}
	larger, err := Parse("11MB/day, overhead=1")
	must(t, err)
	r.Follow(larger)
	if !r.send(Backlog, 9*mega) {
		t.Error("a larger cap has no room for it")
	}
}

func TestFragmentsInFlightAreTakenFromTheShare(t *testing.T) {
	t.Parallel()
	r := newRig(t, "1GB/day, overhead=1", "2026-11-28T12:00:00Z")
	r.use(850 * mega)
	const fragment = 30 * mega
	changes, stop := r.Watch()
	defer stop()
	for r.Take(Backlog, fragment) == Later {
		r.work()
	}
	if got := r.Take(Backlog, fragment); got != Later {
		t.Fatalf("a second one is answered with %d", got)
	}
	for len(changes) > 0 {
		<-changes
	}
	r.add(&r.sent, &r.received, 10*mega) // it was given up
	r.Return(fragment)
	select {
	case <-changes:
	default:
		t.Fatal("that the first one is over wakes nobody")
	}
	if !r.send(Backlog, fragment) {
		t.Fatal("there is room for another one")
	}
	if r.send(Backlog, fragment) {
		t.Fatal("there is room for no more")
	}
	if got := r.State(); got.Sent != 890*mega || got.Used != got.Sent || got.Level != NoBacklog {
		t.Errorf("%+v", got)
	}
}

// TestThePeriodsEnd by the calendar of the hub's zone, and not by a clock that is not known.
func TestThePeriodsEnd(t *testing.T) {
	t.Parallel()
	type step struct {
		now     string
		unknown bool
		want    int64 // counted after another MB
	}
	for name, row := range map[string]struct {
		cap, zone string
		steps     []step
	}{
		"days": {"1GB/day", "UTC", []step{
			{"2026-11-28T23:59:59Z", false, 1}, {"2026-11-29T00:00:00Z", false, 1}, {"2026-11-29T23:59:59Z", false, 2},
		}},
		"days of a zone": {"1GB/day", "Europe/Berlin", []step{
			{"2026-11-28T22:59:59Z", false, 1}, {"2026-11-28T23:00:00Z", false, 1}, {"2026-11-29T00:00:00Z", false, 2},
		}},
		"the clock is set forward by DST": {"1GB/day", "Europe/Berlin", []step{
			{"2027-03-27T22:59:00Z", false, 1}, {"2027-03-27T23:00:00Z", false, 1}, {"2027-03-28T21:59:59Z", false, 2},
			{"2027-03-28T22:00:00Z", false, 1},
		}},
		"the clock is set back by DST": {"1GB/day", "Europe/Berlin", []step{
			{"2026-10-24T22:00:00Z", false, 1}, {"2026-10-25T00:30:00Z", false, 2}, {"2026-10-25T01:30:00Z", false, 3},
			{"2026-10-25T22:59:59Z", false, 4}, {"2026-10-25T23:00:00Z", false, 1},
		}},
		"midnight does not exist": {"1GB/day", "Africa/Cairo", []step{ // 2026-04-24 begins at 01:00
			{"2026-04-23T21:59:59Z", false, 1}, {"2026-04-23T22:00:00Z", false, 1}, {"2026-04-24T20:59:59Z", false, 2},
			{"2026-04-24T21:00:00Z", false, 1},
		}},
		"day 31": {"1GB/month@31", "UTC", []step{
			{"2026-10-31T00:00:00Z", false, 1}, {"2026-11-29T23:00:00Z", false, 2}, {"2026-11-30T00:00:00Z", false, 1},
			{"2026-12-30T23:00:00Z", false, 2}, {"2026-12-31T00:00:00Z", false, 1}, {"2027-02-27T00:00:00Z", false, 1},
			{"2027-02-28T00:00:00Z", false, 1},
		}},
		"never set": {"1GB/day", "UTC", []step{
			{"1970-01-01T00:00:10Z", true, 1}, {"1970-01-02T00:00:10Z", true, 2}, {"2026-11-28T12:00:00Z", false, 3},
			{"2026-11-29T12:00:00Z", false, 1},
		}},
		"not trusted for a while": {"1GB/day", "UTC", []step{
			{"2026-11-28T12:00:00Z", false, 1}, {"2026-11-29T12:00:00Z", true, 2}, {"2026-12-05T12:00:00Z", true, 3},
			{"2026-12-05T13:00:00Z", false, 3}, // it may all have been sent on that day, but for the first
			{"2026-12-06T13:00:00Z", false, 1},
		}},
		"not trusted, within a day": {"1GB/day", "UTC", []step{
			{"2026-11-28T12:00:00Z", false, 1}, {"2036-11-29T12:00:00Z", true, 2}, {"2026-11-28T13:00:00Z", false, 3},
			{"2026-11-29T00:00:00Z", false, 1},
		}},
		"stepped back": {"1GB/day", "UTC", []step{
			{"2026-11-28T00:00:01Z", false, 1}, {"2026-11-27T23:59:59Z", false, 2}, {"2026-11-28T00:00:01Z", false, 3},
			{"2026-11-29T00:00:01Z", false, 1},
		}},
		"years ahead, for a moment": {"1GB/month", "UTC", []step{
			{"2026-11-01T12:00:00Z", false, 1}, {"2026-11-05T12:00:00Z", false, 2}, {"2039-01-01T12:00:00Z", false, 1},
			{"2026-11-05T13:00:00Z", false, 4}, {"2026-11-06T12:00:00Z", false, 5}, {"2026-12-01T00:00:00Z", false, 1},
		}},
		"years behind, for a moment": {"1GB/month", "UTC", []step{
			{"2026-11-01T12:00:00Z", false, 1}, {"2026-11-05T12:00:00Z", false, 2}, {"2020-01-01T12:00:00Z", false, 3},
			{"2026-11-05T13:00:00Z", false, 4}, {"2026-12-01T00:00:00Z", false, 1},
		}},
	} {
		for _, restart := range []string{"", ", restarted each time", ", killed each time"} {
			t.Run(name+restart, func(t *testing.T) {
				t.Parallel()
				zone, err := time.LoadLocation(row.zone)
				must(t, err)
				r := newRig(t, row.cap+", overhead=1", row.steps[0].now)
				r.zone = zone
				must(t, os.RemoveAll(r.dir))
				kills := int64(0)
				for i, s := range row.steps {
					r.clock.set(t, s.now)
					r.clock.trust(!s.unknown)
					switch {
					case i == 0 || restart == ", killed each time":
						r.open(row.cap + ", overhead=1")
						kills++
					case restart != "":
						r.Close()
						r.open(row.cap + ", overhead=1")
					}
					r.work()
					r.use(mega)
					extra := int64(0)
					if restart == ", killed each time" {
						extra = kills * (1e9/leastShare + 2*mega)
					}
					if got := r.State().Sent; got < s.want*mega || got > s.want*mega+extra {
						t.Fatalf("step %d, %s: %d bytes are counted, want %d MB", i, s.now, got, s.want)
					}
				}
			})
		}
	}
}

// TestTheCapIsChanged in the middle of a period: what was counted stays counted, for another period too.
func TestTheCapIsChanged(t *testing.T) {
	t.Parallel()
	r := newRig(t, "", "2026-11-10T12:00:00Z")
	for range 10 { // without a cap
		r.use(50 * mega)
		r.clock.pass(24 * time.Hour)
		r.work()
	}
	for _, row := range []struct {
		cap  string
		used int64
		ok   bool
	}{
		{"1GB/month, overhead=1", 500, true}, {"520MB/month, overhead=1", 500, false}, {"400MB/month@15, overhead=1", 250, true},
		{"100MB/day, overhead=1", 0, true}, {"500MB/month, overhead=1", 500, false}, {"500MB/month@15, overhead=2", 500, false},
		{"1GB/month, overhead=1", 500, true}, {"", 0, true},
	} {
		c, err := Parse(row.cap)
		must(t, err)
		changes, stop := r.Watch()
		r.Follow(c)
		select {
		case <-changes:
		default:
			t.Errorf("%q: nobody is woken", row.cap)
		}
		stop()
		if got := r.State().Used; got != row.used*mega {
			t.Errorf("%q: %d bytes are used, want %d MB", row.cap, got, row.used)
		}
		r.work()
		if got := r.Take(Backlog, 0) == Granted; got != row.ok {
			t.Errorf("%q: the backlog may be sent: %v", row.cap, got)
		}
		if code, _ := r.code(); (code == "") != row.ok {
			t.Errorf("%q: the condition is %q", row.cap, code)
		}
	}
}

// A kill at any moment loses nothing that was sent, and a period has at most the reservations of its kills too much.
func TestKillsAreNotAWayAroundTheCap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		const text = "200MB/day, overhead=1"
		r := newRig(t, text, "2026-11-28T01:00:00Z")
		var truth, excess int64
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0: // a kill, while a fragment is being sent
				n := rapid.Int64Range(1, 8*mega).Draw(rt, "fragment")
				excess += int64(200*mega/mostShare) + r.file.wanted + margin(n)
				if r.Take(Request, n) == Granted {
					part := rapid.Int64Range(0, n).Draw(rt, "sent of it")
					r.add(&r.sent, &r.received, int(part))
					truth += part
				}
				r.open(text)
			case 1:
				r.Close()
				r.open(text)
			case 2:
				r.clock.pass(time.Duration(rapid.IntRange(0, 1000).Draw(rt, "ms")) * time.Millisecond)
				r.work()
			default:
				n := rapid.Int64Range(1, 8*mega).Draw(rt, "fragment")
				class := Class(rapid.IntRange(0, int(classes)-1).Draw(rt, "class"))
				before := r.State().Used
				if r.send(class, n) {
					truth += n
					if after := r.State().Used; after > 2*mega*shares[class] {
						rt.Fatalf("class %d is sent up to %d bytes, from %d", class, after, before)
					}
				}
			}
			if got := r.State().Sent; got < truth || got > truth+excess {
				rt.Fatalf("%d bytes are counted, want %d to %d", got, truth, truth+excess)
			}
		}
	})
}

func TestAFileIsDamaged(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		damage func(t *testing.T, paths [2]string)
		lost   bool
	}{
		"none":       {func(*testing.T, [2]string) {}, false},
		"the first":  {func(t *testing.T, p [2]string) { must(t, os.WriteFile(p[0], []byte("x"), 0o600)) }, false},
		"the second": {func(t *testing.T, p [2]string) { must(t, os.Truncate(p[1], 10)) }, false},
		"both": {func(t *testing.T, p [2]string) {
			must(t, os.WriteFile(p[0], nil, 0o600))
			must(t, os.WriteFile(p[1], []byte("{}"), 0o600))
		}, true},
		"one is a directory": {func(t *testing.T, p [2]string) {
			must(t, os.Remove(p[0]))
			must(t, os.Mkdir(p[0], 0o700))
		}, false},
		"one is gone": {func(t *testing.T, p [2]string) { must(t, os.Remove(p[1])) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "1GB/month, overhead=1", "2026-11-28T12:00:00Z")
			for range 40 {
				r.clock.pass(time.Minute)
				if !r.send(Backlog, 10*mega) {
					t.Fatal("a fragment is refused")
				}
			}
			row.damage(t, [2]string{filepath.Join(r.dir, files[0]), filepath.Join(r.dir, files[1])})
			r.open("1GB/month, overhead=1")
			got := r.State().Sent
			if row.lost {
				if got != 0 {
					t.Errorf("%d bytes are counted", got)
				}
				if code, severity := r.code(); code != codeState || severity != health.Degraded {
					t.Errorf("the condition is %q, %v", code, severity)
				}
			} else if got < 400*mega || got > 440*mega {
				t.Errorf("%d bytes are counted, want 400 MB", got)
			}
			if !r.send(Backlog, mega) {
				t.Error("nothing is sent any more")
			}
			r.Close()
			r.open("1GB/month, overhead=1")
			if again := r.State().Sent; again != got+mega {
				t.Errorf("after another restart %d bytes are counted, want %d", again, got+mega)
			}
		})
	}
}

// A file whose numbers cannot be true is not believed, whatever its checksum says, and the next ones are written.
func TestAFileHasImpossibleNumbers(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]document{
		"a negative sequence":          {Sequence: -5},
		"the last sequence":            {Sequence: math.MaxInt64},
		"a negative sum":               {Sequence: 1, Days: history{{"2026-11-28", -1, 0}}},
		"more than a line can carry":   {Sequence: 1, Days: history{{"2026-11-28", math.MaxInt64, 0}}},
		"a date that is none":          {Sequence: 1, Days: history{{"2026-13-28", 1, 0}}},
		"a negative reservation":       {Sequence: 1, Reserved: -1},
		"an impossible reservation":    {Sequence: 1, Reserved: math.MaxInt64},
		"more days than are ever kept": {Sequence: 1, Days: make(history, maxEntries+1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "1GB/month, overhead=1", "2026-11-28T12:00:00Z")
			dir, err := statefile.Open(r.dir, r.disk)
			must(t, err)
			for _, file := range files {
				must(t, dir.Write(file, d))
			}
			r.open("1GB/month, overhead=1")
			if code, _ := r.code(); code != codeState {
				t.Errorf("the condition is %q", code)
			}
			for range 3 { // both files, and again
				r.use(100 * mega)
				r.clock.pass(saveEvery)
			}
			r.Close()
			r.open("1GB/month, overhead=1")
			if got := r.State().Sent; got != 300*mega {
				t.Errorf("%d bytes are counted, want 300 MB", got)
			}
		})
	}
}

// What was reserved on one day is not on the disk for the next one: nothing begins before it is.
func TestAReservationIsForItsDay(t *testing.T) {
	t.Parallel()
	r := newRig(t, "1GB/day, overhead=1", "2026-11-28T23:59:59Z")
	if !r.send(Backlog, mega) {
		t.Fatal("a fragment is refused")
	}
	r.clock.set(t, "2026-11-29T00:00:00Z")
	if got := r.Take(Backlog, 1000); got != Later {
		t.Fatalf("before the next day is on the disk a fragment is answered with %d", got)
	}
	r.work()
	if got := r.Take(Backlog, 1000); got != Granted {
		t.Errorf("afterwards with %d", got)
	}
	r.add(&r.sent, &r.received, mega/2)
	r.open("1GB/day, overhead=1") // a kill
	if got := r.State().Sent; got < mega/2 {
		t.Errorf("after a kill %d bytes are counted, want 500 kB at least", got)
	}
}

// A disk that cannot be written to holds nothing up: it is said, and what was counted is written when it can be.
func TestAFileCannotBeWritten(t *testing.T) {
	t.Parallel()
	for _, fault := range []faultdisk.Fault{faultdisk.EIO, faultdisk.ENOSPC, faultdisk.EMFILE} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "1GB/month, overhead=1", "2026-11-28T12:00:00Z")
			r.disk.Arm(fault, 1, 1_000_000)
			for range 30 {
				if !r.send(Backlog, 10*mega) {
					t.Fatal("the disk keeps a fragment from being sent")
				}
			}
			if code, severity := r.code(); code != codeState || severity != health.Degraded {
				t.Errorf("the condition is %q, %v", code, severity)
			}
			for range 70 {
				r.send(Backlog, 10*mega)
			}
			if got := r.State().Used; got > 900*mega {
				t.Errorf("the cap does not apply: %d bytes", got)
			}
			want := r.State().Sent
			r.disk.Arm(fault, 0, 0)
			r.clock.pass(tick)
			r.work()
			r.clock.pass(tick)
			if code, _ := r.code(); code == codeState {
				t.Error("the condition stays")
			}
			r.open("1GB/month, overhead=1") // a kill
			if got := r.State().Sent; got < want || got > want+20*mega {
				t.Errorf("%d bytes are counted, want %d", got, want)
			}
		})
	}
}

func TestForecast(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		cap, now string
		days     []int64 // MB on the days up to now, the last one today
		want     string
	}{
		"nothing yet": {"30GB/month", "2026-11-10T12:00:00Z", nil, ""},
		"it suffices": {"30GB/month", "2026-11-10T12:00:00Z", []int64{500, 500, 250}, ""},
		"it does not": {"3GB/month", "2026-11-10T12:00:00Z", []int64{250, 500, 500, 250}, "2026-11-13T12:00:00Z"},
		"the speed of late": {"10GB/month", "2026-11-20T12:00:00Z", []int64{0, 0, 0, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 500},
			"2026-11-23T00:00:00Z"},
		"a day suffices":     {"1GB/day", "2026-11-10T12:00:00Z", []int64{700, 350}, ""},
		"a day does not":     {"1GB/day", "2026-11-10T12:00:00Z", []int64{1400, 700}, "2026-11-10T15:25:43Z"},
		"it is reached":      {"1GB/day", "2026-11-10T12:00:00Z", []int64{1400, 1000}, ""},
		"begun at noon":      {"1GB/day", "2026-11-10T18:00:00Z", []int64{600}, "2026-11-10T22:00:00Z"},
		"begun a moment ago": {"1GB/day", "2026-11-10T12:01:00Z", []int64{500}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, row.cap+", overhead=1", "2026-11-01T12:00:00Z")
			now, err := time.Parse(time.RFC3339, row.now)
			must(t, err)
			r.clock.set(t, now.Format(time.DateOnly)+"T12:00:00Z")
			r.clock.pass(-24 * time.Hour * time.Duration(max(0, len(row.days)-1)))
			must(t, os.RemoveAll(r.dir))
			r.open(row.cap + ", overhead=1")
			for i, mb := range row.days {
				if i > 0 {
					r.clock.pass(24 * time.Hour)
					r.work()
				}
				r.use(mb * mega)
			}
			r.clock.set(t, row.now)
			want := time.Time{}
			if row.want != "" {
				want, err = time.Parse(time.RFC3339, row.want)
				must(t, err)
			}
			if got := r.State().Reached; got.Sub(want).Abs() > time.Minute {
				t.Errorf("it will be reached at %s, want %s", got, want)
			}
			r.clock.trust(false)
			if got := r.State().Reached; !got.IsZero() {
				t.Errorf("with a clock that is not known it will be reached at %s", got)
			}
		})
	}
}

// The bytes of a connection are counted as the other end sees them, without an allocation. Not parallel, as all of the
// process's allocations are counted.
func TestAConnectionIsCounted(t *testing.T) {
	r := newRig(t, "1GB/day", "2026-11-28T12:00:00Z")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = listener.Close() }()
	saw := make(chan int64, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Write(make([]byte, 5000))
		n, _ := io.Copy(io.Discard, conn)
		saw <- n
	}()
	dialled, err := net.Dial("tcp", listener.Addr().String())
	must(t, err)
	conn := r.Count(dialled)
	_, err = io.ReadFull(conn, make([]byte, 5000))
	must(t, err)
	buffer := make([]byte, 1000)
	allocations := testing.AllocsPerRun(100, func() {
		if _, err := conn.Write(buffer); err != nil {
			t.Error(err)
		}
	})
	must(t, conn.Close())
	sent, received := r.Totals()
	if n := <-saw; sent != n || received != 5000 || allocations != 0 {
		t.Errorf("%d bytes were sent and %d received with %g allocations each, want %d and 5000", sent, received, allocations, n)
	}
	var none *Meter
	if none.Count(dialled) != dialled {
		t.Error("no meter counts")
	}
}
