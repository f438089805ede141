// Package identity owns the question "which AWS account is this?", which the hub's ARN needs and
// no setting of AWS's agent answers. It must not know what the answer is used for.
package identity

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
)

// Account asks STS (GetCallerIdentity, which needs no permission) for the account of cfg's credentials.
func Account(ctx context.Context, cfg awsclient.Config) (string, error) {
	out, err := sts.NewFromConfig(cfg.SDK()).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", fmt.Errorf("cannot learn the hub's AWS account from STS (or set AWS_KVS_EDGE_ACCOUNT_ID): %w", err)
	}
	return aws.ToString(out.Account), nil
}
