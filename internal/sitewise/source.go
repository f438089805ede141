// Package sitewise owns the streams that assets of AWS IoT SiteWise configure, as the Greengrass component
// aws.iot.EdgeConnectorForKVS has them: the hub's asset, the camera assets below it, and their properties. It must not know what
// recording or uploading is. docs/sitewise.md says what users see.
//
// Each pass reads the assets (read.go), parses their values (property.go, schedule.go), decides which camera a stream comes
// from (pass.go), and keeps the last good values for the next start (lastgood.go). Every second the windows are compared with
// the clock (windows.go), as a camera records and is uploaded live in windows and on request.
package sitewise

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// Setting is the variable that names the hub's asset.
const Setting = "AWS_KVS_EDGE_SITEWISE_HUB_ASSET"

const (
	// DefaultEvery is how often the assets are read, up to readJitter less often.
	DefaultEvery = time.Minute
	readJitter   = 0.05
	// readTimeout bounds one reading of all assets.
	readTimeout = 5 * time.Minute
	// readRetry is how soon a failed reading is tried again at first.
	readRetry = 5 * time.Second
	// lookEvery is how often windows are compared with the clock.
	lookEvery = time.Second
)

// Applier makes streams run.
type Applier interface {
	// Apply receives all streams of the source. It runs them, stops those of earlier calls that are not among them, and
	// returns an outcome for each.
	Apply(ctx context.Context, wanted desired.Set) []desired.Outcome
}

// Options of a Source. All are required, but Every and OutcomeChanged.
type Options struct {
	Hub     string // the id of the hub's asset
	Cloud   Cloud
	State   statefile.Dir // keeps the last good values
	Applier Applier
	// OutcomeChanged receives when Applier would return other outcomes for the same streams than last time. Default: never.
	OutcomeChanged <-chan struct{}
	// Applied is called after each Apply, and after each reading. all says that every stream that the assets configure is known,
	// but for those in unclear, whose values are wrong and never were right. It must not block.
	Applied func(all bool, unclear []string)
	// Clock is the time, and the time zone of schedules.
	Clock  func() (time.Time, *time.Location)
	Every  time.Duration // default DefaultEvery
	Log    *zap.Logger
	Health *health.Component
}

// Source are the camera assets of a hub.
type Source struct {
	o       Options
	again   signal.Signal // the assets are to be read at once
	looking signal.Signal // a live request came, or ended
	changes signal.Watchers

	// For Run.
	cameras map[string]*camera // by the id of their asset
	owners  map[string]string  // the asset that decides about a stream, by the stream's name
	applied desired.Set        // nil: none was applied yet
	known   bool               // which cameras there are
	unsaved bool               // the state lacks a change
	kept    bool               // the state file was read or written
	failing bool               // the last reading failed

	mu       sync.Mutex
	active   Cameras                          // guarded by mu, as all below
	statuses map[string]edgeconfig.SyncStatus // by stream
	live     map[string]liveRequest           // by the id of the asset
	shown    State
	topics   map[string]string // of requests, by the id of the asset
}

// camera is what is known of a camera asset.
type camera struct {
	good    Asset     // with values that are right; without an ID there were none
	changed time.Time // of good
	wanted  Wanted    // what good wants
	wrong   []Wrong   // with the present values
	named   string    // the stream in the present values, if they are wrong
	problem string    // why it could not be read, as a sentence; empty: it could
	twin    string    // the name of the asset that has its stream; empty: this one has it
	missing []string  // properties that its model lacks
	window  window
}

// State is what is shown of the source.
type State struct {
	Hub, HubName string
	Cameras      int
	Read         time.Time // when all assets were read last; zero: never since the start
	Changed      time.Time // when the last reading with another content was
}

// New returns a Source that knows what earlier runs have read.
func New(o Options) *Source {
	if o.Every == 0 {
		o.Every = DefaultEvery
	}
	s := &Source{
		o: o, again: signal.New(), looking: signal.New(), cameras: make(map[string]*camera), owners: make(map[string]string),
		live: make(map[string]liveRequest), shown: State{Hub: o.Hub},
	}
	s.restore()
	return s
}

// Restored returns the streams that the last good values configure. Call it before Run.
func (s *Source) Restored() desired.Set { return s.wanted() }

// Cameras are those in force. It is safe for concurrent use; the result is not changed.
func (s *Source) Cameras() Cameras {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active
}

// Changed receives whenever Cameras may be others. stop ends that.
func (s *Source) Changed() (changes <-chan struct{}, stop func()) { return s.changes.Watch() }

// State is what is shown of the source. It is safe for concurrent use.
func (s *Source) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown
}

// Topics are where requests are published, by the id of the camera's asset. It is safe for concurrent use.
func (s *Source) Topics() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.topics
}

// ReadNow has the assets read at once.
func (s *Source) ReadNow() { s.again.Set() }

// Sync returns how the values that configure a stream fare. It is safe for concurrent use.
func (s *Source) Sync(stream string) edgeconfig.SyncStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.statuses[stream]
}

// Deletion says why the media of a stream that an asset configures cannot be deleted, and what to do first.
func (s *Source) Deletion(stream string) string {
	c, _ := s.Cameras().Of(stream)
	return fmt.Sprintf("Stream %s is configured for this hub by the asset %s (%s) of AWS IoT SiteWise: disassociate it from the hub's asset "+
		"first, and two minutes later the stream's recordings can be deleted.", stream, health.Clean(c.Name, maxShown), c.Asset)
}

// Start makes run what earlier runs have read. Call it once, before Run.
func (s *Source) Start(ctx context.Context) {
	s.compare()
	s.apply(ctx)
}

// result is what a reading returned.
type result struct {
	hub HubRead
	err error
}

// Run reads the assets repeatedly and follows the windows, until ctx ends.
func (s *Source) Run(ctx context.Context) {
	reading := make(chan result, 1)
	var group sync.WaitGroup
	defer group.Wait()
	wait := backoff.New(backoff.Policy{Min: readRetry, Max: s.o.Every})
	looking := time.NewTicker(lookEvery)
	defer looking.Stop()
	next := time.NewTimer(0)
	defer next.Stop()
	due, busy := false, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.o.OutcomeChanged:
			s.applied = nil
		case <-looking.C:
		case <-s.looking.C():
		case <-s.again.C():
			due = true
		case <-next.C:
			due = true
		case r := <-reading:
			busy = false
			if ctx.Err() != nil {
				return
			}
			s.take(r)
			if r.err != nil {
				next.Reset(wait.Next())
			} else {
				wait.Reset()
				next.Reset(time.Duration((1 + readJitter*rand.Float64()) * float64(s.o.Every)))
			}
		}
		if due && !busy {
			due, busy = false, true
			group.Go(func() { reading <- s.read(ctx) })
		}
		s.compare()
		s.apply(ctx)
		s.save()
	}
}

// read reads all assets.
func (s *Source) read(ctx context.Context) (r result) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := supervise.Do("Reading the assets of SiteWise", func() error {
		r.hub, r.err = ReadHub(ctx, s.o.Cloud, s.o.Hub)
		return nil
	}); err != nil {
		r.err = err
	}
	return r
}
