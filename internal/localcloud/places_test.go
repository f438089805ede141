package localcloud

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/cloudwatch"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/secretsmanager"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sts"
)

// refusedCalls are requests of the user that are refused, each for a fault in another place, which
// the line about the refusal names.
var refusedCalls = []struct{ service, target, path, body, place string }{
	{awsapi.SecretsManager, "secretsmanager.GetSecretValue", "/", `{"SecretId":"none"}`, "SecretId"},
	{awsapi.SecretsManager, "secretsmanager.GetSecretValue", "/", `{"SecretId":"camera","VersionStage":"none"}`, "VersionStage"},
	{awsapi.SecretsManager, "secretsmanager.GetSecretValue", "/", `{"SecretId":"camera","VersionId":"none"}`, "VersionId"},
	{awsapi.SecretsManager, "secretsmanager.CreateSecret", "/", `{"Name":"a b"}`, "Name"},
	{awsapi.SecretsManager, "secretsmanager.CreateSecret", "/", `{"Name":"camera","SecretString":"x"}`, "Name"},
	{awsapi.SecretsManager, "secretsmanager.CreateSecret", "/", `{"Name":"b","SecretString":"x","SecretBinary":"eA=="}`, "SecretBinary"},
	{awsapi.SecretsManager, "secretsmanager.CreateSecret", "/", `{"Name":"b","SecretString":1}`, "body"},
	{awsapi.SecretsManager, "secretsmanager.PutSecretValue", "/", `{"SecretId":"camera"}`, "SecretString"},
	{awsapi.SecretsManager, "secretsmanager.PutSecretValue", "/", `{"SecretId":"camera","SecretString":"x","VersionStages":[]}`,
		"VersionStages"},
	{awsapi.SecretsManager, "secretsmanager.UpdateSecret", "/", `{"SecretId":"camera","ClientRequestToken":"x"}`, "ClientRequestToken"},
	{awsapi.SecretsManager, "secretsmanager.DeleteSecret", "/", `{"SecretId":"camera","RecoveryWindowInDays":1}`, "RecoveryWindowInDays"},
	{awsapi.SecretsManager, "secretsmanager.ListSecrets", "/", `{"MaxResults":0}`, "MaxResults"},
	{awsapi.SecretsManager, "secretsmanager.ListSecrets", "/", `{"Filters":[{"Key":"all","Values":["x"]}]}`, "Filters"},
	{awsapi.SecretsManager, "secretsmanager.GetRandomPassword", "/", `{}`, "header X-Amz-Target"},
	{awsapi.CloudWatch, cloudwatch.TargetPrefix + "PutMetricData", "/", `{"Namespace":"AWS/a"}`, "Namespace"},
	{awsapi.CloudWatch, cloudwatch.TargetPrefix + "PutMetricData", "/", `{"Namespace":"a","MetricData":[{"MetricName":"m"}]}`,
		"MetricData.member.1.Value"},
	{awsapi.CloudWatch, cloudwatch.TargetPrefix + "GetMetricStatistics", "/", `{"Namespace":"a"}`, "MetricName"},
	{awsapi.CloudWatch, cloudwatch.TargetPrefix + "ListMetrics", "/", `{"NextToken":"x"}`, "NextToken"},
	{awsapi.CloudWatch, cloudwatch.TargetPrefix + "GetMetricData", "/", `{}`, "the operation"},
	{awsapi.STS, "", "/", "Action=AssumeRole&Version=" + sts.Version, "parameter Action"},
	{awsapi.IoT, "", "/things", "", "the path"},
	{awsapi.KVS, "", "/createSignalingChannel", "{}", "the path"},
	{awsapi.KVS, "", "/fly", "{}", "the path"},
	{awsapi.KVS, "", "/describeStream", "[]", "body"},
	{awsapi.KVS, "", "/describeStream", "{}{}", "body"},
	{awsapi.KVS, "", "/describeStream", `{"StreamName":1}`, "StreamName"},
	{awsapi.KVS, "", "/describeEdgeConfiguration", `{"StreamName":"cam"}`, "StreamName"},
	{awsapi.KVS, "", "/updateNotificationConfiguration", `{"StreamName":"bare","NotificationConfiguration":{"Status":"ENABLED",` +
		`"DestinationConfig":{"Uri":"arn:aws:sns:us-west-2:1:x"}}}`, "DataRetentionInHours"},
}

