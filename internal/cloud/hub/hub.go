// Package hub owns the hub as AWS knows it: its certificate, its credentials, its account and ARN, the requests that
// find out its configurations, and the sentences for what keeps it from all that.
package hub

import (
	"context"
	"crypto/tls"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// Credentials builds the provider of the hub's AWS credentials; device is what s.IoT.TLS returned. The
// hub's identity is added to o.
func Credentials(s settings.Settings, device *tls.Config, o iotcreds.Options) (*iotcreds.Provider, error) {
	o.TLS = device
	if s.IoT.TokenExchange.URL != "" {
		return iotcreds.NewTokenExchange(s.IoT.TokenExchange, o)
	}
	o.Endpoint, o.RoleAlias, o.ThingName = s.IoT.CredentialEndpoint, s.IoT.RoleAlias, s.IoT.ThingName
	_, o.Refused = s.Endpoints.Given(endpoint.IoTCredentials, o.Endpoint)
	return iotcreds.New(o)
}

// WithEndpoints completes the settings with what the SDK's configuration file says about endpoints, so that all
// services are given the same. An error is a *settings.Error.
func WithEndpoints(s settings.Settings) (settings.Settings, error) {
	var err error
	if s.Endpoints, err = awsclient.WithFile(context.Background(), s.Endpoints, s.Region); err != nil {
		return s, &settings.Error{Faults: []string{err.Error()}}
	}
	return s, nil
}

// CredentialsProvider provides the hub's credentials, and others when a service refuses those.
type CredentialsProvider interface {
	aws.CredentialsProvider
	Invalidate()
}

// Options of Load.
type Options struct {
	Version string          // of the agent
	Clock   *hubclock.Clock // is notified of the Date of every answer; nil: none is
	Meter   *meter.Meter    // counts the bytes; nil: none does
}

// Load sets up the requests to AWS, for the agent as for a check.
func Load(s settings.Settings, provider CredentialsProvider, o Options) (awsclient.Config, error) {
	return awsclient.Load(context.Background(), awsclient.Options{
		Region: s.Region, Credentials: provider, Version: o.Version, CABundle: s.CABundle, CertFile: s.CertFile, Clock: o.Clock,
		Meter: o.Meter, Endpoints: s.Endpoints,
	})
}
