package request

import (
	"context"
	"time"

	"go.uber.org/zap"

	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise"
)

const (
	// overlap is how far before the newest value that was followed others are looked for: the clocks of those who ask differ.
	overlap = 10 * time.Minute
	// aheadOfClock is how far in the future a value may be. Source: SiteWise API, TimestampOutOfRangeException.
	aheadOfClock = 10 * time.Minute
	// mostRead bounds the values that one reading follows.
	mostRead = 200
	// deniedFor is how long the history is not read after that was denied: then the right may have been granted.
	deniedFor = 10 * time.Minute
	// pollTimeout bounds one reading.
	pollTimeout = time.Minute
)

// poll reads the property of all cameras, and the values between of those that changed.
func (r *Requests) poll(ctx context.Context) {
	reading, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	var refs []cloud.Ref
	cameras := make(map[cloud.Ref]sitewise.Camera)
	for _, c := range r.o.Cameras() {
		if id := c.Properties[sitewise.UploadRequest]; id != "" {
			ref := cloud.Ref{Asset: c.Asset, Property: id}
			refs = append(refs, ref)
			cameras[ref] = c
		}
	}
	if len(refs) == 0 {
		return
	}
	values, err := r.o.Cloud.Values(reading, refs)
	if err != nil {
		r.o.Log.Debug("requests over SiteWise not read", zap.Error(err)) // the source reports what keeps it from being read
		return
	}
	for _, ref := range refs {
		if values[ref] == r.latest[ref] && r.memory.knows(ref.Asset) {
			continue
		}
		list, ok := r.between(reading, ref, values[ref])
		if !ok {
			continue
		}
		r.latest[ref] = values[ref]
		r.memory.meet(ref.Asset, r.o.Now())
		for _, v := range list {
			if v.Kind == cloud.Text && ctx.Err() == nil {
				r.take(ctx, cameras[ref], arrival{Asset: ref.Asset, Time: v.Time, Text: v.Text})
			}
		}
	}
}

// between lists the values of a property that may be new. It reports false when they could not be read.
func (r *Requests) between(ctx context.Context, ref cloud.Ref, latest cloud.Value) (list []cloud.Value, ok bool) {
	now := r.o.Now()
	if now.Before(r.simple) && r.simple.Before(now.Add(2*deniedFor)) || latest.Time.IsZero() {
		return []cloud.Value{latest}, true
	}
	list, err := r.o.Cloud.History(ctx, ref, r.memory.since(ref.Asset, now).Add(-overlap), now.Add(aheadOfClock), mostRead)
	switch {
	case err == nil:
		return list, true
	case cloud.IsDenied(err):
		r.simple = now.Add(deniedFor) // of several requests within one interval only the last is seen
		return []cloud.Value{latest}, true
	default:
		r.o.Log.Debug("requests over SiteWise not read", zap.Error(err))
		return nil, false
	}
}