func TestEachRefusalNamesThePlaceOfTheFault(t *testing.T) {
	t.Parallel()
	refusals := newLines()
	c := start(t, Options{Refusals: refusals, StreamDelay: -1})
	for name, hours := range map[string]int{"cam": 1, "bare": 0} {
		_, err := c.CreateStream(name, hours)
		must(t, err)
	}
	_, err := c.PutSecret("camera", "x")
	must(t, err)
	for i, row := range refusedCalls {
		s := signedRequest{path: row.path, body: row.body, hashed: row.body, service: row.service, region: Region, key: c.keys.User(),
			at: time.Now()}
		s.before = func(r *http.Request) {
			if r.Header.Set("X-Amz-Target", row.target); row.service == awsapi.CloudWatch {
				r.Header.Set("Content-Type", awsapi.TypeJSON10)
			}
			if row.target == "" {
				r.Header.Del("X-Amz-Target")
			}
			if row.service == awsapi.STS {
				r.Header.Set("Content-Type", awsapi.TypeForm)
			}
		}
		if response := s.send(t, c); response.StatusCode < 400 {
			text, _ := io.ReadAll(response.Body)
			t.Errorf("%s%s %s is answered %s: %s", row.path, row.target, row.body, response.Status, text)
		}
		all := strings.Split(strings.TrimSpace(refusals.String()), "\n")
		if len(all) != i+1 {
			t.Fatalf("%s%s %s makes %d lines instead of %d: %q", row.path, row.target, row.body, len(all), i+1, all)
		}
		if !strings.Contains(all[i], fmt.Sprintf(" at %s: ", row.place)) {
			t.Errorf("%s%s %s: the line does not name %s: %s", row.path, row.target, row.body, row.place, all[i])
		}
	}
}

// Operations that are not implemented are not denied: a denial would suggest that a policy is missing.
func TestWhatIsNotHereIsNotDenied(t *testing.T) {
	t.Parallel()
	for _, options := range []Options{{}, {AsAWS: true}} {
		c := start(t, options)
		for _, row := range []struct{ service, target, path, want string }{
			{awsapi.KVS, "", "/fly", "no operation"},
			{awsapi.KVS, "", "/createSignalingChannel", "does not have CreateSignalingChannel"},
			{awsapi.SecretsManager, "secretsmanager.GetRandomPassword", "/", "no operation"},
			{awsapi.IoTData, "", "/things/x/shadow", "no IoT data operation"},
		} {
			s := signedRequest{path: row.path, body: "{}", hashed: "{}", service: row.service, region: Region, key: c.keys.Issue(hub, time.Now()),
				at: time.Now()}
			if row.target != "" {
				s.before = func(r *http.Request) { r.Header.Set("X-Amz-Target", row.target) }
			}
			response := s.send(t, c)
			text, err := io.ReadAll(response.Body)
			must(t, err)
			if !strings.Contains(string(text), row.want) {
				t.Errorf("%s%s is answered %s: %s", row.path, row.target, response.Status, text)
			}
		}
	}
}

// Without its row in rights an operation could be called by everybody.
func TestEachOperationHasARow(t *testing.T) {
	t.Parallel()
	for _, name := range kvs.Operations() {
		wantRow(t, awsapi.KVS, name)
	}
	for _, name := range secretsmanager.Operations() {
		wantRow(t, awsapi.SecretsManager, name)
	}
	for _, name := range []string{"PutMedia", "GetMedia"} {
		wantRow(t, awsapi.KVS, name)
	}
	for _, name := range []string{"PutMetricData", "ListMetrics", "GetMetricStatistics"} {
		wantRow(t, awsapi.CloudWatch, name)
	}
	for _, name := range []string{"Publish", "RetainPublish", "GetRetainedMessage", "ListRetainedMessages"} {
		wantRow(t, awsapi.IoTData, name)
	}
	wantRow(t, awsapi.IoT, "DescribeEndpoint")
	wantRow(t, awsapi.STS, "GetCallerIdentity")
}

func wantRow(t *testing.T, service, operation string) {
	t.Helper()
	if !slices.Contains(iam.Actions(), iam.Action(service, operation)) {
		t.Errorf("%s of %s has no row", operation, service)
	}
}

func TestAStreamThatIsNamedByItsARN(t *testing.T) {
	t.Parallel()
	calls := newLines()
	c := start(t, Options{Calls: calls})
	arn, err := c.CreateStream("cam", 1)
	must(t, err)
	s := signedRequest{path: "/putMedia", service: awsapi.KVS, region: Region, key: c.keys.User(), at: time.Now()}
	s.before = func(r *http.Request) {
		r.Header.Set("x-amzn-stream-arn", arn)
		r.Header.Set("x-amzn-fragment-timecode-type", "ABSOLUTE")
		r.Header.Set("x-amzn-producer-start-timestamp", "1700000000.000")
	}
	s.send(t, c)
	calls.await(t, "kinesisvideo PutMedia of "+arn+" by user: 200")
}
