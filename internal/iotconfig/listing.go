package iotconfig

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// listing is one complete answer of the control plane.
type listing struct {
	configs []ListedConfig
	began   time.Time
}

// list asks the control plane at start, when told to, and every 15 min ± 20 %, until ctx ends.
// Failures are repeated with backoff and change nothing.
func (s *Source) list(ctx context.Context) {
	retry := backoff.New(s.timing.listRetry)
	for {
		wait := jittered(s.timing.listEvery, 0.2)
		if l, err := s.listOnce(ctx); err == nil {
			retry.Reset()
			if s.o.Health.OK(health.ScopeListing) {
				s.o.Log.Info("the control plane answers again")
			}
			select {
			case s.listings <- l:
			case <-ctx.Done():
				return
			}
		} else if ctx.Err() == nil {
			wait = retry.Next()
			s.reportListing(err)
		}
		// Whoever asks for a hundred listings a second gets one.
		if backoff.Sleep(ctx, s.timing.listSpacing) != nil {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-s.listNow:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

func (s *Source) listOnce(ctx context.Context) (listing, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timing.listTimeout)
	defer cancel()
	hub, err := s.findHub(ctx)
	if err != nil {
		return listing{}, err
	}
	began := s.o.Now()
	configs, err := s.o.KVS.EdgeConfigs(ctx, hub)
	s.unlistable.Store(err != nil && health.FaultOf(err, codeList).Class == health.UserError)
	return listing{configs: configs, began: began}, err
}

// findHub asks for the hub's ARN when it is not known.
func (s *Source) findHub(ctx context.Context) (string, error) {
	if s.o.HubDeviceARN != "" {
		return s.o.HubDeviceARN, nil
	}
	if s.o.FindHubARN == nil {
		if hub := s.hubARN(); hub != "" {
			return hub, nil
		}
		return "", health.UserFault(codeList, nil, "The hub's ARN is not known yet, so its configurations cannot be listed: it is learnt with the first configuration over MQTT.")
	}
	hub, err := s.o.FindHubARN(ctx)
	if err == nil {
		_, err = edgeconfig.ParseHub(hub)
	}
	if err != nil {
		if known := s.hubARN(); known != "" {
			return known, nil
		}
		return "", err
	}
	select {
	case s.found <- hub:
		return hub, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (s *Source) reportListing(err error) {
	f := health.FaultOf(err, codeList)
	fault := f.Recode(codeList, "The hub's configurations cannot be listed; those already known stay in force. "+f.Text)
	if s.o.Health.Report(health.ScopeListing, health.Degraded, fault) {
		s.o.Log.Warn("cannot list configurations", zap.Error(fault), zap.NamedError("cause", f.Err))
	}
}

// mergeListing takes a complete listing. One with a record that nobody can tell the stream of is not complete:
// what it lacks says nothing.
func (s *Source) mergeListing(l listing) (r round) {
	listed := make(map[string]bool, len(l.configs))
	complete := true
	for _, c := range l.configs {
		listed[c.StreamName] = true
		complete = complete && isStreamName(c.StreamName)
		switch c.SyncStatus {
		case deleting, DeletingAcknowledged, DeleteFailed:
			r.remove = s.mergeDelete(c.StreamConfig, listedName(c)) || r.remove
		default:
			s.desired.relist(c.StreamName)
			r.apply = s.mergeUpdate(c.StreamConfig, listedName(c), c.SyncStatus) || r.apply
		}
	}
	r.remove = r.remove || len(s.desired.removals()) > 0
	s.unsaved = true
	s.o.Health.OK(scopeMessage)
	if !complete {
		return r
	}
	r.known = true
	missing := s.desired.absences(listed, l.began, s.o.Now())
	r.unsure = missing.unsure
	for _, name := range missing.left {
		delete(s.statuses, name)
		delete(s.failed, name)
		s.o.Health.OK(applyScope(name))
		s.acceptable(name)
		s.o.Log.Info("the control plane has no configuration of the stream for this hub; it stops, and its media stays",
			zap.String("stream", name))
	}
	r.apply = r.apply || len(missing.left) > 0
	s.endRefusals(listed, l.began)
	return r
}

// applied notifies that a configuration that is the hub's is applied.
func (s *Source) applied(ctx context.Context, known bool) {
	if known && ctx.Err() == nil {
		s.o.Applied()
	}
}

// listedName refuses records whose name could not even be a directory.
func listedName(c ListedConfig) error {
	if !isStreamName(c.StreamName) {
		return &refusal{Text: "a listed StreamName is not valid"}
	}
	return nil
}
