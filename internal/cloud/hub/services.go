package hub

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// Services lists those of AWS that an agent with these settings asks with the SDK, where the SDK would send its
// requests to. Nothing is sent.
func Services(cfg aws.Config, set settings.Settings) []Service {
	type request struct {
		name string
		send func(context.Context, aws.Config) error
	}
	requests := []request{
		{"Kinesis Video Streams", func(ctx context.Context, cfg aws.Config) error {
			_, err := kinesisvideo.NewFromConfig(cfg).ListStreams(ctx, &kinesisvideo.ListStreamsInput{})
			return err
		}},
		{"Secrets Manager", func(ctx context.Context, cfg aws.Config) error {
			_, err := secretsmanager.NewFromConfig(cfg).ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
			return err
		}},
	}
	if set.AccountID == "" {
		requests = append(requests, request{"STS", func(ctx context.Context, cfg aws.Config) error {
			_, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
			return err
		}})
	}
	if set.CloudWatch {
		requests = append(requests, request{"CloudWatch", func(ctx context.Context, cfg aws.Config) error {
			_, err := cloudwatch.NewFromConfig(cfg).ListMetrics(ctx, &cloudwatch.ListMetricsInput{})
			return err
		}})
	}
	var list []Service
	for _, r := range requests {
		where := &requestRecorder{}
		cfg := cfg.Copy()
		cfg.HTTPClient, cfg.RetryMaxAttempts = where, 1
		cfg.Credentials = credentials.NewStaticCredentialsProvider("none", "none", "")
		_ = r.send(context.Background(), cfg) // always fails: nothing is sent
		if where.url != "" {
			list = append(list, Service{Name: r.name, URL: where.url, Setting: settings.EnvRegion})
		}
	}
	return list
}

// requestRecorder notes where a request would go, and does not send it.
type requestRecorder struct{ url string }

var errNotSent = errors.New("not sent")

// Do implements aws.HTTPClient.
func (a *requestRecorder) Do(r *http.Request) (*http.Response, error) {
	a.url = (&url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host}).String()
	return nil, errNotSent
}
