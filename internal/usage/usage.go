// Package usage owns what a stream sends to the cloud in a span of days: the fragments that were counted when they were
// uploaded, and those on the disk that still wait for it. It must not know what they cost.
package usage

import (
	"context"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/tally"
)

// The parts of the uploaded media on the disk that the tally may lack: exactly known, as it ends with the last frame, and reckoned.
const (
	tolerance         = 0.005
	toleranceReckoned = 0.02
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
	// KeyframeSeconds and LongestGOPSeconds are the mean and the greatest distance of keyframes in the recordings of the span, 0
	// where there are none.
	KeyframeSeconds   float64 `json:"keyframeSeconds,omitempty"`
	LongestGOPSeconds float64 `json:"longestGOPSeconds,omitempty"`
	Plan
	// StorageTier is HOT or WARM, empty while it is not known, and RetentionHours how long the cloud keeps the media.
	StorageTier    string `json:"storageTier,omitempty"`
	RetentionHours *int   `json:"retentionHours,omitempty"`
}

// Plan is how a stream is uploaded, as far as that decides on what it costs. The zero value is that of a stream of which nothing
// is known: what is on the disk is uploaded sooner or later.
type Plan struct {
	// OnRequest says that media is uploaded on request only, or never, as that of streams that are not configured: nothing waits.
	OnRequest bool `json:"onRequest,omitempty"`
	// Live says that each fragment is uploaded as soon as it is complete.
	Live bool `json:"live,omitempty"`
	// FragmentTag is the stream's tag with the length of its fragments, which takes precedence over the hub's setting.
	FragmentTag string `json:"fragmentTag,omitempty"`
	// ShortOnly says that the service has refused longer fragments, so that they are short whatever is set.
	ShortOnly bool `json:"shortOnly,omitempty"`
	// AllAudio says that audio is sent too that neither the console nor HLS plays.
	AllAudio bool `json:"-"`
}

// Store is the recording directory; see segment.Store.
type Store interface {
	Segments(stream string, from, to time.Time) []segment.Info
	OpenSegmentWhile(ctx context.Context, k segment.Key) (*segment.Reader, error)
	Done(k segment.Key, fragmentStart time.Duration) bool
	Refused(stream string) []segment.Refused
	Usage(stream string) segment.Usage
}

// Counted is the tally of uploads; see tally.Tally.
type Counted interface {
	Streams() []string
	Days(stream string) (days map[string]tally.Day, first time.Time)
}

// Source is what a usage is read from.
type Source struct {
	Store   Store
	Counted Counted                  // nil: nothing was counted
	Plan    func(stream string) Plan // nil: nothing is known of any stream
}

// Of reads what a stream has sent, and is to send, of the media that was recorded in [from, to). Both are midnights (UTC),
// or to is now.
func (s Source) Of(ctx context.Context, stream string, from, to time.Time) (Stream, error) {
	u := Stream{Stream: stream, From: from, To: to}
	if s.Plan != nil {
		u.Plan = s.Plan(stream)
	}
	var days map[string]tally.Day
	first := s.Store.Usage(stream).Oldest
	if s.Counted != nil {
		var firstCounted time.Time
		if days, firstCounted = s.Counted.Days(stream); first.IsZero() || !firstCounted.IsZero() && firstCounted.Before(first) {
			first = firstCounted
		}
	}
	disk, err := readDisk(ctx, s.Store, u, days)
	if err != nil {
		return Stream{}, err
	}
	if first.After(from) {
		u.From = first
	}
	u.KeyframeSeconds, u.LongestGOPSeconds = disk.gops.mean().Seconds(), disk.gops.longest.Seconds()
	var sum tally.Day
	for day := from.UTC().Truncate(24 * time.Hour); day.Before(to); day = day.AddDate(0, 0, 1) {
		date := day.Format(time.DateOnly)
		sent, stored := days[date], disk.uploaded[date]
		if float64(sent.MediaMS) < (1-disk.tolerance)*float64(stored.MediaMS) {
			stored.Calls = sent.Calls
			sent = stored // an earlier version uploaded it, which did not count, or the count was lost
		}
		sum = sum.Add(sent)
		if u.OnRequest {
			continue
		}
		waiting := disk.waiting[date]
		sum = sum.Add(waiting)
		u.WaitingBytes += waiting.Bytes
		u.WaitingFragments += waiting.Fragments
	}
	u.MediaSeconds = float64(sum.MediaMS) / 1000
	u.Bytes, u.Fragments, u.Calls = sum.Bytes, sum.Fragments, sum.Calls
	return u, nil
}
