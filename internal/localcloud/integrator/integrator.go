// Package integrator does what the owner of the account does with the AWS SDK: it configures the streams of a local cloud,
// from the environment lines that the local cloud prints. It does not know how the local cloud works inside.
package integrator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
)

// ErrInUse is the error of an update while another one of the same stream is on its way to the hub.
var ErrInUse = errors.New("another update of the edge configuration is under way")

// Config is that of the SDK as an integrator has it: keys, region, endpoint and CA from the environment lines.
func Config(ctx context.Context, cloud *localcloud.Cloud) (aws.Config, error) {
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

// FromEnvironment is Config of a process whose environment has the lines.
func FromEnvironment(ctx context.Context) (aws.Config, error) { return config.LoadDefaultConfig(ctx) }

// Client is the SDK's client of Kinesis Video Streams.
func Client(ctx context.Context, cloud *localcloud.Cloud) (*kinesisvideo.Client, error) {
	cfg, err := Config(ctx, cloud)
	if err != nil {
		return nil, err
	}
	return kinesisvideo.NewFromConfig(cfg), nil
}

// Integrator configures streams.
type Integrator struct{ kvs *kinesisvideo.Client }

// New returns the integrator of a local cloud.
func New(ctx context.Context, cloud *localcloud.Cloud) (*Integrator, error) {
	client, err := Client(ctx, cloud)
	if err != nil {
		return nil, err
	}
	return &Integrator{kvs: client}, nil
}

// Configure is StartEdgeConfigurationUpdate. It fails with ErrInUse while the update before has not been acknowledged.
func (i *Integrator) Configure(ctx context.Context, stream string, c edgeconfig.EdgeConfig) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	in := &kinesisvideo.StartEdgeConfigurationUpdateInput{StreamName: &stream}
	if err := json.Unmarshal(text, &in.EdgeConfig); err != nil { // its members have the names of the API
		return err
	}
	_, err = i.kvs.StartEdgeConfigurationUpdate(ctx, in)
	var inUse *types.ResourceInUseException
	switch {
	case errors.As(err, &inUse):
		return fmt.Errorf("StartEdgeConfigurationUpdate: %w: %w", ErrInUse, err)
	case err != nil:
		return fmt.Errorf("StartEdgeConfigurationUpdate: %w", err)
	}
	return nil
}

// Unconfigure is DeleteEdgeConfiguration: the hub then stops the stream and deletes its media.
func (i *Integrator) Unconfigure(ctx context.Context, stream string) error {
	if _, err := i.kvs.DeleteEdgeConfiguration(ctx, &kinesisvideo.DeleteEdgeConfigurationInput{StreamName: &stream}); err != nil {
		return fmt.Errorf("DeleteEdgeConfiguration: %w", err)
	}
	return nil
}

// Tag is TagStream.
func (i *Integrator) Tag(ctx context.Context, stream string, tags map[string]string) error {
	if _, err := i.kvs.TagStream(ctx, &kinesisvideo.TagStreamInput{StreamName: &stream, Tags: tags}); err != nil {
		return fmt.Errorf("TagStream: %w", err)
	}
	return nil
}
