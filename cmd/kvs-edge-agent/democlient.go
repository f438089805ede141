package main

import (
	"context"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
)

// userClient is the AWS SDK as an integrator has it: keys, region, endpoint and CA from the environment lines.
func userClient(ctx context.Context, cloud *localcloud.Cloud) (*kinesisvideo.Client, error) {
	cfg, err := userConfig(ctx, cloud)
	if err != nil {
		return nil, err
	}
	return kinesisvideo.NewFromConfig(cfg), nil
}

func userConfig(ctx context.Context, cloud *localcloud.Cloud) (aws.Config, error) {
	env := map[string]string{}
	for _, v := range cloud.UserEnv() {
		env[v.Name] = v.Value
	}
	bundle, err := os.Open(env["AWS_CA_BUNDLE"])
	if err != nil {
		return aws.Config{}, err
	}
	defer func() { _ = bundle.Close() }()
	return config.LoadDefaultConfig(ctx,
		config.WithRegion(env["AWS_REGION"]),
		config.WithBaseEndpoint(env["AWS_ENDPOINT_URL"]),
		config.WithCustomCABundle(bundle),
		config.WithCredentialsProvider(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: env["AWS_ACCESS_KEY_ID"], SecretAccessKey: env["AWS_SECRET_ACCESS_KEY"]}, nil
		})))
}
