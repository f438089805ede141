package kvsconfig

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// listing is one complete answer of the control plane.
type listing struct {
	configs []ListedConfig
	began   time.Time
}

// lister asks the control plane what the hub is to do.
type lister struct {
	o       Options
	hub     *hub
	wanted  signal.Signal // asks for a listing
	results chan listing
	found   chan string // the hub's ARN, when it was found
	// denied says that the control plane refused the last listing, until somebody changes that: then messages are
	// all that comes from the cloud.
	denied atomic.Bool
	// needless reports whether the hub does without what would be listed.
	needless func() bool
}

func newLister(o Options, hub *hub) *lister {
	return &lister{o: o, hub: hub, wanted: signal.New(), results: make(chan listing), found: make(chan string)}
}

// run asks the control plane at start, when it is wanted, and every 15 min ± 20 %, until ctx ends.
// Failures are repeated with backoff and change nothing.
func (l *lister) run(ctx context.Context) {
	every := l.o.Timing.ListEvery
	if l.o.ListOnly {
		every = l.o.Timing.ListOnlyEvery
	}
	retry := backoff.New(l.o.Timing.ListRetry)
	for {
		wait := backoff.Jittered(every, 0.2)
		if answer, err := l.once(ctx); err == nil {
			retry.Reset()
			if l.o.Health.OK(health.ScopeListing) {
				logevent.ControlPlaneRecovered.Log(l.o.Log)
			}
			select {
			case l.results <- answer:
			case <-ctx.Done():
				return
			}
		} else if ctx.Err() == nil {
			wait = retry.Next()
			l.report(err)
		}
		// However often the cloud asks for one, listings are at least ListSpacing apart.
		if backoff.Sleep(ctx, l.o.Timing.ListSpacing) != nil {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-l.wanted.C():
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

func (l *lister) once(ctx context.Context) (listing, error) {
	ctx, cancel := context.WithTimeout(ctx, l.o.Timing.ListTimeout)
	defer cancel()
	hub, err := l.findHub(ctx)
	if err != nil {
		return listing{}, err
	}
	began := l.o.Now()
	configs, err := l.o.KVS.EdgeConfigs(ctx, hub)
	l.denied.Store(err != nil && health.FaultOf(err, codeList).Class == health.UserError)
	return listing{configs: configs, began: began}, err
}

// findHub asks for the hub's ARN when it is not known.
func (l *lister) findHub(ctx context.Context) (string, error) {
	if l.o.HubDeviceARN != "" {
		return l.o.HubDeviceARN, nil
	}
	if l.o.FindHubARN == nil {
		if hub := l.hub.get(); hub != "" {
			return hub, nil
		}
		return "", health.UserFault(codeList, nil, "The hub's ARN is not known yet, so its configurations cannot be listed: it is taken from "+
			"the first configuration over MQTT.")
	}
	hub, err := l.o.FindHubARN(ctx)
	if err == nil {
		_, err = edgeconfig.ParseHub(hub)
	}
	if err != nil {
		if known := l.hub.get(); known != "" {
			return known, nil
		}
		return "", err
	}
	select {
	case l.found <- hub:
		return hub, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (l *lister) report(err error) {
	f := health.FaultOf(err, codeList)
	severity, text := health.Degraded, "The hub's configurations cannot be listed; those already known stay in force. "
	if l.needless() {
		severity, text = health.Info, "The cloud's configurations of the hub cannot be listed; it follows its other sources alone. "
	}
	fault := f.Recode(codeList, text+f.Text)
	if l.o.Health.Report(health.ScopeListing, severity, fault) {
		logevent.Condition(l.o.Log, fault)
	}
}
