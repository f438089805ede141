package retention

import (
	"encoding/json"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/lost"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

const (
	// rememberLoss is how long status shows a loss after the last one.
	rememberLoss = 24 * time.Hour
	// forgetLoss is how long the counts of a deleted stream are kept.
	forgetLoss = 30 * 24 * time.Hour
)

// loss is the media that a stream lost before its upload.
type loss struct {
	Segments int64        `json:"segments"`
	Bytes    int64        `json:"bytes"`
	Since    time.Time    `json:"since"` // of the first
	Last     time.Time    `json:"last"`
	Reason   string       `json:"reason"` // of the last
	Times    []lost.Range `json:"times,omitempty"`

	told bool // reported in a condition
}

// losses has the media that streams lost before its upload. It is for one goroutine, but for the times.
type losses struct {
	o        *Options
	byStream map[string]loss
	times    lost.Times
	unsaved  bool // the file differs from byStream
}

func newLosses(o *Options) *losses { return &losses{o: o, byStream: make(map[string]loss)} }

func (l *losses) part(stream string) *health.Component {
	return l.o.Health.Component(stream, health.JobRetention)
}

func (l *losses) file() jsonFile { return jsonFile{l.o.Losses, l.o.Files} }

// add accounts for a segment that was deleted before it was uploaded, and returns the condition.
func (l *losses) add(s segment.Info, why string) *health.Fault {
	part := l.part(s.Stream)
	segments, bytes := part.Counter(health.DeletedBeforeUpload), part.Counter(health.DeletedBeforeUploadBytes)
	segments.Add(1)
	bytes.Add(s.Bytes)
	of := l.byStream[s.Stream]
	if of.Last = l.o.Now(); segments.Load() == 1 || of.Since.IsZero() {
		of.Since = of.Last
	}
	of.Segments, of.Bytes, of.Reason = segments.Load(), bytes.Load(), why
	of.Times = l.times.Add(s.Stream, lost.Range{From: s.RecordedFrom, To: s.RecordedTo, Reason: why})
	fault := of.raise(part)
	l.byStream[s.Stream], l.unsaved = of, true
	return fault
}

// forget drops the losses of a stream.
func (l *losses) forget(stream string) {
	if _, had := l.byStream[stream]; had {
		l.drop(stream)
		l.unsaved = true
	}
}

func (l *losses) drop(stream string) {
	delete(l.byStream, stream)
	l.times.Set(stream, nil)
}

func (l *loss) raise(part *health.Component) *health.Fault {
	l.told = true
	fault := health.SystemFault(codeLost, nil,
		"Recordings were deleted before they were uploaded since %s: %s (%s), the last one because %s: "+
			"check the upload schedule and the network, or give the stream more space.",
		l.Since.UTC().Format(time.DateOnly), health.Varying(humanize.Count(l.Segments, "segment")), health.Varying(humanize.Bytes(l.Bytes)),
		l.Reason)
	part.Report(scopeLost, health.Degraded, fault)
	return fault
}

// clearStale ends the conditions of old losses. Their times follow the clock when it is set. A time in the file that is in
// the future is from a clock that was ahead: it is replaced by the present time of a trusted clock, otherwise the loss would
// be reported for years.
func (l *losses) clearStale(now time.Time, synchronised bool) {
	for stream, of := range l.byStream {
		since, last := health.Redate(of.Since, now), health.Redate(of.Last, now)
		if synchronised && last.After(now) {
			last = now
			if since.After(now) {
				since = now
			}
		}
		if !since.Equal(of.Since) || !last.Equal(of.Last) {
			of.Since, of.Last = since, last
			if of.told {
				of.raise(l.part(stream))
			}
			l.byStream[stream], l.unsaved = of, true
		}
		if of.told && now.Sub(of.Last) > rememberLoss {
			of.told = false
			l.byStream[stream] = of
			l.part(stream).OK(scopeLost)
		}
	}
}

// load reads the losses before this start.
func (l *losses) load() {
	var before map[string]loss
	if err := l.file().load(&before); err != nil {
		logevent.LossesUnreadable.Log(l.o.Log, zap.String("file", l.o.Losses), zap.Error(err))
		return
	}
	now := l.o.Now()
	for stream, of := range before {
		part := l.part(stream)
		part.Counter(health.DeletedBeforeUpload).Restore(of.Segments)
		part.Counter(health.DeletedBeforeUploadBytes).Restore(of.Bytes)
		if now.Sub(of.Last) <= rememberLoss {
			of.raise(part)
		}
		l.byStream[stream] = of
		l.times.Set(stream, of.Times)
	}
}

// save writes the file when something changed, once a pass. Deleted streams are forgotten in time.
func (l *losses) save(now time.Time, streams func() []string) {
	if !l.file().due(l.unsaved, len(l.byStream)) {
		return
	}
	known := streams()
	for stream, of := range l.byStream {
		if !slices.Contains(known, stream) && now.Sub(of.Last) > forgetLoss {
			l.drop(stream)
		}
	}
	if err := l.file().save(json.Marshal(l.byStream)); err != nil {
		fault := health.SystemFault(codeLosses, err,
			"How much was deleted before its upload cannot be kept in %s, so the count starts from zero after a restart: "+
				"check the disk of that directory.", l.o.Losses)
		if l.part("").Report(scopeKeep, health.Info, fault) {
			logevent.Condition(l.o.Log, fault)
		}
		return // the next pass tries again
	}
	l.unsaved = false
	l.part("").OK(scopeKeep)
}

// Lost lists what a stream lost, of a time range, in the order of its times; a zero time is unbounded.
func (k *Keeper) Lost(stream string, from, to time.Time) []lost.Range {
	return k.losses.times.Within(stream, from, to)
}
