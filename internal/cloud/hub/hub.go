// Package hub owns the hub as AWS knows it: its certificate, its credentials, its account and ARN, the requests that
// find out its configurations, and the sentences for what keeps it from all that.
package hub

import (
	"context"
	"crypto/tls"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// Credentials builds the provider of the hub's AWS credentials; device is what s.TLS returned. The
// hub's identity is added to o.
func Credentials(s settings.IoT, device *tls.Config, o iotcreds.Options) (*iotcreds.Provider, error) {
	o.TLS = device
	if s.TokenExchange.URL != "" {
		return iotcreds.NewTokenExchange(s.TokenExchange, o)
	}
	o.Endpoint, o.RoleAlias, o.ThingName = s.CredentialEndpoint, s.RoleAlias, s.ThingName
	return iotcreds.New(o)
}

// CredentialsProvider provides the hub's credentials, and others when a service refuses those.
type CredentialsProvider interface {
	aws.CredentialsProvider
	Invalidate()
}

// Load sets up the requests to AWS, for the agent as for a check.
func Load(s settings.Settings, provider CredentialsProvider, version string, clock *hubclock.Clock) (awsclient.Config, error) {
	return awsclient.Load(context.Background(), awsclient.Options{
		Region: s.Region, Credentials: provider, Version: version, CABundle: s.CABundle, CertFile: s.CertFile, Clock: clock,
	})
}
