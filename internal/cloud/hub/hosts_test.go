package hub

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdkcloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	sdksts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

const none = ""

// hostRow has what AWS publishes: standard, dual-stack, FIPS, and FIPS with dual-stack endpoints.
type hostRow struct {
	service *endpoint.Service
	region  string
	hosts   [4]string
	// other has what the SDK's own rules name instead, where they name hosts that AWS publishes nowhere.
	other [4]string
}

// hostRows was written by hand from AWS General Reference, the IAM User Guide and the producer SDK's tests; the rows of
// table.go say what is published where.
var hostRows = []hostRow{
	{endpoint.KinesisVideo, "us-east-1", [4]string{"kinesisvideo.us-east-1.amazonaws.com", "kinesisvideo.us-east-1.api.aws", none, none},
		[4]string{"", "", "kinesisvideo-fips.us-east-1.amazonaws.com", "kinesisvideo-fips.us-east-1.api.aws"}},
	{endpoint.KinesisVideo, "eu-central-1",
		[4]string{"kinesisvideo.eu-central-1.amazonaws.com", "kinesisvideo.eu-central-1.api.aws", none, none},
		[4]string{"", "", "kinesisvideo-fips.eu-central-1.amazonaws.com", "kinesisvideo-fips.eu-central-1.api.aws"}},
	{endpoint.KinesisVideo, "cn-north-1",
		[4]string{"kinesisvideo.cn-north-1.amazonaws.com.cn", "kinesisvideo.cn-north-1.api.amazonwebservices.com.cn", none, none},
		[4]string{"", "", "kinesisvideo-fips.cn-north-1.amazonaws.com.cn", "kinesisvideo-fips.cn-north-1.api.amazonwebservices.com.cn"}},
	{endpoint.KinesisVideo, "us-gov-west-1", [4]string{"kinesisvideo-fips.us-gov-west-1.amazonaws.com",
		"kinesisvideo-fips.us-gov-west-1.api.aws",
		"kinesisvideo-fips.us-gov-west-1.amazonaws.com", "kinesisvideo-fips.us-gov-west-1.api.aws"},
		[4]string{"kinesisvideo.us-gov-west-1.amazonaws.com", "kinesisvideo.us-gov-west-1.api.aws", "", ""}},

	{endpoint.SecretsManager, "us-east-1", [4]string{"secretsmanager.us-east-1.amazonaws.com", "secretsmanager.us-east-1.amazonaws.com",
		"secretsmanager-fips.us-east-1.amazonaws.com", "secretsmanager-fips.us-east-1.amazonaws.com"}, [4]string{}},
	{endpoint.SecretsManager, "eu-central-1",
		[4]string{"secretsmanager.eu-central-1.amazonaws.com", "secretsmanager.eu-central-1.amazonaws.com", none, none},
		[4]string{"", "", "secretsmanager-fips.eu-central-1.amazonaws.com", "secretsmanager-fips.eu-central-1.amazonaws.com"}},
	{endpoint.SecretsManager, "cn-north-1",
		[4]string{"secretsmanager.cn-north-1.amazonaws.com.cn", "secretsmanager.cn-north-1.amazonaws.com.cn", none, none},
		[4]string{"", "", "secretsmanager-fips.cn-north-1.amazonaws.com.cn", "secretsmanager-fips.cn-north-1.api.amazonwebservices.com.cn"}},
	{endpoint.SecretsManager, "us-gov-west-1", [4]string{"secretsmanager.us-gov-west-1.amazonaws.com",
		"secretsmanager.us-gov-west-1.amazonaws.com", "secretsmanager-fips.us-gov-west-1.amazonaws.com",
		"secretsmanager-fips.us-gov-west-1.amazonaws.com"}, [4]string{}},

	{endpoint.CloudWatch, "us-east-1", [4]string{"monitoring.us-east-1.amazonaws.com", "monitoring.us-east-1.api.aws",
		"monitoring-fips.us-east-1.amazonaws.com", "monitoring-fips.us-east-1.api.aws"}, [4]string{}},
	{endpoint.CloudWatch, "eu-central-1", [4]string{"monitoring.eu-central-1.amazonaws.com", "monitoring.eu-central-1.api.aws", none, none},
		[4]string{"", "", "monitoring-fips.eu-central-1.amazonaws.com", "monitoring-fips.eu-central-1.api.aws"}},
	{endpoint.CloudWatch, "cn-north-1", [4]string{"monitoring.cn-north-1.amazonaws.com.cn", none, none, none},
		[4]string{"", "monitoring.cn-north-1.api.amazonwebservices.com.cn", "monitoring-fips.cn-north-1.amazonaws.com.cn",
			"monitoring-fips.cn-north-1.api.amazonwebservices.com.cn"}},
	{endpoint.CloudWatch, "us-gov-west-1", [4]string{"monitoring.us-gov-west-1.amazonaws.com", "monitoring.us-gov-west-1.api.aws",
		"monitoring.us-gov-west-1.amazonaws.com", "monitoring.us-gov-west-1.api.aws"}, [4]string{}},

	{endpoint.STS, "us-east-1", [4]string{"sts.us-east-1.amazonaws.com", "sts.us-east-1.api.aws", "sts-fips.us-east-1.amazonaws.com",
		"sts-fips.us-east-1.api.aws"}, [4]string{}},
	{endpoint.STS, "eu-central-1", [4]string{"sts.eu-central-1.amazonaws.com", "sts.eu-central-1.api.aws", none, none},
		[4]string{"", "", "sts-fips.eu-central-1.amazonaws.com", "sts-fips.eu-central-1.api.aws"}},
	{endpoint.STS, "cn-north-1", [4]string{"sts.cn-north-1.amazonaws.com.cn", "sts.cn-north-1.api.amazonwebservices.com.cn", none, none},
		[4]string{"", "", "sts-fips.cn-north-1.amazonaws.com.cn", "sts-fips.cn-north-1.api.amazonwebservices.com.cn"}},
	{endpoint.STS, "us-gov-west-1", [4]string{"sts.us-gov-west-1.amazonaws.com", "sts.us-gov-west-1.api.aws",
		"sts.us-gov-west-1.amazonaws.com", none}, [4]string{"", "", "", "sts-fips.us-gov-west-1.api.aws"}},

	{endpoint.SiteWise, "us-east-1", [4]string{"api.iotsitewise.us-east-1.amazonaws.com", none,
		"api.iotsitewise-fips.us-east-1.amazonaws.com", none}, [4]string{"", "api.iotsitewise.us-east-1.api.aws", "",
		"api.iotsitewise-fips.us-east-1.api.aws"}},
	{endpoint.SiteWiseData, "eu-central-1", [4]string{"data.iotsitewise.eu-central-1.amazonaws.com", none, none, none},
		[4]string{"", "data.iotsitewise.eu-central-1.api.aws", "data.iotsitewise-fips.eu-central-1.amazonaws.com",
			"data.iotsitewise-fips.eu-central-1.api.aws"}},
	{endpoint.SiteWise, "cn-north-1", [4]string{"api.iotsitewise.cn-north-1.amazonaws.com.cn", none, none, none},
		[4]string{"", "api.iotsitewise.cn-north-1.api.amazonwebservices.com.cn", "api.iotsitewise-fips.cn-north-1.amazonaws.com.cn",
			"api.iotsitewise-fips.cn-north-1.api.amazonwebservices.com.cn"}},
	{endpoint.SiteWiseData, "cn-north-1", [4]string{"data.iotsitewise.cn-north-1.amazonaws.com.cn", none, none, none},
		[4]string{"", "data.iotsitewise.cn-north-1.api.amazonwebservices.com.cn", "data.iotsitewise-fips.cn-north-1.amazonaws.com.cn",
			"data.iotsitewise-fips.cn-north-1.api.amazonwebservices.com.cn"}},
	{endpoint.SiteWiseData, "us-gov-west-1", [4]string{"data.iotsitewise.us-gov-west-1.amazonaws.com", none,
		"data.iotsitewise-fips.us-gov-west-1.amazonaws.com", none}, [4]string{"", "data.iotsitewise.us-gov-west-1.api.aws", "",
		"data.iotsitewise-fips.us-gov-west-1.api.aws"}},
}

