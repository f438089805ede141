package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/secrets"
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

// CheckOptions are what Check needs.
type CheckOptions struct {
	// Getenv looks a variable up. The SDK's own variables are read from the process's environment.
	Getenv func(string) (string, bool)
	// Names are those of all variables that are set, to find misspelt ones.
	Names []string
	// Unit is the service's when the check is to see what the service sees; nil for an agent that is started otherwise.
	Unit *Unit
	// Report receives each finding as soon as it is made. Required.
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
// line each. It changes nothing, and disturbs no agent that runs. ok is whether all is well.
func Check(ctx context.Context, o CheckOptions) (ok bool) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.diskFree == nil {
		o.diskFree = diskFree
	}
	c := &checker{o: o, ok: true}
	c.run(ctx)
	return c.ok
}

// checker goes through one check, on one goroutine but for the streams.
type checker struct {
	o        CheckOptions
	ok       bool
	settings Settings
	device   *tls.Config      // nil without a device certificate
	running  *status.Snapshot // nil when no agent runs
	aws      awsclient.Config
	kvs      *kvs.Client
	secrets  *secrets.Client
}

func (c *checker) report(f Finding) {
	c.ok = c.ok && f.OK
	c.o.Report(f)
}

func (c *checker) good(check, text string) { c.report(Finding{Check: check, OK: true, Text: text}) }
func (c *checker) bad(check, text string)  { c.report(Finding{Check: check, Text: text}) }

// run asks in the order in which things depend on each other, and says what could not be asked.
func (c *checker) run(ctx context.Context) {
	if misspelt := MisspeltNames(c.o.Names); len(misspelt) > 0 {
		c.bad("settings", misspeltText(misspelt, func(string) string { return "" }))
	}
	c.checkSandbox()
	if !c.checkSettings() {
		c.bad("cloud", "Endpoints, configurations and cameras were not checked: correct the settings first.")
		return
	}
	if snapshot, err := status.NewClient(c.settings.Socket).Status(ctx); err == nil {
		c.running = &snapshot
		c.good("agent", "The agent runs, version "+snapshot.Version+", since "+snapshot.Started.Local().Format(time.DateTime)+".")
	} else if !errors.Is(err, status.ErrNotRunning) {
		c.bad("agent", sentence(err))
	} else {
		c.good("agent", "No agent runs on "+c.settings.Socket+".")
	}
	c.checkFiles()
	c.checkPorts(ctx)
	c.checkCertificate()
	if !c.checkHosts() {
		c.bad("cloud", "Configurations and cameras were not checked: correct the endpoints first.")
		c.checkDisk(nil)
		return
	}
	c.checkEndpoints(ctx)
	streams := c.checkStreams(ctx, c.checkCloud(ctx))
	c.checkDisk(streams)
}

// connect sets the clients up as the agent does.
func (c *checker) connect() error {
	provider, err := c.settings.IoT.credentials(c.device, iotcreds.Options{Now: c.o.Now, Version: c.o.Version})
	if err != nil {
		return err
	}
	if c.aws, err = loadAWS(c.settings, provider, c.o.Version); err != nil {
		return err
	}
	c.kvs = kvs.New(kvs.Options{Config: c.aws})
	c.secrets = secrets.New(c.aws)
	return nil
}

// sentence ends an error as people end theirs.
func sentence(err error) string {
	text := err.Error()
	if text != "" && text[len(text)-1] != '.' {
		text += "."
	}
	return text
}
