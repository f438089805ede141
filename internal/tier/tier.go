// Package tier owns which storage tier and which retention the streams have in Kinesis Video Streams, and says where the
// length of fragments is dear in that tier. It must not know how fragments are made or sent.
package tier

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/cost"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

const (
	// every is how often a stream is asked about, up to jitter less often, and deniedEvery how often after the service has
	// denied it.
	every       = time.Hour
	deniedEvery = 24 * time.Hour
	jitter      = 0.2
	// spread is the time over which the first questions are spread, and those about a new stream.
	spread = 5 * time.Minute
	// spacing is the least time between two streams: at most 5 are asked about in a second, where an account has 50 calls/s for
	// all of its hubs.
	// Source: KVS Developer Guide, quotas, DescribeStreamStorageConfiguration.
	spacing = 200 * time.Millisecond
	// judgeEvery is how often the streams are listed and the length of their fragments is judged.
	judgeEvery = 30 * time.Second
	// retryMax bounds the waits after calls that failed.
	retryMax = 5 * time.Minute
	// file is in the state directory.
	file = "storage-tiers.json"
	// maxTier bounds the name of a tier in the file.
	maxTier = 32
)

// Storage is how the cloud stores the media of a stream.
type Storage struct {
	Tier string `json:"tier,omitempty"` // HOT or WARM; empty while it is not known
	// RetentionHours is how long media is kept; nil while it is not known.
	RetentionHours *int `json:"retentionHours,omitempty"`
}

// Cloud is Kinesis Video Streams; see kvs.Client.
type Cloud interface {
	StorageTier(ctx context.Context, stream string) (string, error)
	Retention(ctx context.Context, stream string) (hours int, err error)
}

// Options of a Watch. Those without a default are required.
type Options struct {
	Cloud   Cloud
	Streams func() []string // those that are configured
	Health  *health.Registry
	Lengths func(stream string) Lengths // of fragments
	Dir     statefile.Dir               // remembers what is known, for the next start
	Log     *zap.Logger                 // default: none
	Now     func() time.Time            // default time.Now
	Rand    func() float64              // from 0 to 1; default at random
}

// Watch asks for the tier and the retention of streams now and then. Safe for concurrent use.
type Watch struct {
	o      Options
	denied map[string]bool     // streams of which it may not be read; for Run only
	asked  map[string]schedule // by stream; for Run only
	dear   map[string]bool     // streams whose fragments are dear; for Run only
	prices cost.Prices

	mu    sync.Mutex
	known map[string]Storage // by stream; guarded by mu
}

// schedule is when a stream is asked about next.
type schedule struct {
	due  time.Time
	wait *backoff.Backoff
}

// Open returns a Watch that knows what an earlier one has learned.
func Open(o Options) *Watch {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	return &Watch{
		o: o, asked: make(map[string]schedule), denied: make(map[string]bool), dear: make(map[string]bool), prices: cost.Embedded(),
		known: Read(o.Dir, o.Log),
	}
}

// Read returns what the state directory has, by stream.
func Read(dir statefile.Dir, log *zap.Logger) map[string]Storage {
	known := make(map[string]Storage)
	if err := dir.ReadOnly(file, &known); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			log.Debug("storage tiers of the last start unreadable", zap.Error(err))
		}
		return make(map[string]Storage)
	}
	for name, s := range known {
		if len(s.Tier) > maxTier || s.RetentionHours != nil && *s.RetentionHours < 0 {
			delete(known, name)
		}
	}
	return known
}

// Of is what is known of a stream.
func (w *Watch) Of(stream string) Storage {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known[stream]
}

// Run asks until ctx ends. It returns nil.
func (w *Watch) Run(ctx context.Context) error {
	var judged time.Time
	for {
		streams := w.o.Streams()
		w.forget(streams)
		if now := w.o.Now(); judged.IsZero() || now.Sub(judged) >= judgeEvery || now.Before(judged) {
			judged = now
			for _, stream := range streams {
				w.judge(stream)
			}
		}
		next := judged.Add(judgeEvery)
		stream, due := w.first(streams)
		switch {
		case stream == "":
		case due.After(w.o.Now()):
			if due.Before(next) {
				next = due
			}
		default:
			w.ask(ctx, stream)
			next = time.Time{}
		}
		if backoff.Sleep(ctx, max(spacing, next.Sub(w.o.Now()))) != nil {
			return nil
		}
	}
}

