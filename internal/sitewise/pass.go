package sitewise

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// take takes the result of a reading over.
func (s *Source) take(r result) {
	if r.err != nil {
		s.reportRead(r.err)
		return
	}
	s.reportRead(nil)
	s.known = true
	changed := false
	there := make(map[string]bool, len(r.hub.Cameras))
	topics := make(map[string]string)
	for i := range r.hub.Cameras {
		one := &r.hub.Cameras[i]
		there[one.ID] = true
		if one.Topic != "" {
			topics[one.ID] = one.Topic
		}
		changed = s.see(one) || changed
	}
	for id, c := range s.cameras {
		if !there[id] {
			s.forget(id, c)
			changed = true
		}
	}
	s.settleOwners()
	s.reportCameras()
	now, _ := s.o.Clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !maps.Equal(s.topics, topics) {
		s.topics = topics
		s.changes.Notify()
	}
	s.shown.HubName, s.shown.Cameras, s.shown.Read = r.hub.Name, len(r.hub.Cameras), now
	if changed || s.shown.Changed.IsZero() {
		s.shown.Changed = now
	}
}

// see judges what was read of a camera, and reports whether that is new.
func (s *Source) see(r *Read) (changed bool) {
	c := s.cameras[r.ID]
	if c == nil {
		c = new(camera)
		s.cameras[r.ID] = c
		changed = true
	}
	c.problem = ""
	if r.Err != nil {
		c.problem = WhyOf(r.Err).Text
		return changed
	}
	wanted, wrong := Parse(r.Asset)
	c.wrong, c.missing, c.named = wrong, r.Missing, wanted.Stream
	if len(wrong) > 0 {
		if c.good.ID == "" {
			c.good.Name = r.Name // for sentences
		}
		return changed
	}
	if !sameAsset(c.good, r.Asset) || !c.changed.Equal(r.Changed) {
		if !sameAsset(c.good, r.Asset) {
			logevent.SiteWiseCameraRead.Log(s.o.Log, zap.String("asset", r.ID), zap.String("name", health.Clean(r.Name, maxShown)),
				zap.String("stream", wanted.Stream))
		}
		changed, s.unsaved = true, true
	}
	c.good, c.changed, c.wanted = r.Asset, r.Changed, wanted
	return changed
}

func sameAsset(a, b Asset) bool {
	return a.ID == b.ID && a.Name == b.Name && maps.Equal(a.Properties, b.Properties) && maps.Equal(a.Values, b.Values)
}

// forget ends what is known of a camera that is no longer below the hub.
func (s *Source) forget(id string, c *camera) {
	delete(s.cameras, id)
	s.o.Health.OK(cameraScope(id), noteScope(id))
	s.unsaved = true
	logevent.SiteWiseCameraGone.Log(s.o.Log, zap.String("asset", id), zap.String("name", health.Clean(c.good.Name, maxShown)),
		zap.String("stream", c.wanted.Stream))
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, id)
}

// sorted lists the assets that are known, by name.
func (s *Source) sorted() []string {
	return slices.SortedFunc(maps.Keys(s.cameras), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.cameras[a].good.Name, s.cameras[b].good.Name), cmp.Compare(a, b))
	})
}

// settleOwners determines which asset each stream comes from: the same as before, as long as that wants it, else the first by name.
func (s *Source) settleOwners() {
	before := maps.Clone(s.owners)
	maps.DeleteFunc(s.owners, func(stream, id string) bool {
		c := s.cameras[id]
		return c == nil || c.good.ID == "" || c.wanted.Stream != stream
	})
	for _, id := range s.sorted() {
		c := s.cameras[id]
		c.twin = ""
		if c.good.ID == "" {
			continue
		}
		owner, taken := s.owners[c.wanted.Stream]
		switch {
		case !taken:
			s.owners[c.wanted.Stream] = id
		case owner != id:
			c.twin = s.cameras[owner].good.Name
		}
	}
	s.unsaved = s.unsaved || !maps.Equal(before, s.owners)
}

