package awsclient

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/middleware"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
)

// SDK is the configuration for the SDK's client of a service. The host is chosen here and not by the SDK, whose rules name
// hosts that do not exist, and refuse addresses that are set beside FIPS or dual-stack endpoints. Where there is no host
// that may be used, each request fails with a *health.Fault.
func (c Config) SDK(s *endpoint.Service) aws.Config { return c.SDKIn(s, c.sdk.Region) }

// SDKIn is SDK for a region that need not be the hub's.
func (c Config) SDKIn(s *endpoint.Service, region string) aws.Config {
	cfg := c.sdk.Copy()
	cfg.Region = region
	cfg.ConfigSources = nil // the SDK would read from them once more which endpoint is wanted
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = c.HTTP()
	}
	place, err := c.endpoints.Of(s, region)
	cfg.BaseEndpoint = &place.URL
	if err != nil {
		cfg.APIOptions = append(cfg.APIOptions, refuse(err))
	}
	return cfg
}

// Endpoints say which hosts are used.
func (c Config) Endpoints() endpoint.Options { return c.endpoints }

// refuse fails each request before it is built.
func refuse(why error) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("NoEndpoint", func(context.Context, middleware.InitializeInput,
			middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			return middleware.InitializeOutput{}, middleware.Metadata{}, why
		}), middleware.Before)
	}
}

// WithFile completes what the environment says about endpoints with the SDK's configuration file: ~/.aws/config, or what
// AWS_CONFIG_FILE and AWS_PROFILE say. The environment takes precedence.
func WithFile(ctx context.Context, o endpoint.Options, region string) (endpoint.Options, error) {
	cfg, err := load(ctx, config.WithRegion(region), config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	if err != nil {
		return o, err
	}
	for _, source := range cfg.ConfigSources {
		if file, ok := source.(config.SharedConfig); ok {
			o = fromFile(o, file)
		}
	}
	return o, o.FileFault()
}

// load reads the SDK's own variables and files.
func load(ctx context.Context, options ...func(*config.LoadOptions) error) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	var profile config.SharedConfigProfileNotExistError
	var unreadable config.SharedConfigLoadError
	switch {
	case err == nil:
		return cfg, nil
	case errors.As(err, &profile):
		return cfg, fmt.Errorf("the AWS configuration file (AWS_CONFIG_FILE) has no profile %q, which AWS_PROFILE or the file itself names: "+
			"correct one of them", profile.Profile)
	case errors.As(err, &unreadable):
		return cfg, fmt.Errorf("cannot read the AWS configuration file %s: correct it, or AWS_CONFIG_FILE", unreadable.Filename)
	default:
		return cfg, fmt.Errorf("cannot set up the AWS SDK: %w", err)
	}
}

func fromFile(o endpoint.Options, file config.SharedConfig) endpoint.Options {
	if !o.Set.FIPS {
		o.FIPS = file.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled
	}
	if !o.Set.DualStack {
		o.DualStack = file.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled
	}
	if !o.Set.IgnoreURLs {
		o.IgnoreURLs = aws.ToBool(file.IgnoreConfiguredEndpoints)
	}
	o.File.All = file.BaseEndpoint
	for _, s := range endpoint.Services() {
		*o.File.Of(s) = file.Services.ServiceValues[s.FileKey()]["endpoint_url"]
	}
	return o
}
