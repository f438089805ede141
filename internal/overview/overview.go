// Package overview sums up what a store has of a stream in a time range, in as many columns as a picture of it has: what was recorded,
// uploaded, refused and held, where nothing was recorded, and where the times of the stream had to go back. It reads what the store has
// in memory, and no file. It must not know how it is drawn.
package overview

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
)

const (
	// DefaultColumns and MaxColumns bound the columns.
	DefaultColumns = 500
	MaxColumns     = 2000
	// MaxGaps is how many gaps are listed: the longest ones.
	MaxGaps = 200
	// maxEpochs is how many epochs are listed: the first ones.
	maxEpochs = 100
	// atOnce is how many segments are looked up while the store is locked.
	atOnce = 250
	// lastFrame is how long the last frame of a segment is taken to be shown.
	lastFrame = 40 // ms
	// lastYear is the last one that JSON has (RFC 3339).
	lastYear = 9999
)

// Request says what is summed up.
type Request struct {
	Stream   string
	From, To time.Time // [From, To); zero: from the first recording on, up to now
	Columns  int
}

// Overview sums up a time range. All times are those of recording.
type Overview struct {
	Stream string    `json:"stream"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	// ColumnMS is how long a column is, in milliseconds; the last one may reach beyond To.
	ColumnMS int64 `json:"columnMs"`
	// Recorded, Uploaded, Refused and Held are what a column has of each, in percent of its time: 1 is also less, and 100 is all. Where epochs
	// overlap, it is that of all together.
	Recorded []int `json:"recorded"`
	Uploaded []int `json:"uploaded"`
	Refused  []int `json:"refused,omitempty"` // left out where there is none
	Held     []int `json:"held,omitempty"`
	// Gaps are the longest ones of more than 2 s, in order. MoreGaps is how many others there are.
	Gaps     []Gap   `json:"gaps"`
	MoreGaps int     `json:"moreGaps,omitempty"`
	Epochs   []Epoch `json:"epochs,omitempty"` // those that began in the time range
}

// Gap is a time in which nothing was recorded.
type Gap struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Cause is the code of the recorder's condition then, if it is known.
	Cause string `json:"cause,omitempty"`
}

// Epoch is where the times of a stream had to go back.
type Epoch struct {
	Epoch uint32    `json:"epoch"`
	From  time.Time `json:"from"`
}

// sums gathers an Overview. Times are Unix ms.
type sums struct {
	from, to, column int64
	recorded, held   []int64   // ms of each column
	uploaded         []float64 // the same
	refused          []float64
	gaps             []gap
	more             int
	end              int64 // of the newest media; 0: none
	epoch            uint32
	epochs           []Epoch
}

type gap struct{ from, to int64 }

// Of sums up a time range, until ctx ends. now is the time that a range without an end goes to.
func Of(ctx context.Context, store *segment.Store, r Request, now time.Time) (Overview, error) {
	if r.To.IsZero() {
		r.To = now
	}
	if r.From.IsZero() {
		if r.From = store.Usage(r.Stream).Oldest; r.From.IsZero() || !r.From.Before(r.To) {
			r.From = r.To.Add(-time.Second)
		}
	}
	if !r.From.Before(r.To) { // it is still to come
		if r.To = r.From.Add(time.Second); r.To.Year() > lastYear {
			r.From, r.To = r.From.Add(-time.Second), r.From
		}
	}
	s := &sums{from: r.From.UnixMilli(), to: r.To.UnixMilli()}
	s.column = max((s.to-s.from+int64(r.Columns)-1)/int64(r.Columns), 1)
	n := int((s.to - s.from + s.column - 1) / s.column)
	s.recorded, s.held, s.uploaded, s.refused = make([]int64, n), make([]int64, n), make([]float64, n), make([]float64, n)
	if before := store.NewestBefore(r.Stream, r.From); !before.IsZero() {
		s.end = before.UnixMilli()
	}
	first := true
	for next := segment.Before(r.Stream); ; {
		list := store.SegmentsFrom(next, r.From, r.To, atOnce)
		for i := range list {
			s.segment(&list[i], first)
			first = false
		}
		if err := ctx.Err(); err != nil || len(list) < atOnce {
			return s.overview(r), err
		}
		next = streams.KeyOf(r.Stream, list[len(list)-1].ID().Next())
	}
}

// segment adds a segment.
func (s *sums) segment(info *segment.Info, first bool) {
	from, to := info.RecordedFrom.UnixMilli(), info.RecordedTo.UnixMilli()
	if !first && info.Epoch != s.epoch && len(s.epochs) < maxEpochs {
		s.epochs = append(s.epochs, Epoch{info.Epoch, info.RecordedFrom})
	}
	s.epoch = info.Epoch
	if s.end > 0 {
		s.gap(s.end, from)
	}
	s.end = max(s.end, to)
	uploaded, refused := 0.0, 0.0
	if info.Bytes > 0 {
		refused = float64(info.RefusedBytes) / float64(info.Bytes)
		uploaded = max(1-refused-float64(info.PendingBytes)/float64(info.Bytes), 0)
	} else if info.State == segment.Uploaded {
		uploaded = 1
	}
	offset := from - info.Start
	for _, g := range info.Gaps {
		begin, end := g.From.UnixMilli()+offset, g.To.UnixMilli()+offset
		s.media(from, begin+lastFrame, uploaded, refused, info.Held)
		s.gap(begin, end)
		from = end
	}
	s.media(from, to+lastFrame, uploaded, refused, info.Held)
}

// media adds media to the columns that it reaches into.
func (s *sums) media(from, to int64, uploaded, refused float64, held bool) {
	from, to = max(from, s.from), min(to, s.to)
	for at := from; at < to; {
		i := (at - s.from) / s.column
		end := min(to, s.from+(i+1)*s.column)
		length := end - at
		s.recorded[i] += length
		s.uploaded[i] += uploaded * float64(length)
		s.refused[i] += refused * float64(length)
		if held {
			s.held[i] += length
		}
		at = end
	}
}

// gap adds a gap that is long enough.
func (s *sums) gap(from, to int64) {
	from, to = max(from, s.from), min(to, s.to)
	if time.Duration(to-from)*time.Millisecond <= segment.GapAfter {
		return
	}
	if s.gaps = append(s.gaps, gap{from, to}); len(s.gaps) >= 4*MaxGaps {
		s.longest()
	}
}

// longest keeps the longest gaps.
func (s *sums) longest() {
	slices.SortFunc(s.gaps, func(a, b gap) int { return cmp.Compare(b.to-b.from, a.to-a.from) })
	if len(s.gaps) > MaxGaps {
		s.more += len(s.gaps) - MaxGaps
		s.gaps = s.gaps[:MaxGaps]
	}
}

// overview returns what was gathered.
func (s *sums) overview(r Request) Overview {
	s.longest()
	slices.SortFunc(s.gaps, func(a, b gap) int { return cmp.Compare(a.from, b.from) })
	o := Overview{Stream: r.Stream, From: r.From, To: r.To, ColumnMS: s.column, Gaps: []Gap{}, MoreGaps: s.more, Epochs: s.epochs,
		Recorded: percent(s.recorded, s.column), Uploaded: percent(s.uploaded, s.column)}
	if refused := percent(s.refused, s.column); slices.Max(refused) > 0 {
		o.Refused = refused
	}
	if held := percent(s.held, s.column); slices.Max(held) > 0 {
		o.Held = held
	}
	for _, g := range s.gaps {
		o.Gaps = append(o.Gaps, Gap{From: time.UnixMilli(g.from).UTC(), To: time.UnixMilli(g.to).UTC()})
	}
	return o
}

// percent returns shares of a column: 100 only for all of it, and 0 only for none.
func percent[N int64 | float64](list []N, column int64) []int {
	const roundingError = 0.01 // ms
	shares := make([]int, len(list))
	for i, n := range list {
		share := int(float64(n) * 100 / float64(column))
		if share == 0 && float64(n) > roundingError {
			share = 1
		}
		shares[i] = min(share, 100)
	}
	return shares
}
