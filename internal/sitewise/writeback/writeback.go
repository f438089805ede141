// Package writeback owns the rows about video in the assets of AWS IoT SiteWise: which are wanted, given the media in the cloud and on the
// disk, which of them SiteWise has, and which are sent when, also after an outage and a crash. It must not know how cameras are
// configured, nor how requests travel.
package writeback

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise/journal"
)

const (
	// passEvery is how often what is in the cloud is compared with what SiteWise has.
	passEvery = 15 * time.Second
	// diskEvery is how often that is done for what is on the disk, and the time of the oldest media is written.
	diskEvery = time.Minute
	// noteEvery is how often what SiteWise has accepted goes to the journal at least.
	noteEvery = 10 * time.Minute
	// pace is the least time between two requests.
	pace = 200 * time.Millisecond
)

// Camera is an asset, with the ids of its properties; those that it has not are "".
type Camera struct {
	Stream                     string
	Asset                      string
	Uploaded, Recorded, Cached string
}

// meaningOf is what an error of a call means.
func meaningOf(err error) awserr.Error {
	var answer *cloud.Error
	if errors.As(err, &answer) {
		return answer.Meaning
	}
	return awserr.Of(err)
}

// Putter is AWS IoT SiteWise; see sitewise.Client of the clients. It puts at most cloud.MaxWrites values in one call and returns those that
// are refused. An error is about the call as a whole.
type Putter interface {
	Put(ctx context.Context, values []cloud.Entry) ([]cloud.Refusal, error)
}

// Store is the recording directory; see segment.Store.
type Store interface {
	Segments(stream string, from, to time.Time) []segment.Info
	Offsets(k segment.Key, at time.Duration) (wire, recorded time.Duration)
}

// Receipts are what Kinesis Video Streams acknowledged; see receipt.Store.
type Receipts interface {
	Read(stream string, from, to time.Time, each func(receipt.Receipt)) error
}

// Options of a Writer. Those without a remark are required.
type Options struct {
	Dir      string                // the state directory
	Files    atomicfile.FileSystem // default atomicfile.OS
	Cameras  func() []Camera
	Store    Store
	Receipts Receipts
	Put      Putter
	Health   *health.Component
	Log      *zap.Logger // default none
	Now      func() time.Time
	// Trusted returns whether the wall clock can be trusted: nothing is written while it cannot. Default always.
	Trusted func() bool
	// Trickle reports whether a fragment was sent only to keep the stream warm, and nobody has asked for it since. Default never.
	Trickle func(stream string, producer time.Time) bool
	// Kept returns for how long Kinesis Video Streams keeps a stream. Default not known.
	Kept func(stream string) (d time.Duration, known bool)
	// Fragment returns how long the fragments of a stream are, 0 where that is not known. Default not known.
	Fragment func(stream string) time.Duration
}

func (o Options) withDefaults() Options {
	if o.Files == nil {
		o.Files = atomicfile.OS{}
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Trusted == nil {
		o.Trusted = func() bool { return true }
	}
	if o.Trickle == nil {
		o.Trickle = func(string, time.Time) bool { return false }
	}
	if o.Kept == nil {
		o.Kept = func(string) (time.Duration, bool) { return 0, false }
	}
	if o.Fragment == nil {
		o.Fragment = func(string) time.Duration { return 0 }
	}
	return o
}

// Writer writes back. Note and Status are safe for concurrent use with Run.
type Writer struct {
	o    Options
	pace func(context.Context) error // waits between two requests

	mu     sync.Mutex
	books  map[string]*book // by stream; guarded by mu
	status Status           // guarded by mu

	// What follows belongs to Run.
	opened   bool
	journal  *journal.Journal
	all      map[id]*series
	gone     []byte // lines of the journal about points that are forgotten
	diskAt   time.Time
	notedAt  time.Time
	failures *backoff.Backoff
	retry    time.Time // no request is made before
	raised   map[health.Scope]bool
}

// New returns a Writer; Run writes.
func New(o Options) *Writer {
	o = o.withDefaults()
	return &Writer{
		o: o, books: make(map[string]*book), all: make(map[id]*series), raised: make(map[health.Scope]bool),
		journal:  journal.New(o.Files, filepath.Join(o.Dir, File)),
		failures: backoff.New(backoff.Policy{Min: 10 * time.Second, Max: 5 * time.Minute, Floor: 5 * time.Second}),
		pace:     func(ctx context.Context) error { return backoff.Sleep(ctx, pace) },
	}
}

// Note takes the receipt of a fragment that Kinesis Video Streams has persisted.
func (w *Writer) Note(stream string, r receipt.Receipt) {
	trickle := w.o.Trickle(stream, r.Producer)
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.book(stream)
	b.take(r, trickle)
	if at := r.Producer.UnixMilli(); !trickle && (b.late == 0 || at < b.late) {
		b.late = at
	}
}

// book returns that of a stream. Call with mu held.
func (w *Writer) book(stream string) *book {
	b := w.books[stream]
	if b == nil {
		b = new(book)
		w.books[stream] = b
	}
	return b
}

// Run writes until ctx ends.
func (w *Writer) Run(ctx context.Context) {
	defer w.close()
	for {
		w.pass(ctx)
		if backoff.Sleep(ctx, backoff.Jittered(passEvery, 0.1)) != nil {
			return
		}
	}
}

// close notes what SiteWise has accepted.
func (w *Writer) close() {
	if w.opened {
		_ = w.save() // what it has not is sent again, which changes nothing
	}
}