// first is the stream that is to be asked about first, and when; "" without streams.
func (w *Watch) first(streams []string) (first string, at time.Time) {
	for _, stream := range streams {
		if due := w.due(stream); first == "" || due.Before(at) {
			first, at = stream, due
		}
	}
	return first, at
}

// due is when a stream is to be asked about.
func (w *Watch) due(stream string) time.Time {
	s, ok := w.asked[stream]
	if now := w.o.Now(); !ok || s.due.Sub(now) > 2*deniedEvery { // or the clock was set back
		s = schedule{due: now.Add(w.part(spread)), wait: backoff.New(backoff.Policy{Min: time.Second, Max: retryMax})}
		w.asked[stream] = s
	}
	return s.due
}

// part is a part of a time, at random.
func (w *Watch) part(of time.Duration) time.Duration { return time.Duration(w.o.Rand() * float64(of)) }

// forget removes the streams that are not configured any more.
func (w *Watch) forget(streams []string) {
	configured := make(map[string]bool, len(streams))
	for _, stream := range streams {
		configured[stream] = true
	}
	for stream := range w.asked {
		if !configured[stream] {
			delete(w.asked, stream)
			delete(w.denied, stream)
			delete(w.dear, stream)
		}
	}
}

// ask asks about a stream, and decides when it does so again.
func (w *Watch) ask(ctx context.Context, stream string) {
	s := w.asked[stream]
	known := w.Of(stream)
	hours, err := w.o.Cloud.Retention(ctx, stream)
	if err == nil {
		known.RetentionHours = &hours
	}
	unknown := err
	tier, err := w.o.Cloud.StorageTier(ctx, stream)
	now := w.o.Now()
	switch {
	case ctx.Err() != nil:
		return
	case kvs.IsDenied(err):
		if len(w.denied) == 0 { // one line is enough for all streams
			logevent.StorageTierDenied.Log(w.o.Log, zap.String("stream", stream))
		}
		w.denied[stream] = true
		s.due = now.Add(deniedEvery + w.part(time.Duration(jitter*float64(deniedEvery))))
		known.Tier = ""
	case kvs.IsMissing(err):
		s.due = now.Add(s.wait.Next())
		known = Storage{} // and so is what was known of one of that name
	case err != nil:
		s.due = now.Add(s.wait.Next())
	default:
		if had := w.denied[stream]; had {
			if delete(w.denied, stream); len(w.denied) == 0 {
				logevent.StorageTierReadable.Log(w.o.Log)
			}
		}
		s.wait.Reset()
		s.due = now.Add(every + w.part(time.Duration(jitter*float64(every))))
		known.Tier = health.Clean(tier, maxTier)
	}
	if unknown = errors.Join(unknown, err); unknown != nil {
		w.o.Log.Debug("storage of the stream unknown", zap.String("stream", stream), zap.Error(unknown))
	}
	w.asked[stream] = s
	w.learn(stream, known)
}

// same reports whether both say the same.
func (s Storage) same(other Storage) bool {
	return s.Tier == other.Tier && (s.RetentionHours == nil) == (other.RetentionHours == nil) &&
		(s.RetentionHours == nil || *s.RetentionHours == *other.RetentionHours)
}

// learn changes what is known of a stream, and keeps it for the next start. A disk that fails only costs that.
func (w *Watch) learn(stream string, s Storage) {
	w.mu.Lock()
	changed := !w.known[stream].same(s)
	w.known[stream] = s
	document := make(map[string]Storage, len(w.known))
	for name, s := range w.known {
		if _, configured := w.asked[name]; configured {
			document[name] = s
		}
	}
	w.mu.Unlock()
	if !changed && !w.o.Dir.Missing(file) {
		return
	}
	if err := w.o.Dir.Write(file, document); err != nil {
		w.o.Log.Debug("storage tiers not saved", zap.Error(err))
	}
}
