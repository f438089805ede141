package kvsconfig

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

// Options of a Syncer.
type Options struct {
	// ThingName of the hub in AWS IoT. Required.
	ThingName string
	// HubDeviceARN of this hub. When empty it is requested from FindHubARN, or taken from the first
	// configuration for a thing of ThingName.
	HubDeviceARN string
	// FindHubARN finds HubDeviceARN when that is empty. It may fail while there is no network and
	// is then asked again before the next listing. Default none.
	FindHubARN func(ctx context.Context) (string, error)
	// ListOnly says that no messages come, so that listings come sooner one after the other.
	ListOnly bool
	// KVS lists the hub's configurations. Required.
	KVS ControlPlane
	// Dir keeps the last good set. Required.
	Dir statefile.Dir
	// Applier makes configurations run. Required.
	Applier Applier
	// OutcomeChanged receives when Applier has other outcomes than before for the same set, as another source began or
	// ceased to overrule it. Default never.
	OutcomeChanged <-chan struct{}
	// Applied is called when what is known was applied. all says that this is the hub's configuration: the last good one of
	// the disk, a complete listing of the cloud, or, where the hub may not list, what came by messages or from other
	// sources. unclear are streams of the hub with a configuration that cannot be followed, and none from before. It must
	// not wait. Default none.
	Applied func(all bool, unclear []string)
	// Others reports whether other sources want streams of this hub. Then it can work without the cloud's configurations:
	// as long as it has none of them, a failure to read them is information only. Default: never.
	Others func() bool
	// Inbox has the messages of the cloud. Default: none ever come.
	Inbox Inbox
	// Publish sends a status to the cloud, now or later. It must not wait. Default none.
	Publish func(SyncStatus)
	// Refreshed is called when the cloud asks for a listing: something was changed there. It must not
	// wait. Default none.
	Refreshed func()
	// Timing. Default DefaultTiming.
	Timing Timing
	// Log. Default none.
	Log *zap.Logger
	// Now is the wall clock. Default time.Now.
	Now func() time.Time
	// Health receives conditions. Default: one of its own.
	Health *health.Component
}

func (o Options) withDefaults() Options {
	if o.Applied == nil {
		o.Applied = func(bool, []string) {}
	}
	if o.Others == nil {
		o.Others = func() bool { return false }
	}
	if o.Inbox == nil {
		o.Inbox = noInbox{}
	}
	if o.Publish == nil {
		o.Publish = func(SyncStatus) {}
	}
	if o.Refreshed == nil {
		o.Refreshed = func() {}
	}
	if o.Timing.ListEvery == 0 {
		o.Timing = DefaultTiming()
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Health == nil {
		o.Health = health.NewRegistry(o.Now).Component("", health.JobConfig)
	}
	return o
}

// Timing says how often things are asked and tried.
type Timing struct {
	ListEvery     time.Duration // ± 20 %
	ListOnlyEvery time.Duration // in place of ListEvery with Options.ListOnly, ± 20 %
	ListTimeout   time.Duration
	ListSpacing   time.Duration // least time between listings, however often they are asked for
	ListRetry     backoff.Policy
	Confirm       time.Duration // until the second listing that confirms an absence
	AfterPush     time.Duration // until the listing that confirms what came by a message
	RemoveTimeout time.Duration
	Retry         backoff.Policy // of failed applications and removals
}

// listOnlyEvery is how soon a change arrives at the latest without messages: the service allows an
// update 15 min to be taken up.
// Source: KVS API, StartEdgeConfigurationUpdate.
const listOnlyEvery = 5 * time.Minute

// ListOnlyWithin is when a change has arrived at the latest without messages.
const ListOnlyWithin = listOnlyEvery + listOnlyEvery/5

// DefaultTiming is that of a hub in the field.
func DefaultTiming() Timing {
	return Timing{
		ListEvery:     15 * time.Minute,
		ListOnlyEvery: listOnlyEvery,
		ListTimeout:   30 * time.Second,
		ListSpacing:   time.Second,
		ListRetry:     backoff.Policy{Min: 5 * time.Second, Max: 5 * time.Minute},
		Confirm:       30 * time.Second,
		AfterPush:     10 * time.Second,
		RemoveTimeout: time.Minute,
		Retry:         backoff.Policy{Min: 10 * time.Second, Max: 10 * time.Minute},
	}
}
