package usage

import (
	"context"
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/tally"
)

const (
	// maxRead is how many segments of a stream are read for their fragments: a day of 5 minutes each, and some. Of more
	// segments as many are read, spread evenly, and the others are reckoned from those.
	maxRead = 300
	// maxGOPs is in how many of these segments a fragment is read for its keyframes.
	maxGOPs = 16
)

// onDisk is what the disk has of a span, by date.
type onDisk struct {
	store             Store
	span              Stream
	uploaded, waiting map[string]tally.Day
	refused           map[fragmentID]bool
	tolerance         float64
	gops              gops
}

// fragmentID is a fragment of a stream.
type fragmentID struct {
	segment segment.Key
	start   time.Duration
}

// add counts a fragment, or several.
func (d *onDisk) add(at time.Time, done bool, what tally.Day) {
	if at.Before(d.span.From) || !at.Before(d.span.To) {
		return
	}
	days, date := d.waiting, at.UTC().Format(time.DateOnly)
	if done {
		days = d.uploaded
	}
	days[date] = days[date].Add(what)
}

// sample is what was read, from which the rest is reckoned.
type sample struct {
	all    tally.Day
	size   int64         // of its files
	length time.Duration // of its segments
}

// readDisk reads segments for their fragments, and reckons those that are too many to be read. counted are the days of the tally.
func readDisk(ctx context.Context, store Store, span Stream, counted map[string]tally.Day) (*onDisk, error) {
	d := &onDisk{
		store: store, span: span, uploaded: make(map[string]tally.Day), waiting: make(map[string]tally.Day),
		refused: make(map[fragmentID]bool), tolerance: tolerance,
	}
	for _, r := range store.Refused(span.Stream) {
		d.refused[fragmentID{r.Key, r.Fragment.Start}] = true
	}
	list := needed(store.Segments(span.Stream, span.From, span.To), counted)
	var rest []segment.Info
	var read sample
	for i, one := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		info := one.Info
		if len(list) > maxRead && info.State != segment.Writing && !chosen(i, len(list), maxRead) {
			rest = append(rest, info)
			continue
		}
		sum, err := d.read(ctx, one)
		if err != nil {
			return nil, err
		}
		if sum.Fragments > 0 && info.State != segment.Writing {
			read.all = read.all.Add(sum)
			read.size += info.Bytes
			read.length += info.End.Sub(info.StartTime())
		}
	}
	if len(rest) > 0 && read.size > 0 && read.length > 0 {
		d.reckon(rest, read)
	}
	return d, nil
}

// toRead is a segment, and whether a fragment of it is read for its keyframes.
type toRead struct {
	segment.Info
	keyframes bool
}

// needed leaves out the uploaded segments of days of which no more can be on the disk than was counted: in the usual case nearly
// nothing is read.
func needed(all []segment.Info, counted map[string]tally.Day) (list []toRead) {
	most := make(map[string]time.Duration) // that may be uploaded on the disk, by day
	days := func(info segment.Info) [2]string {
		return [2]string{info.RecordedFrom.UTC().Format(time.DateOnly), info.RecordedTo.UTC().Format(time.DateOnly)}
	}
	for _, info := range all {
		waits := min(1, float64(info.PendingBytes)/float64(max(info.Bytes, 1)))
		length, on := time.Duration((1-waits)*float64(info.RecordedTo.Sub(info.RecordedFrom))), days(info)
		if most[on[0]] += length; on[1] != on[0] {
			most[on[1]] += length
		}
	}
	complete := func(date string) bool {
		return float64(counted[date].MediaMS) >= (1-tolerance)*float64(most[date].Milliseconds())
	}
	for i, info := range all {
		keyframes, on := chosen(i, len(all), maxGOPs), days(info)
		if keyframes || info.State != segment.Uploaded || !complete(on[0]) || !complete(on[1]) {
			list = append(list, toRead{info, keyframes})
		}
	}
	return list
}

// chosen reports whether the i-th of n is one of most that are spread evenly.
func chosen(i, n, most int) bool { return n <= most || i*most/n != (i+1)*most/n }

