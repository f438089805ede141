package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/metrics"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// metricsExport has metrics served on an address and sent to CloudWatch, each as the settings say, which may change
// while the agent runs. Not safe for concurrent use but for jobCompleted.
type metricsExport struct {
	handler     http.Handler             // of Prometheus text
	newReporter func() *metrics.Reporter // sends to CloudWatch
	ended       func()                   // called when nothing is sent to CloudWatch any more
	launch      launch                   // nil while the agent does not run

	server      *metrics.Server // nil unless Prometheus text is served on an address
	address     string          // of server, as it was asked for
	stopServer  func()          // nil while the server does not answer
	stopReports func()          // nil unless metrics go to CloudWatch

	reporter atomic.Pointer[metrics.Reporter] // nil unless metrics go to CloudWatch
}

// launch runs a task of the agent until stop, which waits for its end.
type launch func(what string, run func(context.Context) error) (stop func())

// start begins to serve and to send, once the agent runs.
func (m *metricsExport) start(run launch, toCloudWatch bool) {
	m.launch = run
	m.answer()
	m.report(toCloudWatch)
}

// report sends metrics to CloudWatch, or no longer.
func (m *metricsExport) report(on bool) {
	switch {
	case on && m.stopReports == nil:
		reporter := m.newReporter()
		m.reporter.Store(reporter)
		m.stopReports = m.launch("Sending metrics", reporter.Run)
	case !on && m.stopReports != nil:
		m.reporter.Store(nil)
		m.stopReports()
		m.stopReports = nil
		m.ended()
	}
}

// jobCompleted notifies CloudWatch of a job that has ended.
func (m *metricsExport) jobCompleted(stream, job string) {
	if reporter := m.reporter.Load(); reporter != nil {
		reporter.JobCompleted(stream, job)
	}
}

// serve serves Prometheus text on address, "" for nowhere, and no longer where it did. When
// it fails all is as before. Before start it only takes the address.
func (m *metricsExport) serve(address string) error {
	if address == m.address {
		return nil
	}
	var next *metrics.Server
	if address != "" {
		var err error
		next, err = metrics.Listen(address, m.handler)
		if errors.Is(err, syscall.EADDRINUSE) && m.server != nil {
			next, err = m.replace(address) // perhaps it is we who use it, on another host
		}
		if err != nil {
			return fmt.Errorf("%s: cannot serve metrics: %w", settings.EnvMetricsAddress, err)
		}
	}
	m.close()
	m.server, m.address = next, address
	m.answer()
	return nil
}

// replace releases the old address before it takes the new one, and takes the old one
// again when that fails.
func (m *metricsExport) replace(address string) (*metrics.Server, error) {
	bound := m.server.Addr().String()
	m.close()
	next, err := metrics.Listen(address, m.handler)
	if err == nil {
		return next, nil
	}
	old, again := metrics.Listen(bound, m.handler)
	if again != nil {
		m.address = ""
		return nil, errors.Join(err, again)
	}
	m.server = old
	m.answer()
	return nil, err
}

// answer lets the server answer, once the agent runs.
func (m *metricsExport) answer() {
	if m.server != nil && m.launch != nil {
		m.stopServer = m.launch("Serving metrics", m.server.Run)
	}
}

// close ends the server and releases its address.
func (m *metricsExport) close() {
	if m.stopServer != nil {
		m.stopServer()
		m.stopServer = nil
	}
	if m.server != nil {
		_ = m.server.Close() // closed already when it ran
		m.server = nil
	}
}

// metricStreams lists the streams as metrics sees them.
func (a *Agent) metricStreams() []metrics.Stream {
	infos := a.streams.infos()
	list := make([]metrics.Stream, 0, len(infos))
	for _, info := range infos {
		list = append(list, metrics.Stream{Name: info.Name, LimitBytes: info.LimitBytes, StorageTier: info.StorageTier,
			UploadMode: info.Wanted.UploadMode, OnRequest: info.OnRequest})
	}
	return list
}
