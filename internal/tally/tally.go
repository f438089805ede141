// Package tally owns how much was uploaded of each stream on each day, beyond the life of the process and of the
// recordings: what is deleted after its upload has been paid for all the same. It must not know what that costs, nor how
// uploading is done.
package tally

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

const (
	// file is the tally's in the state directory.
	file = "uploaded.json"
	// keepDays is how many days of a stream are kept: more than a month.
	keepDays = 40
	// maxStreams bounds the streams: those that were uploaded longest ago go first.
	maxStreams = 1000
	// saveEvery is how often changes are written and synced, to spare the flash. In between they go to the journal.
	saveEvery = 10 * time.Minute
	// readTries is how often the file is read while the agent saves it between the reading of file and journal.
	readTries = 3
	// future is how far ahead of the hub's clock media may be dated.
	future = 24 * time.Hour
	// maxCount bounds what the file may say of a day: 100 years of bytes at 12.5 MB/s would be below.
	maxCount = 1e17
	// maxFirst is the last time that has a date in JSON, in ms since 1970.
	maxFirst = 253402300799999
)

// Day is what was uploaded of the media that was recorded on a day (UTC). What the service received twice counts twice.
type Day struct {
	Bytes     int64 `json:"bytes"`     // of clusters, as they were sent
	Fragments int64 `json:"fragments"` // that the service acknowledged as persisted or received
	MediaMS   int64 `json:"mediaMs"`   // how long they are together
	Calls     int64 `json:"calls"`     // of PutMedia, on the day on which they were made
}

// Add sums up.
func (d Day) Add(other Day) Day {
	return Day{d.Bytes + other.Bytes, d.Fragments + other.Fragments, d.MediaMS + other.MediaMS, d.Calls + other.Calls}
}

// Mean is the mean length of the fragments, 0 without one.
func (d Day) Mean() time.Duration {
	if d.Fragments <= 0 {
		return 0
	}
	return time.Duration(d.MediaMS) * time.Millisecond / time.Duration(d.Fragments)
}

// counted is a stream's part of the file.
type counted struct {
	// FirstMS is from when on Days is complete: when the earliest of its media was recorded or, where earlier days are no longer
	// kept, the start of the oldest one that is.
	FirstMS int64          `json:"firstMs"`
	Days    map[string]Day `json:"days"` // by their date
}

// Options of a Tally.
type Options struct {
	Dir statefile.Dir // required
	Now func() time.Time
	Log *zap.Logger
}

// Tally counts. Safe for concurrent use.
type Tally struct {
	o Options

	mu       sync.Mutex
	streams  map[string]*counted // guarded by mu, as all below
	counters map[string]*Stream
	changed  bool // since the last save
	failing  bool // the last save failed
	journal  journal
}

// Open reads the tally. One that is damaged or unreadable is started again.
func Open(o Options) *Tally {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	t := newTally(o)
	if err := t.read(o.Dir.Read); err != nil {
		logevent.TallyNotRead.Log(o.Log, zap.Error(err))
	}
	return t
}

// Read returns the tally of an agent, which may run, as it was last saved. With an error it is empty.
func Read(dir statefile.Dir) (t *Tally, err error) {
	for range readTries {
		t = newTally(Options{Dir: dir, Now: time.Now, Log: zap.NewNop()})
		if err = t.read(dir.ReadOnly); err != nil || !t.journal.stale {
			break
		}
	}
	return t, err
}

func newTally(o Options) *Tally {
	return &Tally{o: o, streams: make(map[string]*counted), counters: make(map[string]*Stream), journal: newJournal()}
}

