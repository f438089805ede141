package tally

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func dirOf(t *testing.T) statefile.Dir {
	t.Helper()
	return statefile.At(filepath.Join(t.TempDir(), "state"), atomicfile.OS{})
}

func at(now time.Time) func() time.Time { return func() time.Time { return now } }

// feed counts n fragments of a length, whose frames are 40 ms apart.
func feed(s *Stream, from time.Time, n int, length time.Duration) (end time.Time) {
	for range n {
		s.Persisted(from, from.Add(length-40*time.Millisecond), 1000)
		from = from.Add(length)
	}
	return from
}

func TestFragmentsCountOnTheDayOfTheirMedia(t *testing.T) {
	t.Parallel()
	tally := Open(Options{Dir: dirOf(t), Now: at(noon)})
	s := tally.Stream("door")
	s.Call()
	feed(s, noon.Add(-13*time.Hour), 3600+7200, time.Second) // over midnight
	days, first := tally.Days("door")
	if !first.Equal(noon.Add(-13 * time.Hour)) {
		t.Errorf("the first media is of %v", first)
	}
	want := map[string]Day{
		"2026-11-27": {Bytes: 3600_000, Fragments: 3600, MediaMS: 3600_000},
		"2026-11-28": {Bytes: 7200_000, Fragments: 7200, MediaMS: 7200_000 - 40, Calls: 1}, // the last frame is not over
	}
	if fmt.Sprint(days) != fmt.Sprint(want) {
		t.Errorf("the days are %v, want %v", days, want)
	}
	if got := tally.LastDay("door"); got != want["2026-11-28"] {
		t.Errorf("the last day is %v", got)
	}
}

// TestTheLengthOfFragments: with gaps, interleaved with older media, sent again, and with clocks that go back.
func TestTheLengthOfFragments(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		feed  func(s *Stream)
		media time.Duration
	}{
		"one": {func(s *Stream) { feed(s, noon, 1, time.Second) }, 960 * time.Millisecond},
		"a gap": {func(s *Stream) {
			feed(s, noon, 2, time.Second)
			feed(s, noon.Add(time.Minute), 2, time.Second)
		}, 2 * 1960 * time.Millisecond},
		"live beside a backlog": {func(s *Stream) {
			live, old := noon, noon.Add(-time.Hour)
			for range 10 {
				live, old = feed(s, live, 1, time.Second), feed(s, old, 1, time.Second)
			}
		}, 2 * 9960 * time.Millisecond},
		"a frame each 2 s": {func(s *Stream) {
			for i := range 5 {
				start := noon.Add(time.Duration(i) * 10 * time.Second)
				s.Persisted(start, start.Add(8*time.Second), 1)
			}
		}, 48 * time.Second},
		"sent again": {func(s *Stream) { feed(s, noon, 2, time.Second); feed(s, noon, 2, time.Second) }, 2 * 1960 * time.Millisecond},
		"backwards":  {func(s *Stream) { s.Persisted(noon, noon.Add(-time.Second), 1) }, 0},
	} {
		tally := Open(Options{Dir: dirOf(t), Now: at(noon)})
		row.feed(tally.Stream("door"))
		days, _ := tally.Days("door")
		var sum Day
		for _, day := range days {
			sum = sum.Add(day)
		}
		if sum.MediaMS != row.media.Milliseconds() {
			t.Errorf("%s: %d ms of media, want %v", name, sum.MediaMS, row.media)
		}
	}
}

func TestRecentFollowsAChange(t *testing.T) {
	t.Parallel()
	tally := Open(Options{Dir: dirOf(t), Now: at(noon)})
	s := tally.Stream("door")
	end := feed(s, noon, leastRecent, time.Second)
	if got := s.Recent(); got != 0 {
		t.Errorf("after %d fragments the mean is %v", leastRecent, got)
	}
	end = feed(s, end, 100, time.Second)
	if got := tally.Stream("door").Recent(); got != time.Second {
		t.Errorf("the mean is %v", got)
	}
	feed(s, end, recentFragments+1, 10*time.Second)
	if got := s.Recent(); got != 10*time.Second {
		t.Errorf("after the change the mean is %v", got)
	}
}