// read counts the fragments of a segment. One that is deleted meanwhile has none, and neither has one that is damaged.
func (d *onDisk) read(ctx context.Context, one toRead) (sum tally.Day, err error) {
	r, err := d.store.OpenSegmentWhile(ctx, one.Key)
	if err == nil {
		defer func() { _ = r.Close() }()
		var list []mkv.Fragment
		list, _, err = r.Fragments()
		unsent := d.unsent(r, list)
		for i, f := range list {
			length := lengthOf(list, i)
			fragment := tally.Day{
				Bytes:     max(mkv.ClusterHeadSize, f.Size-int64(unsent*length.Seconds())),
				Fragments: 1, MediaMS: length.Milliseconds(),
			}
			sum = sum.Add(fragment)
			if !d.refused[fragmentID{one.Key, f.Start}] {
				d.add(r.RecordedAt(f.Start), d.store.Done(one.Key, f.Start), fragment)
			}
		}
		if one.keyframes && len(list) > 0 {
			d.gops.read(r, list[len(list)/2], lengthOf(list, len(list)/2))
		}
	}
	if ctxErr := ctx.Err(); err != nil && ctxErr != nil && errors.Is(err, ctxErr) {
		return sum, err
	}
	return sum, nil
}

// lengthOf is how long a fragment lasts: until the next one or, if there is none, as long as the distance of its frames suggests.
func lengthOf(list []mkv.Fragment, i int) time.Duration {
	f := list[i]
	length := f.Last - f.Start // and its last frame
	switch {
	case i+1 < len(list) && list[i+1].Start-f.Last <= segment.GapAfter:
		length = list[i+1].Start - f.Start
	case i > 0 && f.Start-list[i-1].Last <= segment.GapAfter: // as that before
		length += f.Start - list[i-1].Last
	case f.Frames > 1: // as its frames
		length += length / time.Duration(f.Frames-1)
	}
	return length
}

// unsent is how many bytes of a second are audio that is recorded but not uploaded, from one of the fragments.
func (d *onDisk) unsent(r *segment.Reader, list []mkv.Fragment) float64 {
	sent := mkv.Select(r.Header(), func(t mkv.Track) bool {
		if t.Kind != mkv.Audio {
			return true
		}
		upload := audio.UploadOf(t)
		return upload == audio.Played || upload == audio.Stored && d.span.AllAudio
	})
	if sent.Whole() || len(list) == 0 {
		return 0
	}
	i := len(list) / 2
	var cut mkv.Cut
	length := lengthOf(list, i).Seconds()
	if err := cut.Load(r, list[i], sent); err != nil || length <= 0 {
		return 0 // it is damaged, or has nothing to send
	}
	return max(0, float64(list[i].Size-mkv.ClusterHeadSize-cut.Size())) / length
}

// reckon adds the segments that were not read.
func (d *onDisk) reckon(rest []segment.Info, read sample) {
	d.tolerance = toleranceReckoned
	for _, info := range rest {
		share := float64(info.End.Sub(info.StartTime())) / float64(read.length)
		part := func(bytes int64) tally.Day {
			of := max(0, min(1, float64(bytes)/float64(max(info.Bytes, 1))))
			return tally.Day{
				Bytes:     int64(of * float64(info.Bytes) / float64(read.size) * float64(read.all.Bytes)),
				Fragments: int64(of*share*float64(read.all.Fragments) + 0.5),
				MediaMS:   int64(of * share * float64(read.all.MediaMS)),
			}
		}
		d.add(info.RecordedFrom, false, part(info.PendingBytes))
		d.add(info.RecordedFrom, true, part(info.Bytes-info.PendingBytes-info.RefusedBytes))
	}
}

// gops are the distances of keyframes.
type gops struct {
	sum, longest time.Duration
	n            int
}

// read adds those of a fragment of a length. One that does not begin with a keyframe is a part of a GOP.
func (g *gops) read(r *segment.Reader, f mkv.Fragment, length time.Duration) {
	video := mkv.Select(r.Header(), func(t mkv.Track) bool { return t.Kind == mkv.Video })
	parts, err := mkv.Parts(r, f, video, 0)
	if err != nil {
		return
	}
	for i, p := range parts {
		next := f.Start + length
		if i+1 < len(parts) {
			next = parts[i+1].Start
		}
		g.sum += next - p.Start
		g.n++
		g.longest = max(g.longest, next-p.Start)
	}
}

// mean is the mean distance, 0 without any.
func (g *gops) mean() time.Duration {
	if g.n == 0 {
		return 0
	}
	return g.sum / time.Duration(g.n)
}
