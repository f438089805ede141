package agent

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

const (
	// tagEvery is how often tags are asked for, up to tagJitter less often; and how long they are not
	// asked for after the service has denied it. An account has 50 calls/s for all of its hubs.
	// Source: KVS Developer Guide, quotas, ListTagsForStream.
	tagEvery  = time.Hour
	tagJitter = 0.2
	// tagSpacing is the least time between two calls, however often a stream is changed.
	tagSpacing = 10 * time.Second
	// tagRetry bounds the waits after calls that failed.
	tagRetry = 5 * time.Minute
	// tagFirst is how long an upload waits for the tags of a stream whose tags were never read: they may say that it is
	// uploaded on request only.
	tagFirst = 10 * time.Second
)

// tagSource asks for a stream's tags; see kvs.Client.
type tagSource interface {
	Tags(ctx context.Context, stream string) (map[string]string, error)
}

// modeOf is the mode by a stream's tags.
func modeOf(tags desired.Tags, otherwise settings.UploadMode) settings.UploadMode {
	if mode, ok := settings.ParseUploadMode(tags.Upload); ok {
		return mode
	}
	return otherwise
}

// uploadOf returns the tags that apply to a stream's upload, as far as they are known, and its mode, which is empty where nothing
// is uploaded.
func (a *Agent) uploadOf(stream string, upload desired.Upload) (tags desired.Tags, mode settings.UploadMode) {
	if tags = upload.Tags; upload.FromTags {
		tags, _ = a.tags.Of(stream)
	}
	if a.settings().NoCloud {
		return tags, ""
	}
	common, _ := a.uploadMode.get()
	return tags, modeOf(tags, common)
}

// isUploaded reports whether a stream's media is uploaded by this hub, as far as it is known what the hub is to do.
func (a *Agent) isUploaded(stream string) bool {
	switch {
	case a.settings().NoCloud:
		return false
	case a.streams != nil && a.streams.get(stream) != nil:
		return true
	}
	return a.config == nil || a.config.sources.Unknown(stream) != ""
}

// keepOf is what is kept of a stream: what is uploaded on request only is not lost when it is deleted.
func (a *Agent) keepOf(s desired.Stream) retention.Policy {
	keep := retention.Policy(s.Keep)
	if _, mode := a.uploadOf(s.Name, s.Upload); mode == settings.UploadOnRequest {
		keep.Local = true
	}
	return keep
}

// hubMode is the hub's upload mode, which may be changed while streams follow it. Safe for
// concurrent use.
type hubMode struct {
	mu      sync.Mutex
	mode    settings.UploadMode // guarded by mu
	changed chan struct{}       // closed when mode is no longer that; guarded by mu
}

func newHubMode(mode settings.UploadMode) *hubMode {
	return &hubMode{mode: mode, changed: make(chan struct{})}
}

// get returns the mode, and a channel that is closed at its next change.
func (u *hubMode) get() (mode settings.UploadMode, changed <-chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.mode, u.changed
}

func (u *hubMode) set(mode settings.UploadMode) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.mode != mode {
		u.mode = mode
		close(u.changed)
		u.changed = make(chan struct{})
	}
}

// uploadModes runs a stream's upload in the mode that its tag or the hub's setting says, and
// changes between them while it runs.
type uploadModes struct {
	stream    string
	common    *hubMode
	initial   desired.Tags // until the stream's are read
	known     bool         // initial are the stream's, as they were read last
	tags      tagSource    // nil: the initial ones stay
	pace      tagPace
	nudged    <-chan nudge // receives when the stream may have been changed; nil = never
	component *health.Component
	log       *zap.Logger
	// tagged is called with the stream's tags whenever they are read; nil for none.
	tagged func(desired.Tags)
	run    map[settings.UploadMode]func(context.Context) error
}

// tagPace is how often tags are asked for.
type tagPace struct{ every, spacing, retry, first time.Duration }

func defaultTagPace() tagPace {
	return tagPace{every: tagEvery, spacing: tagSpacing, retry: tagRetry, first: tagFirst}
}

func (m *uploadModes) Run(ctx context.Context) error {
	changes := make(chan settings.UploadMode)
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		_ = supervise.Keep(watching, supervise.Options{What: "Following the tags of stream " + m.stream, Component: m.component, Log: m.log},
			func(ctx context.Context) error {
				m.watch(ctx, changes)
				return nil
			})
	}()
	defer func() { stop(); <-watched }()
	common, _ := m.common.get()
	mode := modeOf(m.initial, common) // what the stream's tag says now comes later
	if m.asksFirst() {
		first := time.NewTimer(m.pace.first)
		defer first.Stop()
		select {
		case mode = <-changes:
		case <-first.C:
		case <-ctx.Done():
			return nil
		}
	}
	for {
		next, err := m.until(ctx, mode, changes)
		if next == "" || ctx.Err() != nil {
			return err
		}
		logevent.UploadModeChanged.Log(m.log, zap.String("mode", string(next)))
		mode = next
	}
}