func TestTheLastDay(t *testing.T) {
	t.Parallel()
	morning := time.Date(2026, 11, 28, 0, 30, 0, 0, time.UTC)
	tally := Open(Options{Dir: dirOf(t), Now: at(morning)})
	feed(tally.Stream("door"), morning.Add(-time.Hour), 3600, time.Second) // half an hour on each day
	if got := tally.LastDay("door"); got.Fragments != 3600 || got.Mean().Round(time.Millisecond) != time.Second {
		t.Errorf("the last day has %v, mean %v", got, got.Mean())
	}
	if got := tally.LastDay("yard"); got != (Day{}) || got.Mean() != 0 {
		t.Errorf("a stream that was never uploaded has %v", got)
	}
}

// TestTheTallyOutlivesTheProcess: it is saved at times and at the end, and what is damaged starts again.
func TestTheTallyOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := dirOf(t)
		tally := Open(Options{Dir: dir})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = tally.Run(ctx) })
		feed(tally.Stream("door"), time.Now(), 2, time.Second)
		time.Sleep(saveEvery + time.Second)
		synctest.Wait()
		fragments := func() int64 {
			read, err := Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			return read.LastDay("door").Fragments
		}
		if got := fragments(); got != 2 {
			t.Errorf("after %v %d fragments are saved", saveEvery, got)
		}
		if err := os.Remove(filepath.Join(dir.Path(), file)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(saveEvery)
		synctest.Wait()
		if got := fragments(); got != 2 {
			t.Errorf("a removed file is not written again: %d", got)
		}
		feed(tally.Stream("door"), time.Now(), 3, time.Second)
		cancel()
		running.Wait()
		if got := fragments(); got != 5 {
			t.Errorf("at the end %d fragments are saved", got)
		}
		if again := Open(Options{Dir: dir}); again.LastDay("door").Fragments != 5 || len(again.Streams()) != 1 {
			t.Errorf("the next start has %v", again.LastDay("door"))
		}
	})
}

