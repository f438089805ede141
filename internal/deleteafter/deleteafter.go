// Package deleteafter owns which uploaded segments an audit found in the cloud, so that DeleteAfterUpload may delete them. It must not
// know how an audit is done, nor delete anything.
package deleteafter

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/kvs-edge/kvs-edge-agent/internal/audit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

const (
	// every is the time between two looks for segments to be audited.
	every = 20 * time.Second
	// batch is how many segments one audit has: seldom more than the service lists at once.
	batch = 32
	// together is how many streams are audited at once.
	together = 4
	// resendFor bounds how long sending again may hold up the audits of other streams.
	resendFor = 5 * time.Minute
	// lookAgain is when a segment is audited once more that was missing in the cloud twice.
	lookAgain = time.Hour
	// retryAfter is the wait after an audit that the cloud did not answer.
	retryAfter = time.Minute
	// failingFor is how long audits may fail before that is a condition.
	failingFor = 5 * time.Minute
)

// Store is the recording directory; see segment.Store.
type Store interface {
	Streams() []string
	Walk(stream string, which segment.Kinds) iter.Seq[segment.Info]
}

// Options of Audits. All are required, but for Now.
type Options struct {
	Store Store
	// On returns whether DeleteAfterUpload waits for audits.
	On func() bool
	// Policy returns what is kept of a stream.
	Policy func(stream string) (p retention.Policy, known bool)
	// Audit compares segments with what the cloud has, and without any finds out whether an audit is possible; see audit.Auditor.
	Audit func(ctx context.Context, stream string, keys []segment.Key) (audit.Segments, error)
	// Resend sends missing fragments again, and returns when the service has acknowledged them.
	Resend func(ctx context.Context, stream string, lost []audit.Missing) error
	// Confirmed is called when more segments may be deleted.
	Confirmed func()
	Health    *health.Registry
	Log       *zap.Logger
	Now       func() time.Time // the wall clock; default time.Now
}

// Audits audits what DeleteAfterUpload is to delete. What was confirmed is kept in memory: after a restart it is audited again.
type Audits struct {
	o Options

	rounds  sync.Mutex // one at a time
	mu      sync.Mutex
	streams map[string]*stream // guarded by mu; what it points to is guarded by rounds, but for segments
}

// stream is one that has DeleteAfterUpload.
type stream struct {
	segments map[segment.Key]progress // guarded by Audits.mu
	tryAt    time.Time                // when it is found out again whether an audit is possible; zero while it is
	failing  time.Time                // since when audits fail; zero while they do not
}

// progress is how far a segment has come.
type progress struct {
	confirmed bool
	resent    bool      // what was missing was sent again
	stays     stays     // why it stays on the hub
	next      time.Time // when it is audited
}

// stays says why a segment stays on the hub until its age or size.
type stays uint8

const (
	itMayGo stays = iota
	lost          // it was missing in the cloud again after it was sent again
	damaged       // it cannot be read
)

// New returns Audits.
func New(o Options) *Audits {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Audits{o: o, streams: make(map[string]*stream)}
}