// wanted are the streams that the assets configure, as they are wanted now.
func (s *Source) wanted() desired.Set {
	set := make(desired.Set, len(s.owners))
	for stream, id := range s.owners {
		set[stream] = s.cameras[id].stream()
	}
	return set
}

// onRequest is the tag's value for streams of which only what is asked for is uploaded.
const onRequest = "on-request"

// stream is what a camera wants now.
func (c *camera) stream() desired.Stream {
	s := StreamOf(c.good, c.wanted, c.changed)
	if c.window.always {
		s.Record = desired.Always()
	}
	s.Upload.LiveSince = c.window.since
	return s
}

// StreamOf is what the values of an asset want outside of live windows.
func StreamOf(a Asset, w Wanted, changed time.Time) desired.Stream {
	return desired.Stream{
		Name: w.Stream, Media: desired.Media{SecretARN: w.Secret}, Record: w.Capture,
		Upload: desired.Upload{
			Schedule: desired.Never(), Tags: desired.Tags{Upload: onRequest, Camera: health.Clean(a.Name, maxShown)},
		},
		Keep:    desired.Keep{MaxAge: time.Duration(w.Minutes) * time.Minute, Local: true},
		Version: desired.VersionOf(changed), Origin: desired.SiteWise,
	}
}

// apply passes the streams to the Applier, if they changed. Then it says what is known.
func (s *Source) apply(ctx context.Context) {
	wanted := s.wanted()
	if s.applied == nil || !maps.Equal(s.applied, wanted) {
		s.publish(wanted) // first: a job that starts may be asked for its camera
		outcomes := s.o.Applier.Apply(ctx, wanted)
		if ctx.Err() != nil {
			return
		}
		s.applied = wanted
		s.note(outcomes)
	}
	all, unclear := s.knowledge()
	s.o.Applied(all, unclear)
}

// knowledge returns whether all streams that the assets configure are known, but for those in unclear.
func (s *Source) knowledge() (all bool, unclear []string) {
	all = s.known
	for _, c := range s.cameras {
		switch {
		case c.good.ID != "":
		case c.named != "" && s.owners[c.named] == "":
			unclear = append(unclear, c.named)
		case c.named == "":
			all = false
		}
	}
	slices.Sort(unclear)
	return all, slices.Compact(unclear)
}

// publish makes the cameras available to others.
func (s *Source) publish(wanted desired.Set) {
	list := make(Cameras, 0, len(wanted))
	for _, stream := range wanted.Names() {
		c := s.cameras[s.owners[stream]]
		list = append(list, Camera{Asset: c.good.ID, Name: c.good.Name, Stream: stream, RetentionMinutes: c.wanted.Minutes,
			Properties: c.good.Properties})
	}
	s.mu.Lock()
	same := slices.EqualFunc(s.active, list, func(a, b Camera) bool {
		return a.Asset == b.Asset && a.Name == b.Name && a.Stream == b.Stream && a.RetentionMinutes == b.RetentionMinutes &&
			maps.Equal(a.Properties, b.Properties)
	})
	s.active = list
	s.mu.Unlock()
	if !same {
		s.changes.Notify()
	}
}

// The statuses. Source: KVS API, SyncStatus.
const (
	inSync     = "IN_SYNC"
	syncFailed = "SYNC_FAILED"
)

// note keeps the outcomes for Sync.
func (s *Source) note(outcomes []desired.Outcome) {
	statuses := make(map[string]edgeconfig.SyncStatus, len(outcomes))
	for _, o := range outcomes {
		status := edgeconfig.SyncStatus{StreamName: o.Stream, Status: inSync, LastUpdated: s.applied[o.Stream].Version.Time()}
		if o.Err != nil {
			status.Status, status.FailedStatusDetails = syncFailed, health.FaultOf(o.Err, codeCamera).Text
		}
		statuses[o.Stream] = status
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statuses = statuses
}
