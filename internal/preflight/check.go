// Package preflight owns the command `check`: it verifies settings, files, endpoints, rights, cameras and disk before
// or beside an agent, changes nothing, and reports a line each. It must not start or stop any part of an agent.
package preflight

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/hub"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/secrets"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/iotconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// Finding is one line of a check.
type Finding struct {
	Check  string `json:"check"` // what was looked at: "settings", "clock", "camera"
	Stream string `json:"stream,omitempty"`
	OK     bool   `json:"ok"`
	Text   string `json:"text"` // what was found, or what is wrong and what to do

	right string // the action that a policy does not allow, "" for all other findings
	again string // the text where another stream has named the right already
}

// Options are what Check needs.
type Options struct {
	// Getenv looks a variable up. The SDK's own variables are read from the process's environment.
	Getenv func(string) (string, bool)
	// Names are those of all variables that are set, to find misspelt ones.
	Names []string
	// Unit is the service's when the check is to see what the service sees; nil for an agent that is started otherwise.
	Unit *Unit
	// Waiting, when set, is called with what is awaited; done is called when it came. Called by several goroutines.
	Waiting func(what string) (done func())
	// Report receives each finding as soon as it is made, on the caller's goroutine. Required.
	Report func(Finding)
	// Version of the agent, for the header User-Agent. Default: none is named.
	Version string
	// Now is the hub's clock. Default time.Now.
	Now func() time.Time

	diskFree func(dir string) (free, total uint64, err error) // default diskFree
}

// stepTimeout bounds each question to the cloud.
const stepTimeout = 20 * time.Second

// Check looks at everything that the agent needs, from its settings to its cameras, and reports a
// line each. It changes nothing, and an agent that runs is only asked to read the cameras' secrets again, so that
// its status does not contradict the check. ok is whether all is well.
func Check(ctx context.Context, o Options) (ok bool) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.diskFree == nil {
		o.diskFree = diskFree
	}
	c := &checker{o: o, ok: true, waits: &waits{note: o.Waiting}}
	c.run(ctx)
	return c.ok
}

// checker goes through one check, on one goroutine but for the streams.
type checker struct {
	o        Options
	ok       bool
	waits    *waits
	settings settings.Settings
	device   *tls.Config      // nil without a device certificate
	running  *status.Snapshot // nil when no agent runs, or none answers
	mayRun   bool             // an agent may run, whose connections a second one would end
	aws      awsclient.Config
	kvs      *kvs.Client
	secrets  *secrets.Client
}

func (c *checker) report(f Finding) {
	f.Text, f.Stream = health.Clean(f.Text, health.MaxText), health.Clean(f.Stream, health.MaxPart)
	c.ok = c.ok && f.OK
	c.o.Report(f)
}

func (c *checker) good(check, text string) { c.report(Finding{Check: check, OK: true, Text: text}) }
func (c *checker) bad(check, text string)  { c.report(Finding{Check: check, Text: text}) }

// run asks in the order in which things depend on each other, and says what could not be asked.
func (c *checker) run(ctx context.Context) {
	if misspelt := settings.MisspeltNames(c.o.Names); len(misspelt) > 0 {
		c.bad("settings", settings.MisspeltText(misspelt, settings.Reading{}))
	}
	settled := false
	ended := c.within(ctx, "settings", "the files that the settings name", filesLimit, func(_ context.Context, c *checker) {
		c.checkSandbox()
		settled = c.checkSettings()
	})
	if !ended || !settled {
		c.bad("cloud", "Endpoints, configurations and cameras were not checked: correct the settings first.")
		return
	}
	c.within(ctx, "agent", "the running agent", filesLimit, func(ctx context.Context, c *checker) { c.checkAgent(ctx) })
	c.within(ctx, "files", "the files and directories of the agent", filesLimit, func(ctx context.Context, c *checker) {
		c.checkFiles()
		c.checkPorts(ctx)
		c.checkCertificate()
	})
	streams := c.checkRemote(ctx)
	c.checkOpenFiles(len(streams))
	c.within(ctx, "disk", "the disk with the recordings", diskLimit, func(_ context.Context, c *checker) { c.checkDisk(streams) })
}

// checkAgent asks whether an agent runs.
func (c *checker) checkAgent(ctx context.Context) {
	snapshot, err := status.NewClient(c.settings.Socket).Status(ctx)
	switch {
	case err == nil:
		c.running, c.mayRun = &snapshot, true
		c.good("agent", "The agent runs, version "+snapshot.Version+", since "+humanize.Time(snapshot.Started.Local())+".")
	case errors.Is(err, status.ErrNotRunning):
		c.good("agent", "No agent runs on "+c.settings.Socket+".")
	case isNoStatus(err):
		c.bad("agent", fmt.Sprintf("What answers on %s is not this agent: stop it, or choose another %s.", c.settings.Socket, settings.EnvSocket))
	default:
		c.mayRun = true // it is stuck, perhaps, or not everybody may ask it
		c.bad("agent", sentence(err))
	}
}

// isNoStatus reports whether an answer is not the status of an agent.
func isNoStatus(err error) bool {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	return errors.As(err, &syntax) || errors.As(err, &kind)
}

// checkRemote asks the cloud and the cameras. It returns the streams, none when they could not be found out.
func (c *checker) checkRemote(ctx context.Context) (streams []checkedStream) {
	if !c.checkHosts() {
		c.bad("cloud", "Configurations and cameras were not checked: correct the endpoints first.")
		return nil
	}
	c.within(ctx, "endpoint", "the endpoints of AWS", endpointsLimit, func(ctx context.Context, c *checker) { c.checkEndpoints(ctx) })
	var list []iotconfig.ListedConfig
	if !c.within(ctx, "streams", "AWS", cloudLimit, func(ctx context.Context, c *checker) { list = c.checkCloud(ctx) }) {
		return nil
	}
	limit := time.Duration(1+len(list)/atOnce) * streamLimit
	if !c.within(ctx, "streams", "the cameras", limit, func(ctx context.Context, c *checker) { streams = c.checkStreams(ctx, list) }) {
		return nil
	}
	return streams
}

// connect sets the clients up as the agent does.
func (c *checker) connect() error {
	provider, err := hub.Credentials(c.settings.IoT, c.device, iotcreds.Options{Now: c.o.Now, Version: c.o.Version})
	if err != nil {
		return err
	}
	if c.aws, err = hub.Load(c.settings, provider, c.o.Version, nil); err != nil {
		return err
	}
	c.kvs = kvs.New(kvs.Options{Config: c.aws})
	c.secrets = secrets.New(c.aws)
	return nil
}

// sentence ends an error as people end theirs.
func sentence(err error) string {
	text := health.FaultOf(err, hub.CodeCloud).Text
	if text != "" && text[len(text)-1] != '.' {
		text += "."
	}
	return text
}
