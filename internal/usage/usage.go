// Package usage owns what a stream sends to the cloud in a span of days: the fragments that were counted when they were
// uploaded, and those on the disk that still wait for it. It must not know what they cost.
package usage

import (
	"context"
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/tally"
)

const (
	// maxRead is how many segments of a stream are read for their fragments: a day of 5 minutes each, and some. Of more
	// segments as many are read, spread evenly, and the others are reckoned from those.
	maxRead = 300
	// tolerance is the part that the tally may lack of the uploaded media on the disk.
	tolerance = 0.02
)

// Stream is what a stream has sent, and is to send, of the media of a span.
type Stream struct {
	Stream string `json:"stream"`
	// From is the start of the span, or when the stream's first media was recorded. To is its end.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// MediaSeconds is how long the fragments are together.
	MediaSeconds float64 `json:"mediaSeconds"`
	Bytes        int64   `json:"bytes"`
	Fragments    int64   `json:"fragments"`
	Calls        int64   `json:"calls"` // of PutMedia
	// WaitingBytes and WaitingFragments are those of them that are not uploaded.
	WaitingBytes     int64 `json:"waitingBytes,omitempty"`
	WaitingFragments int64 `json:"waitingFragments,omitempty"`
	// StorageTier is HOT or WARM, empty while it is not known, and RetentionHours how long the cloud keeps the media.
	StorageTier    string `json:"storageTier,omitempty"`
	RetentionHours *int   `json:"retentionHours,omitempty"`
}

// Store is the recording directory; see segment.Store.
type Store interface {
	Segments(stream string, from, to time.Time) []segment.Info
	OpenSegmentWhile(ctx context.Context, k segment.Key) (*segment.Reader, error)
	Done(k segment.Key, fragmentStart time.Duration) bool
	Usage(stream string) segment.Usage
}

// Counted is the tally of uploads; see tally.Tally.
type Counted interface {
	Streams() []string
	Days(stream string) (days map[string]tally.Day, first time.Time)
}

// Of reads what a stream has sent, and is to send, of the media that was recorded in [from, to). Both are midnights (UTC),
// or to is now. counted may be nil.
func Of(ctx context.Context, store Store, counted Counted, stream string, from, to time.Time) (Stream, error) {
	disk, err := readDisk(ctx, store, stream, from, to)
	if err != nil {
		return Stream{}, err
	}
	var days map[string]tally.Day
	first := store.Usage(stream).Oldest
	if counted != nil {
		var firstCounted time.Time
		if days, firstCounted = counted.Days(stream); first.IsZero() || !firstCounted.IsZero() && firstCounted.Before(first) {
			first = firstCounted
		}
	}
	u := Stream{Stream: stream, From: from, To: to}
	if first.After(from) {
		u.From = first
	}
	var sum tally.Day
	for day := from.UTC().Truncate(24 * time.Hour); day.Before(to); day = day.AddDate(0, 0, 1) {
		date := day.Format(time.DateOnly)
		sent, stored := days[date], disk.uploaded[date]
		if float64(sent.MediaMS) < (1-tolerance)*float64(stored.MediaMS) {
			stored.Calls = sent.Calls
			sent = stored // an earlier version uploaded it, which did not count
		}
		waiting := disk.waiting[date]
		sum = sum.Add(sent).Add(waiting)
		u.WaitingBytes += waiting.Bytes
		u.WaitingFragments += waiting.Fragments
	}
	u.MediaSeconds = float64(sum.MediaMS) / 1000
	u.Bytes, u.Fragments, u.Calls = sum.Bytes, sum.Fragments, sum.Calls
	return u, nil
}

// onDisk is what the disk has of a span, by date.
type onDisk struct {
	from, to          time.Time
	uploaded, waiting map[string]tally.Day
}

// add counts a fragment, or several.
func (d *onDisk) add(at time.Time, done bool, what tally.Day) {
	if at.Before(d.from) || !at.Before(d.to) {
		return
	}
	days, date := d.waiting, at.UTC().Format(time.DateOnly)
	if done {
		days = d.uploaded
	}
	days[date] = days[date].Add(what)
}

// readDisk reads segments for their fragments, and reckons those that are too many to be read.
func readDisk(ctx context.Context, store Store, stream string, from, to time.Time) (*onDisk, error) {
	d := &onDisk{from: from, to: to, uploaded: make(map[string]tally.Day), waiting: make(map[string]tally.Day)}
	list := store.Segments(stream, from, to)
	var (
		rest   []segment.Info
		sample tally.Day     // of all that was read
		size   int64         // of its files
		length time.Duration // of its segments
	)
	for i, info := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(list) > maxRead && info.State != segment.Writing && i*maxRead/len(list) == (i+1)*maxRead/len(list) {
			rest = append(rest, info)
			continue
		}
		read, err := d.read(ctx, store, info)
		if err != nil {
			return nil, err
		}
		if sample = sample.Add(read); read.Fragments > 0 && info.State != segment.Writing {
			size += info.Bytes
			length += info.End.Sub(info.StartTime())
		}
	}
	if size > 0 && length > 0 {
		d.reckon(rest, sample, size, length)
	}
	return d, nil
}

// read counts the fragments of a segment. One that is deleted meanwhile has none, and neither has one that is damaged.
func (d *onDisk) read(ctx context.Context, store Store, info segment.Info) (sum tally.Day, err error) {
	r, err := store.OpenSegmentWhile(ctx, info.Key)
	if err == nil {
		defer func() { _ = r.Close() }()
		var list []mkv.Fragment
		list, _, err = r.Fragments()
		for i, f := range list {
			length := f.Last - f.Start // and its last frame
			switch {
			case i+1 < len(list) && list[i+1].Start-f.Last <= segment.GapAfter:
				length = list[i+1].Start - f.Start
			case i > 0 && f.Start-list[i-1].Last <= segment.GapAfter: // as that before
				length += f.Start - list[i-1].Last
			case f.Frames > 1: // as its frames
				length += length / time.Duration(f.Frames-1)
			}
			one := tally.Day{Bytes: f.Size, Fragments: 1, MediaMS: length.Milliseconds()}
			sum = sum.Add(one)
			d.add(r.RecordedAt(f.Start), store.Done(info.Key, f.Start), one)
		}
	}
	if ctxErr := ctx.Err(); err != nil && ctxErr != nil && errors.Is(err, ctxErr) {
		return sum, err
	}
	return sum, nil
}

// reckon adds the segments that were not read.
func (d *onDisk) reckon(rest []segment.Info, sample tally.Day, size int64, length time.Duration) {
	for _, info := range rest {
		share := float64(info.End.Sub(info.StartTime())) / float64(length)
		all := tally.Day{
			Bytes:     int64(float64(info.Bytes) / float64(size) * float64(sample.Bytes)),
			Fragments: int64(share*float64(sample.Fragments) + 0.5),
			MediaMS:   int64(share * float64(sample.MediaMS)),
		}
		part := 0.0 // of it that waits
		if info.Bytes > 0 {
			part = min(1, float64(info.PendingBytes)/float64(info.Bytes))
		}
		waiting := tally.Day{
			Bytes: int64(part * float64(all.Bytes)), Fragments: int64(part*float64(all.Fragments) + 0.5),
			MediaMS: int64(part * float64(all.MediaMS)),
		}
		d.add(info.RecordedFrom, false, waiting)
		d.add(info.RecordedFrom, true, tally.Day{
			Bytes: all.Bytes - waiting.Bytes, Fragments: all.Fragments - waiting.Fragments, MediaMS: all.MediaMS - waiting.MediaMS,
		})
	}
}
