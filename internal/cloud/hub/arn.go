package hub

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// Account asks STS (GetCallerIdentity, which needs no permission) for the account of cfg's credentials.
func Account(ctx context.Context, cfg awsclient.Config) (string, error) {
	out, err := sts.NewFromConfig(cfg.SDK(endpoint.STS)).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", fmt.Errorf("cannot learn the hub's AWS account from STS (or set %s): %w", settings.EnvAccountID, err)
	}
	return aws.ToString(out.Account), nil
}

// FindARN returns a function that completes the hub's ARN with the account, by setting or by asking STS. Its errors
// are *health.Fault.
func FindARN(s settings.Settings, cfg awsclient.Config) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		account := s.AccountID
		if account == "" {
			var err error
			if account, err = Account(ctx, cfg); err != nil {
				fault := serviceAt(cfg, endpoint.STS).Fault("sts:GetCallerIdentity", err)
				if fault.Code == CodeCloud {
					fault.Text += " STS is asked for the hub's AWS account only, which " + settings.EnvAccountID + " may say instead."
				}
				return "", fault
			}
		}
		return edgeconfig.HubARN(s.Region, account, s.IoT.ThingName), nil
	}
}
