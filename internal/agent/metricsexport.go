package agent

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/cloudwatch"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/metrics"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// exports are the ways out for metrics, which settings switch on and off while the agent runs. Guarded by
// Agent.reloading.
type exports struct {
	scrapes     *metrics.Server // nil unless Prometheus text is served on an address
	address     string          // of scrapes, as it was asked for
	stopScrapes func()          // nil while the agent does not run
	stopReports func()          // nil unless metrics go to CloudWatch
}

// report sends metrics to CloudWatch, or no longer.
func (a *Agent) report(on bool) {
	switch {
	case on && a.exports.stopReports == nil:
		reporter := metrics.New(metrics.Options{
			Thing: a.settings().IoT.ThingName, Sender: cloudwatch.New(a.aws), Health: a.health, Store: a.store,
			Streams: a.metricStreams, Log: a.log, Interval: a.o.MetricsInterval,
		})
		a.reporter.Store(reporter)
		a.exports.stopReports = a.launch(a.supervised("Sending metrics", health.JobMetrics, reporter.Run))
	case !on && a.exports.stopReports != nil:
		a.reporter.Store(nil)
		a.exports.stopReports()
		a.exports.stopReports = nil
		a.health.Part("", health.JobMetrics).End()
	}
}

// serveMetrics serves Prometheus text on address, "" for nowhere, and no longer where it did. When
// it fails all is as before. Before Run it only takes the address.
func (a *Agent) serveMetrics(address string) error {
	o := &a.exports
	if address == o.address {
		return nil
	}
	var next *metrics.Server
	if address != "" {
		var err error
		next, err = metrics.Listen(address, a.prometheus)
		if errors.Is(err, syscall.EADDRINUSE) && o.scrapes != nil {
			next, err = a.replaceScrapes(address) // perhaps it is we who use it, on another host
		}
		if err != nil {
			return fmt.Errorf("%s: cannot serve metrics: %w", settings.EnvMetricsAddress, err)
		}
	}
	a.closeScrapes()
	o.scrapes, o.address = next, address
	a.startScrapes()
	return nil
}

// replaceScrapes gives the old address back before it takes the new one, and takes the old one
// again when that fails.
func (a *Agent) replaceScrapes(address string) (*metrics.Server, error) {
	bound := a.exports.scrapes.Addr().String()
	a.closeScrapes()
	next, err := metrics.Listen(address, a.prometheus)
	if err == nil {
		return next, nil
	}
	old, again := metrics.Listen(bound, a.prometheus)
	if again != nil {
		a.exports.address = ""
		return nil, errors.Join(err, again)
	}
	a.exports.scrapes = old
	a.startScrapes()
	return nil, err
}

// startScrapes lets the metrics server answer, once the agent runs.
func (a *Agent) startScrapes() {
	if a.exports.scrapes != nil && a.launch != nil {
		a.exports.stopScrapes = a.launch(a.supervised("Serving metrics", health.JobMetrics, a.exports.scrapes.Run))
	}
}

func (a *Agent) closeScrapes() {
	o := &a.exports
	if o.stopScrapes != nil {
		o.stopScrapes()
		o.stopScrapes = nil
	}
	if o.scrapes != nil {
		_ = o.scrapes.Close() // closed already when it ran
		o.scrapes = nil
	}
}

// launcher gives a function that runs a part as one of the group's until its stop is called. A part
// that fails ends the group.
func launcher(ctx context.Context, start func(func() error)) func(func(context.Context) error) (stop func()) {
	return func(run func(context.Context) error) func() {
		ctx, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		start(func() error {
			defer close(done)
			return run(ctx)
		})
		return func() {
			cancel()
			<-done
		}
	}
}
