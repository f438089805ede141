package localapi

import (
	"context"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/usage"
)

// Uploads is what is known of past uploads, and of how the cloud stores them.
type Uploads struct {
	Counted usage.Counted // nil: nothing was counted
	// Storage is the tier of a stream, "" while it is not known, and for how long its media is kept, nil while that is not.
	Storage func(stream string) (tier string, retentionHours *int)
	Plan    func(stream string) usage.Plan // nil: nothing is known
}

const (
	day = 24 * time.Hour
	// usageDays is of how many days the usage is without being asked, and maxUsageDays of how many at most.
	usageDays    = 7
	maxUsageDays = 366
)

// wholeDays is a span of whole days (UTC), of which the last one ends now if it is today. A time that is zero has its default.
func (s *Server) wholeDays(from, to time.Time) (begin, end time.Time, err error) {
	now := s.now().UTC()
	end = to.UTC().Add(day - 1).Truncate(day)
	if to.IsZero() || end.After(now) {
		end = now
	}
	if begin = from.UTC().Truncate(day); from.IsZero() {
		begin = end.Truncate(day).Add(-usageDays * day)
	}
	if end.Sub(begin) > maxUsageDays*day || !begin.Before(end) {
		err = badQuery("from must be before to, and at most %d days", maxUsageDays)
	}
	return begin, end, err
}

// getUsage answers with a line for each stream of which there was anything to upload, or with that of one stream.
func (s *Server) getUsage(r *request) (any, error) {
	from, to, err := s.wholeDays(r.from, r.to)
	if err != nil {
		return nil, err
	}
	counted := s.o.Uploads.Counted
	source := usage.Source{Store: s.o.Store, Counted: counted, Plan: s.o.Uploads.Plan}
	names := s.o.Store.Streams()
	if counted != nil {
		names = append(names, counted.Streams()...)
	}
	if r.stream != "" {
		if !slices.Contains(names, r.stream) {
			if err := s.known(r.stream); err != nil {
				return nil, err
			}
		}
		names = []string{r.stream}
	}
	slices.Sort(names)
	list := []usage.Stream{}
	for _, name := range slices.Compact(names) {
		u, err := source.Of(r.Context(), name, from, to)
		if err != nil {
			return nil, err
		}
		if s.o.Uploads.Storage != nil {
			u.StorageTier, u.RetentionHours = s.o.Uploads.Storage(name)
		}
		list = append(list, u)
	}
	return list, nil
}

// usageTimeout is how long an agent may take to read what streams send: a slow disk reads 300 segments of each.
const usageTimeout = 2 * time.Minute

// Usage reads what the streams, or that of the span, have sent and are to send.
func (c *Client) Usage(ctx context.Context, span Span) (list []usage.Stream, err error) {
	err = c.read(ctx, pathUsage, span.values(), usageTimeout, &list)
	return list, err
}