func TestADamagedTallyStartsAgain(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(dir statefile.Dir) error{
		"not JSON": func(dir statefile.Dir) error {
			return os.WriteFile(filepath.Join(dir.Path(), file), []byte("{"), 0o600)
		},
		"another shape": func(dir statefile.Dir) error { return dir.Write(file, []int{1}) },
	} {
		dir := dirOf(t)
		if err := os.MkdirAll(dir.Path(), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := write(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(dir); err == nil {
			t.Errorf("%s: a reader sees no error", name)
		}
		core, logged := observer.New(zap.DebugLevel)
		tally := Open(Options{Dir: dir, Now: at(noon), Log: zap.New(core)})
		if len(tally.Streams()) != 0 || logged.Len() != 1 {
			t.Errorf("%s: %v, logged %d lines", name, tally.Streams(), logged.Len())
		}
		tally.Stream("door").Call()
		if tally.save(); tally.failing {
			t.Errorf("%s: it is not saved again", name)
		}
	}
	dir := dirOf(t)
	if err := dir.Write(file, map[string]any{
		"null": nil, "negative": counted{Days: map[string]Day{"2026-11-28": {Bytes: -1}}}, "date": counted{Days: map[string]Day{"x": {}}},
		"huge": counted{Days: map[string]Day{"2026-11-28": {Bytes: 1 << 62}}}, "before 1970": counted{FirstMS: -1},
		"after 9999": counted{FirstMS: 1 << 60, Days: map[string]Day{"2026-11-28": {Bytes: 1}}},
		"good":       counted{Days: map[string]Day{"2026-11-28": {Bytes: 1}}},
	}); err != nil {
		t.Fatal(err)
	}
	if tally, err := Read(dir); err != nil || fmt.Sprint(tally.Streams()) != "[good]" {
		t.Errorf("of a file with impossible streams remain %v, %v", tally.Streams(), err)
	}
}

// TestADiskThatFailsCostsOneLine, and all is saved when it works again.
func TestADiskThatFailsCostsOneLine(t *testing.T) {
	t.Parallel()
	dir := dirOf(t)
	if err := os.WriteFile(dir.Path(), nil, 0o600); err != nil { // in the place of the directory
		t.Fatal(err)
	}
	core, logged := observer.New(zap.DebugLevel)
	tally := newTally(Options{Dir: dir, Now: at(noon), Log: zap.New(core)})
	tally.Stream("door").Call()
	tally.save()
	tally.save()
	if logged.Len() != 1 {
		t.Errorf("%d lines are logged: %v", logged.Len(), logged.All())
	}
	if err := os.Remove(dir.Path()); err != nil {
		t.Fatal(err)
	}
	tally.save()
	if read, err := Read(dir); err != nil || len(read.Streams()) != 1 {
		t.Errorf("afterwards it has %v, %v", read.Streams(), err)
	}
}

func TestTheTallyIsBounded(t *testing.T) {
	t.Parallel()
	dir := dirOf(t)
	now := noon
	tally := Open(Options{Dir: dir, Now: func() time.Time { return now }})
	for i := range 3 * keepDays {
		now = noon.AddDate(0, 0, i)
		tally.Stream("door").Persisted(now, now, 1)
	}
	for i := range maxStreams {
		tally.Stream(fmt.Sprintf("s%04d", i)).Persisted(noon.AddDate(0, 0, -1), noon, 1)
	}
	tally.save()
	days, first := tally.Days("door")
	if len(days) != keepDays || days[now.Format(time.DateOnly)].Fragments != 1 {
		t.Errorf("%d days are kept", len(days))
	}
	if want := now.AddDate(0, 0, 1-keepDays).Truncate(24 * time.Hour); !first.Equal(want) {
		t.Errorf("they are complete from %v on, want %v", first, want)
	}
	if names := tally.Streams(); len(names) != maxStreams || names[0] != "door" || names[1] != "s0001" {
		t.Errorf("%d streams are kept, from %v on", len(names), names[:2])
	}
	info, err := os.Stat(filepath.Join(dir.Path(), file))
	if err != nil || info.Size() > 1<<20 {
		t.Errorf("the file has %d bytes, %v", info.Size(), err)
	}
}

// TestAKillLosesASecondOfTheCount, however much media that is, before and after the file is saved, and several times.
func TestAKillLosesASecondOfTheCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := dirOf(t)
		next := time.Now()
		want := Day{}
		for kill := range 4 {
			// A killed process saves nothing more: its directory is copied before its end.
			tally := Open(Options{Dir: dir})
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { _ = tally.Run(ctx) })
			for range 40 + 3000*(kill%2) { // five fragments a second, as many as the service takes
				next = feed(tally.Stream("door"), next, 1, time.Second)
				want = want.Add(Day{Bytes: 1000, Fragments: 1})
				time.Sleep(200 * time.Millisecond)
			}
			tally.Stream("door").Call()
			want.Calls++
			time.Sleep(journalEvery + time.Millisecond)
			synctest.Wait()
			killed := dirOf(t)
			if err := os.CopyFS(killed.Path(), os.DirFS(dir.Path())); err != nil {
				t.Fatal(err)
			}
			cancel()
			running.Wait()
			dir = killed
			read, err := Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			days, first := read.Days("door")
			var sum Day
			for _, day := range days {
				sum = sum.Add(day)
			}
			if sum.MediaMS = 0; sum != want || first.IsZero() {
				t.Fatalf("after kill %d %+v is left, want %+v", kill, sum, want)
			}
		}
	})
}