// read fills the tally. Where there is no file it is empty.
func (t *Tally) read(from func(name string, state any) error) error {
	err := from(file, &t.streams)
	if err != nil || t.streams == nil {
		t.streams = make(map[string]*counted)
	}
	t.journal.base = idOf(t.streams)
	for name, c := range t.streams {
		if c == nil || !c.plausible() {
			delete(t.streams, name)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		t.changed = t.replay()
	}
	return err
}

// plausible reports whether a day can be true.
func (d Day) plausible(date string) bool {
	_, err := time.Parse(time.DateOnly, date)
	return err == nil && min(d.Bytes, d.Fragments, d.MediaMS, d.Calls) >= 0 && max(d.Bytes, d.Fragments, d.MediaMS, d.Calls) <= maxCount
}

// plausible reports whether a stream's part of the file can be true.
func (c *counted) plausible() bool {
	for date, day := range c.Days {
		if !day.plausible(date) {
			return false
		}
	}
	return c.FirstMS >= 0 && c.FirstMS <= maxFirst
}

// Run saves changes now and then until ctx ends, and then those that are left. It returns nil.
func (t *Tally) Run(ctx context.Context) error {
	ticker := time.NewTicker(saveEvery)
	defer ticker.Stop()
	t.save() // what the journal of an earlier process has
	defer t.save()
	for {
		select {
		case <-ticker.C:
			t.save()
		case <-t.journal.due.C():
			if backoff.Sleep(ctx, journalEvery) != nil {
				return nil
			}
			t.note()
		case <-ctx.Done():
			return nil
		}
	}
}

// save writes what has changed, and logs once that it cannot.
func (t *Tally) save() {
	t.mu.Lock()
	if !t.changed && (len(t.streams) == 0 || !t.o.Dir.Missing(file)) {
		t.mu.Unlock()
		return
	}
	t.prune()
	document := make(map[string]*counted, len(t.streams))
	for name, c := range t.streams {
		document[name] = &counted{c.FirstMS, maps.Clone(c.Days)}
	}
	t.changed = false
	pending := t.journal.take()
	t.mu.Unlock()
	err := t.o.Dir.Write(file, document)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil && !t.failing {
		logevent.TallyNotSaved.Log(t.o.Log, zap.Error(err), zap.String("advice", t.o.Dir.Advice(file, err)))
	}
	if t.failing = err != nil; t.failing {
		t.changed = true
		t.journal.putBack(pending)
		return
	}
	t.journal.base, t.journal.size = idOf(document), 0
}

// prune bounds the tally. Called with mu held.
func (t *Tally) prune() {
	newest := make(map[string]string, len(t.streams))
	for name, c := range t.streams {
		c.prune()
		if len(c.Days) == 0 {
			delete(t.streams, name)
			continue
		}
		newest[name] = slices.Max(slices.Collect(maps.Keys(c.Days)))
	}
	if len(t.streams) <= maxStreams {
		return
	}
	names := slices.SortedFunc(maps.Keys(t.streams), func(a, b string) int {
		return cmp.Or(cmp.Compare(newest[a], newest[b]), cmp.Compare(a, b))
	})
	for _, name := range names[:len(names)-maxStreams] {
		delete(t.streams, name)
	}
}

// prune keeps the newest days.
func (c *counted) prune() {
	if len(c.Days) <= keepDays {
		return
	}
	dates := slices.Sorted(maps.Keys(c.Days))
	surplus := len(dates) - keepDays
	for _, date := range dates[:surplus] {
		delete(c.Days, date)
	}
	if oldest, err := time.Parse(time.DateOnly, dates[surplus]); err == nil {
		c.FirstMS = max(c.FirstMS, oldest.UnixMilli())
	}
}

// dated is the time on whose day media counts: that of its recording or, where a wrong clock makes that impossible, now.
func (t *Tally) dated(at time.Time) time.Time {
	now := t.o.Now()
	if !hubclock.Unset(now) && (hubclock.Unset(at) || at.After(now.Add(future))) {
		return now
	}
	return at
}

// of is a stream's part, made if it is missing. Called with mu held.
func (t *Tally) of(stream string) *counted {
	c := t.streams[stream]
	if c == nil {
		c = &counted{}
		t.streams[stream] = c
	}
	if c.Days == nil {
		c.Days = make(map[string]Day)
	}
	return c
}

// add counts on a day.
func (t *Tally) add(stream string, at time.Time, d Day) {
	at = t.dated(at)
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.of(stream)
	if ms := at.UnixMilli(); d.Fragments > 0 && (c.FirstMS == 0 || ms < c.FirstMS) {
		c.FirstMS = ms
	}
	date := at.UTC().Format(time.DateOnly)
	c.Days[date] = c.Days[date].Add(d)
	t.changed = true
	t.journal.add(entry{stream, date, c.FirstMS, d})
	if len(c.Days) > keepDays+1 {
		c.prune()
	}
}

// Days returns a copy of a stream's days, by date, and from when on they are complete, zero where that is not known: see
// counted.FirstMS.
func (t *Tally) Days(stream string) (days map[string]Day, first time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.streams[stream]
	if c == nil {
		return nil, time.Time{}
	}
	if c.FirstMS > 0 {
		first = time.UnixMilli(c.FirstMS).UTC()
	}
	return maps.Clone(c.Days), first
}

// Streams lists those of which anything is known, in order.
func (t *Tally) Streams() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.streams))
}

// LastDay is what was uploaded of the media of today or, until that is an hour, of yesterday and today.
func (t *Tally) LastDay(stream string) Day {
	now := t.o.Now().UTC()
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.streams[stream]
	if c == nil {
		return Day{}
	}
	today := c.Days[now.Format(time.DateOnly)]
	if today.MediaMS >= time.Hour.Milliseconds() {
		return today
	}
	return today.Add(c.Days[now.AddDate(0, 0, -1).Format(time.DateOnly)])
}