// kinds are the choices of the columns.
var kinds = [4]endpoint.Choices{{}, {DualStack: true}, {FIPS: true}, {FIPS: true, DualStack: true}}

// recorder notes where a request would go, and does not send it.
type recorder struct{ hosts []string }

var errNotSent = errors.New("not sent")

// Do implements aws.HTTPClient.
func (r *recorder) Do(request *http.Request) (*http.Response, error) {
	r.hosts = append(r.hosts, request.URL.Scheme+"://"+request.URL.Host)
	return nil, errNotSent
}

// request makes the SDK's client of a service send one request.
func request(ctx context.Context, s *endpoint.Service, cfg aws.Config) (err error) {
	switch s {
	case endpoint.KinesisVideo:
		_, err = kinesisvideo.NewFromConfig(cfg).ListStreams(ctx, &kinesisvideo.ListStreamsInput{})
	case endpoint.SecretsManager:
		_, err = secretsmanager.NewFromConfig(cfg).ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
	case endpoint.CloudWatch:
		_, err = sdkcloudwatch.NewFromConfig(cfg).ListMetrics(ctx, &sdkcloudwatch.ListMetricsInput{})
	case endpoint.STS:
		_, err = sdksts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sdksts.GetCallerIdentityInput{})
	case endpoint.SiteWise:
		_, err = iotsitewise.NewFromConfig(cfg, plainHost).ListAssetModels(ctx, &iotsitewise.ListAssetModelsInput{})
	case endpoint.SiteWiseData:
		_, err = iotsitewise.NewFromConfig(cfg, plainHost).GetAssetPropertyValue(ctx, &iotsitewise.GetAssetPropertyValueInput{})
	}
	return err
}

