// Package history keeps how the backlog, the disk and the line were in the last days, for plots: in memory, and no more of it than a plot
// can show. It begins with the agent. It must not know how they are measured, nor who reads it.
package history

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// How far apart the points of the two series are, and how many there are: 6 hours of every second minute, and 7 days of hours. Of each
// stream they take 6 KB.
const (
	fineStep, finePoints     = 2 * time.Minute, 180
	coarseStep, coarsePoints = time.Hour, 168
)

// Sample is how things are at a time.
type Sample struct {
	Time                    time.Time
	DiskUsed, DiskTotal     int64 // bytes
	LineSent, LineReceived  int64 // bytes since the start of the agent
	HasLine                 bool  // whether those are counted
	BacklogBytes, UsedBytes map[string]int64
}

// Options of a History.
type Options struct {
	Sample func() Sample
	// Every is how often it is asked for; zero: as often as there are points.
	Every time.Duration
}

// History remembers samples. Safe for concurrent use.
type History struct {
	o Options

	mu           sync.Mutex
	began        time.Time // guarded by mu, as all that follows
	last         Sample
	fine, coarse series
}

// New returns one that remembers nothing yet.
func New(o Options) *History {
	if o.Every == 0 {
		o.Every = fineStep
	}
	return &History{o: o, fine: newSeries(fineStep, finePoints), coarse: newSeries(coarseStep, coarsePoints)}
}

// Run remembers samples until ctx ends. It returns nil.
func (h *History) Run(ctx context.Context) error {
	tick := time.NewTicker(h.o.Every)
	defer tick.Stop()
	for {
		h.Add(h.o.Sample())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Add remembers a sample.
func (h *History) Add(s Sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var sent, received int64
	if !h.last.Time.IsZero() && s.HasLine {
		sent, received = max(0, s.LineSent-h.last.LineSent), max(0, s.LineReceived-h.last.LineReceived)
	}
	for _, list := range []*series{&h.fine, &h.coarse} {
		list.add(s, sent, received)
	}
	if h.began.IsZero() || s.Time.Before(h.began) {
		h.began = s.Time
	}
	h.last = s
}

// Series is what is known of a time, a point for each step. All lists end with the last point; those of a stream that is newer than the
// first point are shorter.
type Series struct {
	// Since is when the agent began to remember.
	Since       time.Time `json:"since,omitzero"`
	StepSeconds int       `json:"stepSeconds"`
	// Times are the ends of the steps, in milliseconds since 1970. The last step has not ended.
	Times []int64 `json:"times"`
	// DiskUsed is that of the file system with the recordings at the end of a step, of DiskTotalBytes.
	DiskUsed       []int64 `json:"diskUsedBytes"`
	DiskTotalBytes int64   `json:"diskTotalBytes"`
	// LineSent and LineReceived are the TCP payload of all connections to AWS within a step. They are missing where nothing counts it.
	LineSent     []int64  `json:"lineSentBytes,omitempty"`
	LineReceived []int64  `json:"lineReceivedBytes,omitempty"`
	Streams      []Stream `json:"streams"`
}

// Stream is what is known of a stream.
type Stream struct {
	Name string `json:"name"`
	// Backlog is the most that waited for its upload within a step, and Used what its recordings took at its end.
	Backlog []int64 `json:"backlogBytes"`
	Used    []int64 `json:"usedBytes"`
}

// Since returns what is known since a time; a zero time is all that is known. Times that the fine series does not reach are those of hours.
func (h *History) Since(from time.Time) Series {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := &h.fine
	if from.Before(h.last.Time.Add(-fineStep*finePoints)) && h.began.Before(h.last.Time.Add(-fineStep*finePoints)) {
		list = &h.coarse
	}
	return list.since(from, h.began, h.last)
}

// series is a list of points of a step each.
type series struct {
	step           time.Duration
	most           int
	times          []int64 // Unix ms
	disk           []int64
	sent, received []int64
	streams        map[string]*Stream
}

func newSeries(step time.Duration, most int) series {
	return series{step: step, most: most, streams: make(map[string]*Stream)}
}

// add adds a sample to the last point, or begins another one.
func (l *series) add(s Sample, sent, received int64) {
	now, step := s.Time.UnixMilli(), l.step.Milliseconds()
	for n := len(l.times); n > 0 && l.times[n-1]-step > now; n = len(l.times) { // the clock was put back
		l.cut(n - 1)
	}
	if n := len(l.times); n == 0 || now >= l.times[n-1] {
		l.times = append(l.times, now-now%step+step)
		l.disk, l.sent, l.received = append(l.disk, 0), append(l.sent, 0), append(l.received, 0)
		l.extend(s)
	}
	end := len(l.times) - 1
	l.disk[end] = s.DiskUsed
	l.sent[end] += sent
	l.received[end] += received
	for name, one := range l.streams {
		last := len(one.Used) - 1
		one.Used[last] = s.UsedBytes[name]
		one.Backlog[last] = max(one.Backlog[last], s.BacklogBytes[name])
	}
	if over := len(l.times) - l.most; over > 0 {
		l.drop(over)
	}
}

// extend adds a point to each stream, forgets those that are gone, and begins those that are new.
func (l *series) extend(s Sample) {
	for name := range l.streams {
		if _, there := s.UsedBytes[name]; !there {
			delete(l.streams, name)
		}
	}
	for name := range s.UsedBytes {
		one := l.streams[name]
		if one == nil {
			one = &Stream{Name: name}
			l.streams[name] = one
		}
		one.Used, one.Backlog = append(one.Used, 0), append(one.Backlog, 0)
	}
}

// cut forgets all points from one on.
func (l *series) cut(from int) {
	gone := len(l.times) - from
	l.times, l.disk, l.sent, l.received = l.times[:from], l.disk[:from], l.sent[:from], l.received[:from]
	for name, one := range l.streams {
		if keep := len(one.Used) - gone; keep > 0 {
			one.Used, one.Backlog = one.Used[:keep], one.Backlog[:keep]
		} else {
			delete(l.streams, name)
		}
	}
}

// drop forgets the first points.
func (l *series) drop(n int) {
	total := len(l.times) - n
	without := func(list []int64) []int64 { return slices.Delete(list, 0, max(0, len(list)-total)) }
	l.times, l.disk, l.sent, l.received = without(l.times), without(l.disk), without(l.sent), without(l.received)
	for _, one := range l.streams {
		one.Used, one.Backlog = without(one.Used), without(one.Backlog)
	}
}

// since copies the points that end after a time.
func (l *series) since(from, began time.Time, last Sample) Series {
	first := slices.IndexFunc(l.times, func(at int64) bool { return at > from.UnixMilli() })
	if first < 0 {
		first = len(l.times)
	}
	total := len(l.times) - first
	end := func(list []int64) []int64 { return append([]int64{}, list[max(0, len(list)-total):]...) }
	out := Series{Since: began, StepSeconds: int(l.step / time.Second), Times: end(l.times), DiskUsed: end(l.disk),
		DiskTotalBytes: last.DiskTotal, Streams: []Stream{}}
	if last.HasLine {
		out.LineSent, out.LineReceived = end(l.sent), end(l.received)
	}
	for _, one := range l.streams {
		out.Streams = append(out.Streams, Stream{one.Name, end(one.Backlog), end(one.Used)})
	}
	slices.SortFunc(out.Streams, func(a, b Stream) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
