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

// getUsage answers with a line for each stream of which there was anything to upload, or with that of one stream.
func (s *Server) getUsage(r *request) (any, error) {
	from, to, err := usage.Days(r.From, r.To, s.now())
	if err != nil {
		return nil, badQuery("%v", err)
	}
	counted := s.o.Uploads.Counted
	source := usage.Source{Store: s.o.Store, Counted: counted, Plan: s.o.Uploads.Plan}
	names := s.o.Store.Streams()
	if counted != nil {
		names = append(names, counted.Streams()...)
	}
	if r.Stream != "" {
		if !slices.Contains(names, r.Stream) {
			if err := s.known(r.Stream); err != nil {
				return nil, err
			}
		}
		names = []string{r.Stream}
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