// plainHost keeps the SDK from putting the name of the plane before a host that is set: the agent's own client does so.
func plainHost(o *iotsitewise.Options) {
	if o.BaseEndpoint == nil {
		return
	}
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("PlainHost", func(ctx context.Context, in middleware.InitializeInput,
			next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			return next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
		}), middleware.Before)
	})
}

func TestHostsOfEachServiceKindAndRegion(t *testing.T) {
	t.Parallel()
	for _, row := range hostRows {
		for i, kind := range kinds {
			keys := credentials.NewStaticCredentialsProvider("id", "secret", "")
			config, err := awsclient.Load(t.Context(), awsclient.Options{
				Region: row.region, Credentials: keys, Endpoints: endpoint.Options{Choices: kind},
			})
			must(t, err)
			cfg, seen := config.SDK(row.service), &recorder{}
			cfg.HTTPClient, cfg.RetryMaxAttempts = seen, 1
			err = request(t.Context(), row.service, cfg)
			got := strings.Join(seen.hosts, ", ")
			var fault *health.Fault
			switch want := row.hosts[i]; {
			case want != none && got != "https://"+want:
				t.Errorf("%s in %s with %+v asks %q (%v), want %s", row.service.Name, row.region, kind, got, err, want)
			case want == none && (got != "" || !errors.As(err, &fault)):
				t.Errorf("%s in %s with %+v asks %q (%v), want none, and a sentence", row.service.Name, row.region, kind, got, err)
			case want == none:
				wantSentence(t, fault, row)
			}
			rules := sdkHost(t, row.service, row.region, kind)
			want := row.other[i]
			if want == "" {
				want = row.hosts[i]
			}
			if rules != "https://"+want {
				t.Errorf("the SDK's rules name %s for %s in %s with %+v, want %s", rules, row.service.Name, row.region, kind, want)
			}
		}
	}
}

