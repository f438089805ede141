package preflight

import (
	"crypto/tls"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/hub"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/secrets"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// checker goes through one check, on one goroutine but for the streams.
type checker struct {
	o         Options
	ok        bool
	questions *questions
	settings  settings.Settings
	device    *tls.Config                // nil without a device certificate
	running   *status.Snapshot           // nil when no agent runs, or none answers
	files     int                        // stream files that are right
	mayRun    bool                       // an agent may run, whose connections a second one would end
	refused   map[*endpoint.Service]bool // whose hosts are not used
	aws       awsclient.Config
	kvs       *kvs.Client
	secrets   *secrets.Client
}

func (c *checker) report(f Finding) {
	f.Text, f.Stream = health.Clean(f.Text, health.MaxText), health.Clean(f.Stream, health.MaxPart)
	c.ok = c.ok && f.OK
	c.o.Report(f)
}

func (c *checker) good(check, text string) { c.report(Finding{Check: check, OK: true, Text: text}) }
func (c *checker) bad(check, text string)  { c.report(Finding{Check: check, Text: text}) }

// connect sets the clients up as the agent does.
func (c *checker) connect() error {
	if c.settings.NoCloud {
		return nil
	}
	var err error
	if c.settings, err = hub.WithEndpoints(c.settings); err != nil {
		return err
	}
	provider, err := hub.Credentials(c.settings, c.device, iotcreds.Options{Now: c.o.Now, Version: c.o.Version})
	if err != nil {
		return err
	}
	if c.aws, err = hub.Load(c.settings, provider, hub.Options{Version: c.o.Version}); err != nil {
		return err
	}
	c.kvs = kvs.New(kvs.Options{Config: c.aws})
	c.secrets = secrets.New(c.aws)
	return nil
}