// TestAJournalIsNotAddedTwice: neither to a later file, nor to one that was set aside, and a torn line ends it.
func TestAJournalIsNotAddedTwice(t *testing.T) {
	t.Parallel()
	of := func(dir statefile.Dir) int64 {
		read, _ := Read(dir)
		days, _ := read.Days("door")
		return days["2026-11-28"].Fragments
	}
	dir := dirOf(t)
	tally := Open(Options{Dir: dir, Now: at(noon)})
	feed(tally.Stream("door"), noon, 1, time.Second)
	tally.save() // makes the directory
	feed(tally.Stream("door"), noon.Add(time.Minute), 2, time.Second)
	tally.note()
	if got := of(dir); got != 3 {
		t.Errorf("with its journal it has %d", got)
	}
	path := filepath.Join(dir.Path(), journalFile)
	journal, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, torn := range []string{
		`{"stream":"door","da`, "\x00\x00\x00", `{"stream":"door","date":"x"}`, `{"stream":"door","date":"2026-11-28","bytes":-1}`,
	} {
		if err := os.WriteFile(path, append(append([]byte{}, journal...), torn...), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := of(dir); got != 3 {
			t.Errorf("with the torn line %q it has %d", torn, got)
		}
	}
	if err := os.WriteFile(path, journal, 0o600); err != nil {
		t.Fatal(err)
	}
	tally.save()
	if got := of(dir); got != 3 {
		t.Errorf("saved it has %d", got)
	}
	feed(tally.Stream("door"), noon.Add(time.Hour), 4, time.Second)
	tally.note()
	if got := of(dir); got != 7 {
		t.Errorf("with the next journal it has %d", got)
	}
	again := Open(Options{Dir: dir, Now: at(noon)})
	again.save()
	if got := of(dir); got != 7 || Open(Options{Dir: dir}).changed {
		t.Errorf("after a start it has %d", got)
	}
	if err := os.WriteFile(filepath.Join(dir.Path(), file), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if days, _ := Open(Options{Dir: dir}).Days("door"); len(days) != 0 {
		t.Errorf("without its file the journal is %v", days)
	}
}

// TestAJournalIsBounded on a disk on which the file cannot be saved, and nothing follows what is missing.
func TestAJournalIsBounded(t *testing.T) {
	t.Parallel()
	dir := dirOf(t)
	tally := Open(Options{Dir: dir, Now: at(noon)})
	tally.Stream("door").Call()
	tally.save()
	tally.journal.size = maxJournal - 10
	for range 2 {
		tally.Stream("door").Call()
		tally.note()
	}
	if _, err := os.Stat(filepath.Join(dir.Path(), journalFile)); err == nil || tally.journal.size != maxJournal {
		t.Errorf("it is written beyond its bound: %d, %v", tally.journal.size, err)
	}
	if days, _ := tally.Days("door"); days["2026-11-28"].Calls != 3 {
		t.Errorf("it counts %v", days)
	}
}

// TestMediaWithAWrongDateCountsToday: that of a clock that was never set, or was ahead.
func TestMediaWithAWrongDateCountsToday(t *testing.T) {
	t.Parallel()
	for name, date := range map[string]time.Time{"never set": time.Unix(100, 0), "ahead": noon.AddDate(3, 0, 0)} {
		tally := Open(Options{Dir: dirOf(t), Now: at(noon)})
		feed(tally.Stream("door"), date, 10, time.Second)
		days, first := tally.Days("door")
		if len(days) != 1 || days["2026-11-28"].Fragments != 10 || days["2026-11-28"].Mean().Round(100*time.Millisecond) != time.Second ||
			!first.Equal(noon) {
			t.Errorf("%s: %v, complete from %v on", name, days, first)
		}
	}
	unset := Open(Options{Dir: dirOf(t), Now: at(time.Unix(5, 0))})
	feed(unset.Stream("door"), noon, 1, time.Second)
	if days, _ := unset.Days("door"); days["2026-11-28"].Fragments != 1 {
		t.Errorf("while the clock is not set the media's date counts: %v", days)
	}
}