// May reports whether an uploaded segment may be deleted for its upload.
func (a *Audits) May(k segment.Key) bool {
	if !a.o.On() {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.streams[k.Stream]
	return s != nil && s.segments[k].confirmed
}

// Run audits in the background until ctx ends. It returns nil.
func (a *Audits) Run(ctx context.Context) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		a.Round(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Round audits what is due now, as Run does repeatedly.
func (a *Audits) Round(ctx context.Context) {
	a.rounds.Lock()
	defer a.rounds.Unlock()
	wanted := make(map[string]*stream)
	if a.o.On() {
		for _, name := range a.o.Store.Streams() {
			if policy, _ := a.o.Policy(name); policy.DeleteAfterUpload {
				wanted[name] = a.streams[name]
			}
		}
	}
	a.mu.Lock()
	for name := range a.streams {
		if _, ok := wanted[name]; !ok {
			delete(a.streams, name)
			a.end(name)
		}
	}
	for name, s := range wanted {
		if s == nil {
			s = &stream{segments: make(map[segment.Key]progress)}
			wanted[name], a.streams[name] = s, s
		}
	}
	a.mu.Unlock()
	var group errgroup.Group
	group.SetLimit(together)
	for name, s := range wanted {
		group.Go(func() error {
			a.stream(ctx, name, s)
			return nil
		})
	}
	_ = group.Wait() // none fails
}

// stream audits the segments of a stream that are due.
func (a *Audits) stream(ctx context.Context, name string, s *stream) {
	now := a.o.Now()
	due := a.due(name, s, now)
	if len(due) == 0 && (s.tryAt.IsZero() || !reached(s.tryAt, now)) {
		a.reportStaying(name, s)
		return
	}
	found, err := a.o.Audit(ctx, name, due)
	switch why := new(health.Fault); {
	case ctx.Err() != nil:
		return
	case errors.As(err, &why) && impossible(why.Code):
		s.tryAt, s.failing = now.Add(audit.PendingFor), time.Time{}
		a.report(name, scopeImpossible, withoutAudit(name, why))
		for _, k := range due {
			a.set(s, k, progress{confirmed: true})
		}
	case err != nil:
		a.fail(name, s, now, err)
		for _, k := range due {
			a.postpone(s, k, s.tryAt)
		}
	default:
		s.failing = time.Time{}
		a.judge(ctx, name, s, due, found)
	}
	a.reportStaying(name, s)
	if len(due) > 0 {
		a.o.Confirmed()
	}
}

// fail notes that an audit failed for a reason that may end by itself. What lasts is a condition.
func (a *Audits) fail(name string, s *stream, now time.Time, err error) {
	s.tryAt = now.Add(retryAfter)
	if s.failing.IsZero() || s.failing.After(now) {
		s.failing = now
	}
	if now.Sub(s.failing) >= failingFor {
		a.report(name, scopeImpossible, waiting(name, err))
	}
}

// reached reports whether a time to do something has come. What lies further ahead than anything is put off was decided by a clock that
// was ahead.
func reached(at, now time.Time) bool { return !now.Before(at) || at.After(now.Add(lookAgain)) }

// due returns the oldest segments that are to be audited now, and forgets those that are gone.
func (a *Audits) due(name string, s *stream, now time.Time) (list []segment.Key) {
	walked := slices.Collect(a.o.Store.Walk(name, segment.UploadedWhole|segment.Deletable)) // before mu: who deletes asks while walking
	a.mu.Lock()
	defer a.mu.Unlock()
	there := make(map[segment.Key]progress, len(walked))
	for _, info := range walked {
		p, known := s.segments[info.Key]
		if age := now.Sub(info.End); !known && age < 0 {
			p.next = now.Add(audit.PendingFor) // of a clock that was wrong
		} else if !known && age < audit.PendingFor {
			p.next = info.End.Add(audit.PendingFor)
		}
		there[info.Key] = p
		if !p.confirmed && reached(p.next, now) && len(list) < batch {
			list = append(list, info.Key)
		}
	}
	s.segments = there
	return list
}

// judge takes over the results of an audit.
func (a *Audits) judge(ctx context.Context, name string, s *stream, due []segment.Key, found audit.Segments) {
	again := a.o.Now().Add(audit.PendingFor)
	expired := false
	resend := make(map[segment.Key]bool)
	for _, k := range due {
		c, ok := found.Of[k]
		if !ok {
			continue // deleted meanwhile
		}
		p := a.progress(s, k)
		switch {
		case c.Unreadable > 0:
			p.stays, p.next = damaged, a.o.Now().Add(lookAgain)
		case c.Missing > 0 && p.resent:
			p.stays, p.next = lost, a.o.Now().Add(lookAgain)
		case c.Missing > 0:
			resend[k] = true
			p.next = again
		case c.Pending > 0, c.NotUploaded > 0, c.Refused > 0:
			p.next = again
		default:
			p.confirmed, p.stays = true, itMayGo
			expired = expired || c.Expired > 0
		}
		a.set(s, k, p)
	}
	if expired {
		s.tryAt = again
		a.report(name, scopeImpossible, afterExpiry(name))
	} else {
		s.tryAt = time.Time{}
		a.o.Health.Component(name, health.JobRetention).OK(scopeImpossible)
	}
	if len(resend) > 0 {
		a.resend(ctx, name, s, resend, found.Lost)
	}
}

// resend has what is missing of segments sent again.
func (a *Audits) resend(ctx context.Context, name string, s *stream, of map[segment.Key]bool, lost []audit.Missing) {
	var list []audit.Missing
	var bytes int64
	for _, m := range lost {
		if of[m.ID.Segment] {
			list, bytes = append(list, m), bytes+m.Bytes
		}
	}
	logMissing(a.o.Log, name, len(list), bytes)
	within, cancel := context.WithTimeout(ctx, resendFor)
	defer cancel()
	if err := a.o.Resend(within, name, list); err != nil {
		a.o.Log.Debug("missing fragments not sent again", zap.String("stream", name), zap.Error(err))
		return // the next audit finds them again
	}
	for k := range of {
		p := a.progress(s, k)
		p.resent, p.next = true, a.o.Now().Add(audit.PendingFor)
		a.set(s, k, p)
	}
}

func (a *Audits) progress(s *stream, k segment.Key) progress {
	a.mu.Lock()
	defer a.mu.Unlock()
	return s.segments[k]
}

func (a *Audits) set(s *stream, k segment.Key, p progress) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.segments[k] = p
}

func (a *Audits) postpone(s *stream, k segment.Key, to time.Time) {
	p := a.progress(s, k)
	p.next = to
	a.set(s, k, p)
}
