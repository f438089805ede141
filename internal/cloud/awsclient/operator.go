package awsclient

import (
	"context"
	"errors"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
)

// Operator is the configuration of the user of a command, and not of a hub: credentials, region and addresses are those that the AWS
// command line takes, by its variables and files. Requests travel as those of the agent do.
func Operator(ctx context.Context, version string) (aws.Config, error) {
	cfg, err := load(ctx, config.WithAppID(product))
	if err != nil {
		return cfg, err
	}
	if cfg.Region == "" {
		return cfg, errors.New("no region is set: set AWS_REGION, or a region in the profile that AWS_PROFILE names")
	}
	roots, err := rootsOf(Options{CertFile: os.Getenv("SSL_CERT_FILE")}, cfg.HTTPClient)
	if err != nil {
		return cfg, err
	}
	if version != "" {
		cfg.APIOptions = append(cfg.APIOptions, middleware.AddUserAgentKeyValue(product, version))
	}
	cfg.HTTPClient = Config{base: newTransport(roots, nil), version: version}.HTTP()
	return cfg, nil
}