// asksFirst reports whether the stream's tags have to be asked for before anything is uploaded.
func (m *uploadModes) asksFirst() bool { return m.tags != nil && !m.known }

// until runs one mode until another is wanted, which it returns, or until it ends by itself.
func (m *uploadModes) until(ctx context.Context, mode settings.UploadMode, wanted <-chan settings.UploadMode) (settings.UploadMode, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- supervise.Do("The uploader of stream "+m.stream, func() error { return m.run[mode](ctx) })
	}()
	for {
		select {
		case err := <-ended:
			return "", err
		case next := <-wanted:
			if next != mode {
				cancel()
				return next, <-ended
			}
		}
	}
}

// watch asks for the tags now and then, and follows the hub's setting. While the tags are not known
// those of before count.
func (m *uploadModes) watch(ctx context.Context, changes chan<- settings.UploadMode) {
	wait := backoff.New(backoff.Policy{Min: time.Second, Max: m.pace.retry})
	var (
		tags   = m.initial
		nudged = m.nudged
		asked  time.Time
		denied bool
	)
	ask := time.NewTimer(0)
	defer ask.Stop()
	if m.tags == nil {
		ask.Stop()
		nudged = nil
	}
	unasked := m.asksFirst()
	for {
		common, changed := m.common.get()
		if !unasked {
			select {
			case changes <- modeOf(tags, common):
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case why := <-nudged:
			if !denied || why == nudgeRights {
				ask.Reset(max(0, m.pace.spacing-time.Since(asked)))
			}
		case <-ask.C:
			found, err := m.tags.Tags(ctx, m.stream)
			asked, unasked = time.Now(), false
			denied = kvs.IsDenied(err)
			m.reportTags(err, denied)
			if err != nil && !denied {
				ask.Reset(wait.Next())
				continue
			}
			wait.Reset()
			ask.Reset(m.pace.every + time.Duration(rand.Float64()*tagJitter*float64(m.pace.every)))
			if err != nil {
				continue
			}
			tags = desired.TagsOf(found)
			if m.tagged != nil {
				m.tagged(tags)
			}
		}
	}
}

// codeTags says that the hub may not read a stream's tags.
const codeTags = "stream-tags"

const scopeStreamTags health.Scope = "stream-tags"

// reportTags shows that the right to read the tags is missing: everything else works without it.
func (m *uploadModes) reportTags(err error, denied bool) {
	switch {
	case err == nil:
		if m.component.OK(scopeStreamTags) {
			logevent.StreamTagsReadable.Log(m.log)
		}
	case !denied:
		m.log.Debug("tags of the stream unknown", zap.Error(err))
	default:
		fault := health.UserFault(codeTags, err, "The hub's role may not read the tags of stream %s, so its upload mode stays as it is: "+
			"allow kinesisvideo:ListTagsForStream.", m.stream)
		if m.component.Report(scopeStreamTags, health.Info, fault) {
			logevent.Condition(m.log, fault)
		}
	}
}

// nudges let jobs know that their stream may have been changed in the cloud. Safe for concurrent use.
type nudges struct {
	mu      sync.Mutex
	streams map[string]chan nudge // guarded by mu
}

// nudge is a reason to ask the cloud again.
type nudge uint8

const (
	nudgeChanged nudge = iota + 1 // something about the stream was changed
	nudgeRights                   // rights may have been granted: ask even what was denied
)

// of is where the nudges of a stream arrive; of several that nobody took yet the first.
func (n *nudges) of(stream string) chan nudge {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.streams == nil {
		n.streams = make(map[string]chan nudge)
	}
	if n.streams[stream] == nil {
		n.streams[stream] = make(chan nudge, 1)
	}
	return n.streams[stream]
}

// nudge notifies a stream's job.
func (n *nudges) nudge(stream string, why nudge) {
	select {
	case n.of(stream) <- why:
	default:
	}
}

// nudgeAll notifies every stream that ever had a job.
func (n *nudges) nudgeAll(why nudge) {
	n.mu.Lock()
	streams := make([]string, 0, len(n.streams))
	for stream := range n.streams {
		streams = append(streams, stream)
	}
	n.mu.Unlock()
	for _, stream := range streams {
		n.nudge(stream, why)
	}
}
