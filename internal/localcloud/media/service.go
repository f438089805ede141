package media

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/callrate"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/refusal"
)

// StreamInfo is what the control plane knows of a stream.
type StreamInfo struct {
	Name           string
	ARN            string
	Created        time.Time // media from before is of a deleted stream of that name; zero = none is
	RetentionHours int       // 0 = media is not retained: RECEIVED is the last acknowledgement
	Status         string    // as in the KVS API; all but DELETING take media
}

// Retains reports whether a stored fragment can still be read. What was stored before the stream was created is of a deleted
// stream of the same name, and what is older than the retention is gone.
func (i StreamInfo) Retains(f Fragment, now time.Time) bool {
	since := i.Created
	if expired := now.Add(-time.Duration(i.RetentionHours) * time.Hour); expired.After(since) {
		since = expired
	}
	return i.RetentionHours != 0 && !f.Server.Before(since)
}

// StreamLookup finds streams by name or ARN.
type StreamLookup interface {
	Stream(nameOrARN string) (StreamInfo, bool)
}

// Options of a Service.
type Options struct {
	Dir     string                    // where media and the lists of fragments are kept; created if missing; required
	Streams StreamLookup              // required
	Now     func() time.Time          // wall clock, for server timestamps; nil = time.Now
	Log     *zap.Logger               // nil = none
	Verify  func(*http.Request) error // checks the signature; nil = none. An *awsapi.Error chooses the answer, any other error is 403
	Limits  Limits                    // zero fields are KVS's limits
	// Caller names who made a request, after Verify, for lines about refusals; nil = nobody knows.
	Caller func(*http.Request) string

	Strictness Strictness   // what is refused of the media itself
	Refusals   *refusal.Log // a line for each request and fragment that is refused; nil = none
}

// Strictness says what is refused of the media itself.
type Strictness uint8

// The two ways to judge media.
const (
	ForPlayers Strictness = iota // what a player needs: more than KVS asks for
	AsStored                     // what KVS stores, whether or not anything can play it
)

// Service is the data plane. It serves POST /putMedia, /getMedia and /listFragments over HTTP/1.1; the
// server must not set a ReadTimeout or WriteTimeout that it cannot lift, and wrappers of the
// ResponseWriter must have Unwrap.
type Service struct {
	o       Options
	log     *zap.Logger
	faults  *Faults
	archive *archive.Archive
	number  numbers
	// metadata is the quota of looking up fragments.
	metadata *callrate.Points
	ctx      context.Context // ends with Close
	end      context.CancelCauseFunc
	open     sync.WaitGroup // requests

	mu      sync.Mutex
	closed  bool
	streams map[string]*streamState
}

var (
	errClosed    = errors.New("the local cloud is stopping")
	errCut       = errors.New("the stream was cut off")
	errDisplaced = errors.New("a newer PutMedia connection took over the stream")
	errIdle      = errors.New("no byte came within the idle timeout")
)

// New opens the directory, continues where an earlier Service stopped, and is ready to serve.
func New(o Options) (*Service, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	o.Limits = o.Limits.orKVS()
	s := &Service{o: o, log: o.Log, streams: map[string]*streamState{}}
	s.ctx, s.end = context.WithCancelCause(context.Background())
	s.faults = newFaults(s.cut)
	s.metadata = &callrate.Points{N: o.Limits.FragmentMetadata, Now: o.Now}
	var fragments []Fragment
	var err error
	if s.archive, fragments, err = archive.Open(o.Dir); err != nil {
		return nil, err
	}
	for _, f := range fragments {
		s.stream(f.Stream).add(f)
		s.number.after(f.Number)
	}
	return s, nil
}

// Close ends all requests, waits for them, and closes the files.
func (s *Service) Close() error {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	s.mu.Unlock()
	if already {
		return nil
	}
	s.end(errClosed)
	s.open.Wait()
	errs := []error{s.archive.Close()}
	for _, st := range s.all() {
		errs = append(errs, st.close())
	}
	return errors.Join(errs...)
}

// Faults is where failures are ordered.
func (s *Service) Faults() *Faults { return s.faults }

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		reset(w)
		return
	}
	s.open.Add(1)
	s.mu.Unlock()
	defer s.open.Done()
	switch {
	case r.Method != http.MethodPost:
		s.refuse(w, r, r.Method+" request", "", &awsapi.Error{
			Status: http.StatusMethodNotAllowed, Name: "UnsupportedOperationException", Where: "method", Message: "the data plane takes POST only",
		})
	case r.URL.Path == "/putMedia":
		s.putMedia(w, r)
	case r.URL.Path == "/getMedia":
		s.getMedia(w, r)
	case r.URL.Path == "/listFragments":
		s.listFragments(w, r)
	default:
		s.refuse(w, r, "data plane request", "", &awsapi.Error{
			Status: http.StatusNotFound, Name: "UnknownOperationException", Where: "path " + r.URL.Path,
			Message: "the data plane serves /putMedia, /getMedia and /listFragments",
		})
	}
}

