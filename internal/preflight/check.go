// Package preflight owns the command `check`: it verifies settings, files, endpoints, rights, cameras and disk before
// or beside an agent, changes nothing, and reports a line each. It must not start or stop any part of an agent.
package preflight

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// Check verifies settings, certificate, endpoints, cameras and disk, and reports a line each. It changes nothing, and
// only requests that a running agent reads the cameras' secrets again, so that its status does not contradict the
// check. ok is whether all is well.
func Check(ctx context.Context, o Options) (ok bool) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.diskFree == nil {
		o.diskFree = diskFree
	}
	c := &checker{o: o, ok: true, questions: &questions{note: o.Waiting}}
	c.run(ctx)
	return c.ok
}

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
	snapshot, err := localapi.NewClient(c.settings.Socket).Status(ctx)
	switch {
	case err == nil:
		c.running, c.mayRun = &snapshot, true
		c.good("agent", "The agent runs, version "+snapshot.Version+", since "+humanize.Time(snapshot.Started.Local())+".")
	case errors.Is(err, localapi.ErrNotRunning):
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
	var files, assets []wantedStream
	c.within(ctx, "stream files", "the stream files", filesLimit, func(_ context.Context, c *checker) { files = c.checkStreamFiles() })
	c.files = len(files)
	var listed []kvsconfig.ListedConfig
	if !c.settings.NoCloud {
		if !c.checkHosts() {
			c.bad("cloud", "Configurations and cameras were not checked: correct the endpoints first.")
			return nil
		}
		c.within(ctx, "endpoint", "the endpoints of AWS", endpointsLimit, func(ctx context.Context, c *checker) { c.checkEndpoints(ctx) })
		c.within(ctx, siteWiseCheck, "AWS IoT SiteWise", cloudLimit, func(ctx context.Context, c *checker) {
			assets = c.checkSiteWise(ctx, files)
		})
		if !c.within(ctx, "streams", "AWS", cloudLimit, func(ctx context.Context, c *checker) { listed = c.checkCloud(ctx) }) {
			return nil
		}
	}
	list := wantedOf(append(files, assets...), listed)
	limit := time.Duration(1+len(list)/atOnce) * streamLimit
	if !c.within(ctx, "streams", "the cameras", limit, func(ctx context.Context, c *checker) { streams = c.checkStreams(ctx, list) }) {
		return nil
	}
	return streams
}