func wantSentence(t *testing.T, fault *health.Fault, row hostRow) {
	t.Helper()
	if fault.Class != health.UserError || fault.Code != endpoint.Code || !strings.Contains(fault.Text, row.service.Name+" has no ") ||
		!strings.Contains(fault.Text, " in "+row.region) || !strings.Contains(fault.Text, row.service.Variable) {
		t.Errorf("it says %+v", fault)
	}
}

// sdkHost is what the SDK would ask, left to its own rules.
func sdkHost(t *testing.T, s *endpoint.Service, region string, kind endpoint.Choices) string {
	t.Helper()
	seen := &recorder{}
	cfg := aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""), HTTPClient: seen,
		RetryMaxAttempts: 1, ConfigSources: []any{chosen(kind)}}
	err := request(t.Context(), s, cfg)
	if len(seen.hosts) == 0 {
		return "no host: " + err.Error()
	}
	return seen.hosts[0]
}

// chosen makes the choices as the SDK reads them.
type chosen endpoint.Choices

// GetUseDualStackEndpoint implements an interface of the SDK.
func (c chosen) GetUseDualStackEndpoint(context.Context) (aws.DualStackEndpointState, bool, error) {
	if c.DualStack {
		return aws.DualStackEndpointStateEnabled, true, nil
	}
	return aws.DualStackEndpointStateUnset, false, nil
}

// GetUseFIPSEndpoint implements an interface of the SDK.
func (c chosen) GetUseFIPSEndpoint(context.Context) (aws.FIPSEndpointState, bool, error) {
	if c.FIPS {
		return aws.FIPSEndpointStateEnabled, true, nil
	}
	return aws.FIPSEndpointStateUnset, false, nil
}

// TestElsewhereHostsAreThoseOfTheSDKsRulesOrNone in regions of each partition and in one that does not exist: no host is
// made up, and standard endpoints exist everywhere.
func TestElsewhereHostsAreThoseOfTheSDKsRulesOrNone(t *testing.T) {
	t.Parallel()
	for _, region := range []string{"us-west-2", "ca-central-1", "ca-west-1", "ap-southeast-6", "cn-northwest-1", "us-gov-east-1",
		"us-iso-east-1", "us-iso-west-1", "us-isob-east-1", "us-isob-west-1", "eu-isoe-west-1", "us-isof-south-1",
		"eusc-de-east-1", "xx-north-9"} {
		for _, service := range endpoint.Services() {
			for _, kind := range kinds {
				rules := sdkHost(t, service, region, kind)
				// The SDK's rules do not know that there are no others.
				noOthers := strings.HasPrefix(region, "us-gov-") || strings.HasPrefix(region, "us-iso") && kind.DualStack
				if service == endpoint.KinesisVideo && noOthers {
					rules = strings.Replace(rules, "//kinesisvideo.", "//kinesisvideo-fips.", 1)
				}
				place, err := endpoint.Options{Choices: kind}.Of(service, region)
				var fault *health.Fault
				switch {
				case err == nil && place.URL != rules:
					t.Errorf("%s in %s with %+v is %s, want %s", service.Name, region, kind, place.URL, rules)
				case err != nil && (place.URL != "" || kind == kinds[0] || !errors.As(err, &fault)):
					t.Errorf("%s in %s with %+v is %q: %v", service.Name, region, kind, place.URL, err)
				case err != nil:
					wantSentence(t, fault, hostRow{service: service, region: region})
				case region == "xx-north-9" && kind != kinds[0]:
					t.Errorf("%s in %s with %+v is %s, which is a guess", service.Name, region, kind, place.URL)
				}
			}
		}
	}
}