// stream returns the state of a stream, created when it is first named.
func (s *Service) stream(name string) *streamState {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.streams[name]
	if !ok {
		st = newStreamState(s, name)
		s.streams[name] = st
	}
	return st
}

func (s *Service) all() []*streamState {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*streamState, 0, len(s.streams))
	for _, st := range s.streams {
		list = append(list, st)
	}
	return list
}

// Stored lists the streams of which something is stored, by name.
func (s *Service) Stored() (names []string) {
	for _, st := range s.all() {
		st.mu.Lock()
		if len(st.fragments) > 0 {
			names = append(names, st.name)
		}
		st.mu.Unlock()
	}
	slices.Sort(names)
	return names
}

// cut resets the open connections of a stream, or of all ("").
func (s *Service) cut(name string) {
	for _, st := range s.all() {
		if name == "" || st.name == name {
			st.cut()
		}
	}
}

// Fragments lists what is stored of a stream, in the order of arrival.
func (s *Service) Fragments(stream string) []Fragment {
	st := s.stream(stream)
	st.mu.Lock()
	defer st.mu.Unlock()
	list := slices.Clone(st.fragments)
	for i := range list {
		list[i].Tags = slices.Clone(list[i].Tags)
	}
	return list
}

// Reader returns a reader of stored fragments; it has to be closed.
func (s *Service) Reader() *archive.Reader { return s.archive.Reader() }

// Fragment is one stored fragment.
type Fragment = archive.Fragment

// Stats of a stream since the Service was made.
type Stats struct {
	Requests  int           // PutMedia requests that arrived
	Refused   int           // answered with an HTTP error
	Sessions  int           // answered with 200
	Displaced int           // sessions ended by a newer one
	Open      bool          // a session is open now
	Fragments int           // stored
	Bytes     int64         // of stored fragments
	Tagged    int           // stored fragments with tags, also those of earlier runs
	Torn      int           // fragments dropped because the connection ended inside them
	Errors    int           // ERROR acknowledgements
	LastError string        // why the last one was sent
	Throttled time.Duration // time that producers were held back by the limits of pace
}

// Stats counts what happened to a stream.
func (s *Service) Stats(stream string) Stats {
	st := s.stream(stream)
	st.mu.Lock()
	defer st.mu.Unlock()
	stats := st.stats
	stats.Open = st.session != nil
	return stats
}

// AwaitFragments waits until n fragments of the stream are stored.
func (s *Service) AwaitFragments(ctx context.Context, stream string, n int) error {
	return s.await(ctx, stream, fmt.Sprintf("%d fragments", n), func(st *streamState) (bool, string) {
		return len(st.fragments) >= n, fmt.Sprintf("%d are stored", len(st.fragments))
	})
}

// AwaitFrames waits until n video frames of the stream are stored.
func (s *Service) AwaitFrames(ctx context.Context, stream string, n int) error {
	return s.await(ctx, stream, fmt.Sprintf("%d frames", n), func(st *streamState) (bool, string) {
		return st.frames >= n, fmt.Sprintf("%d are stored", st.frames)
	})
}

// AwaitSession waits until a PutMedia session of the stream is open (or, with open false, until none is).
func (s *Service) AwaitSession(ctx context.Context, stream string, open bool) error {
	what := "an open PutMedia session"
	if !open {
		what = "the end of the PutMedia session"
	}
	return s.await(ctx, stream, what, func(st *streamState) (bool, string) {
		return (st.session != nil) == open, fmt.Sprintf("%d requests came", st.stats.Requests)
	})
}

// AwaitStats waits until what happened to the stream satisfies ok.
func (s *Service) AwaitStats(ctx context.Context, stream string, ok func(Stats) bool) error {
	return s.await(ctx, stream, "its counters", func(st *streamState) (bool, string) {
		stats := st.stats
		stats.Open = st.session != nil
		return ok(stats), fmt.Sprintf("%+v", stats)
	})
}

func (s *Service) await(ctx context.Context, name, what string, ok func(*streamState) (done bool, sofar string)) error {
	st := s.stream(name)
	for {
		st.mu.Lock()
		done, sofar := ok(st)
		changed := st.changed
		st.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s of stream %s: %s: %w", what, name, sofar, ctx.Err())
		}
	}
}
