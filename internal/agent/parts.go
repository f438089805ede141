package agent

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/auditjob"
	"github.com/kvs-edge/kvs-edge-agent/internal/changes"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/deleteafter"
	"github.com/kvs-edge/kvs-edge-agent/internal/eventjob"
	"github.com/kvs-edge/kvs-edge-agent/internal/freeze"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/history"
	"github.com/kvs-edge/kvs-edge-agent/internal/holds"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/logfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/ondemand"
	"github.com/kvs-edge/kvs-edge-agent/internal/pressure"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewisehub"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/streamtags"
	"github.com/kvs-edge/kvs-edge-agent/internal/tally"
	"github.com/kvs-edge/kvs-edge-agent/internal/tier"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/giveway"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/pace"
	"github.com/kvs-edge/kvs-edge-agent/internal/web"
)

// Options are what an Agent needs beside its settings.
type Options struct {
	Version string
	Log     *zap.Logger
	// LogLevel, when set, can be changed over the local API.
	LogLevel *logfile.Level
	// LogFile, when set, follows the settings at a reload.
	LogFile *logfile.File
	// Source is where the settings came from, Initial what it held at the start. The SDK's own variables are
	// read from the process's environment.
	Source  settings.EnvSource
	Initial settings.Reading
	// ReloadRequests receives when the settings are to be read again. Default never.
	ReloadRequests <-chan os.Signal
	// Check checks for a peer what the command check does; nil: it does not.
	Check func(ctx context.Context, each func(localapi.CheckProgress)) error
	// MetricsInterval is how often metrics are sent. Default one minute, as AWS's agent does.
	MetricsInterval time.Duration
	// AuditNow is the wall clock by which audits judge. Default time.Now.
	AuditNow func() time.Time
}

// Agent is the whole of a hub's agent.
type Agent struct {
	current     atomic.Pointer[settings.Settings] // see settings
	o           Options
	log         *zap.Logger
	health      *health.Registry
	store       *segment.Store
	clock       *scheduler.Clock
	hubClock    *hubclock.Clock
	retention   *retention.Keeper
	aws         awsclient.Config
	kvs         *kvs.Client
	uploadCap   pace.Bandwidth
	uploadMode  *hubMode
	streams     *streams
	onDemand    ondemand.Uploads
	events      *eventjob.Jobs
	holds       *holds.Holds
	line        giveway.Line // to the cloud
	nudges      nudges
	fragments   fragmentLengths
	tags        *streamtags.Memory // of the streams in the cloud
	related     relations
	counted     *tally.Tally // uploads
	audits      *auditjob.Jobs
	deletes     *deleteafter.Audits // what DeleteAfterUpload waits for
	tiers       *tier.Watch         // nil without the cloud
	meter       *meter.Meter        // nil without the cloud
	config      *configuration
	siteWiseHub *sitewisehub.Hub // nil where it is not set
	collector   *status.Collector
	changes     *changes.Feed
	history     *history.History
	api         *localapi.Server
	web         *web.Server // nil where no address is set
	systemd     systemd
	freezes     *freeze.Watch
	pressure    *pressure.Watch

	reloading sync.Mutex    // held while settings change
	running   bool          // guarded by reloading
	export    metricsExport // guarded by reloading
}

// settings are those in effect.
func (a *Agent) settings() settings.Settings { return *a.current.Load() }
