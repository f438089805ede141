package preflight

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/metrics"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// checkPorts looks whether the agent gets what it listens on, its socket and the address of its metrics.
func (c *checker) checkPorts(ctx context.Context) {
	if c.running == nil {
		c.checkSocket()
	}
	address := c.settings.MetricsAddress
	if address == "" || c.runningServes(ctx, address) {
		return
	}
	server, err := metrics.Listen(address, http.NotFoundHandler())
	switch {
	case err == nil:
		_ = server.Close() // nothing was served
		c.good("ports", fmt.Sprintf("%s (%s) is free.", address, settings.EnvMetricsAddress))
	case errors.Is(err, syscall.EADDRINUSE):
		c.bad("ports", fmt.Sprintf("%s is %s, on which another process listens: stop that (`ss -tlnp` shows it), or choose another port.",
			settings.EnvMetricsAddress, address))
	case errors.Is(err, syscall.EACCES):
		c.bad("ports", fmt.Sprintf("%s is %s, but only root may listen on ports below 1024: choose a higher one.", settings.EnvMetricsAddress,
			address))
	default:
		c.bad("ports", fmt.Sprintf("%s is %s, on which this hub cannot listen: %s.", settings.EnvMetricsAddress, address, health.Reason(err)))
	}
}

// runningServes reports whether the running agent listens on the port of an address already.
func (c *checker) runningServes(ctx context.Context, address string) bool {
	if c.running == nil {
		return false
	}
	list, err := localapi.NewClient(c.settings.Socket).Settings(ctx)
	if err != nil {
		return false
	}
	_, wanted, err := net.SplitHostPort(address)
	return err == nil && slices.ContainsFunc(list, func(s localapi.Setting) bool {
		_, port, err := net.SplitHostPort(s.Value)
		return s.Name == settings.EnvMetricsAddress && err == nil && port == wanted
	})
}

// checkSocket checks the path of the local API while no agent answers there.
func (c *checker) checkSocket() {
	path := c.settings.Socket
	info, err := os.Lstat(path)
	switch dir := filepath.Dir(path); {
	case err == nil && info.Mode().Type() != fs.ModeSocket:
		c.bad("ports", fmt.Sprintf("%s names %s, which exists and is not a socket: name another path.", settings.EnvSocket, path))
	case c.o.Unit != nil && slices.Contains(c.o.Unit.Sandbox.ReadWrite, dir): // systemd makes it at the start
	default:
		if text := unwritable(dir); text != "" {
			c.bad("ports", fmt.Sprintf("%s: %s", settings.EnvSocket, text))
		}
	}
}
