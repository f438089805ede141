package localcloud

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// refusedCalls are requests of the user that are refused, each for a fault in another place, which
// the line about the refusal names.
var refusedCalls = []struct{ service, target, path, body, place string }{
	{serviceSecrets, "secretsmanager.GetSecretValue", "/", `{"SecretId":"none"}`, "SecretId"},
	{serviceSecrets, "secretsmanager.GetSecretValue", "/", `{"SecretId":"camera","VersionStage":"none"}`, "VersionStage"},
	{serviceSecrets, "secretsmanager.GetSecretValue", "/", `{"SecretId":"camera","VersionId":"none"}`, "VersionId"},
	{serviceSecrets, "secretsmanager.CreateSecret", "/", `{"Name":"a b"}`, "Name"},
	{serviceSecrets, "secretsmanager.CreateSecret", "/", `{"Name":"camera","SecretString":"x"}`, "Name"},
	{serviceSecrets, "secretsmanager.CreateSecret", "/", `{"Name":"b","SecretString":"x","SecretBinary":"eA=="}`, "SecretBinary"},
	{serviceSecrets, "secretsmanager.CreateSecret", "/", `{"Name":"b","SecretString":1}`, "body"},
	{serviceSecrets, "secretsmanager.PutSecretValue", "/", `{"SecretId":"camera"}`, "SecretString"},
	{serviceSecrets, "secretsmanager.PutSecretValue", "/", `{"SecretId":"camera","SecretString":"x","VersionStages":[]}`, "VersionStages"},
	{serviceSecrets, "secretsmanager.UpdateSecret", "/", `{"SecretId":"camera","ClientRequestToken":"x"}`, "ClientRequestToken"},
	{serviceSecrets, "secretsmanager.DeleteSecret", "/", `{"SecretId":"camera","RecoveryWindowInDays":1}`, "RecoveryWindowInDays"},
	{serviceSecrets, "secretsmanager.ListSecrets", "/", `{"MaxResults":0}`, "MaxResults"},
	{serviceSecrets, "secretsmanager.ListSecrets", "/", `{"Filters":[{"Key":"all","Values":["x"]}]}`, "Filters"},
	{serviceSecrets, "secretsmanager.GetRandomPassword", "/", `{}`, "header X-Amz-Target"},
	{serviceCloudWatch, cloudWatchTarget + "PutMetricData", "/", `{"Namespace":"AWS/a"}`, "Namespace"},
	{serviceCloudWatch, cloudWatchTarget + "PutMetricData", "/", `{"Namespace":"a","MetricData":[{"MetricName":"m"}]}`,
		"MetricData.member.1.Value"},
	{serviceCloudWatch, cloudWatchTarget + "GetMetricStatistics", "/", `{"Namespace":"a"}`, "MetricName"},
	{serviceCloudWatch, cloudWatchTarget + "ListMetrics", "/", `{"NextToken":"x"}`, "NextToken"},
	{serviceCloudWatch, cloudWatchTarget + "GetMetricData", "/", `{}`, "the operation"},
	{serviceSTS, "", "/", "Action=AssumeRole&Version=" + stsVersion, "parameter Action"},
	{serviceIoT, "", "/things", "", "the path"},
	{serviceKVS, "", "/createSignalingChannel", "{}", "the path"},
	{serviceKVS, "", "/fly", "{}", "the path"},
	{serviceKVS, "", "/describeStream", "[]", "body"},
	{serviceKVS, "", "/describeStream", "{}{}", "body"},
	{serviceKVS, "", "/describeStream", `{"StreamName":1}`, "StreamName"},
	{serviceKVS, "", "/describeEdgeConfiguration", `{"StreamName":"cam"}`, "StreamName"},
	{serviceKVS, "", "/updateNotificationConfiguration", `{"StreamName":"bare","NotificationConfiguration":{"Status":"ENABLED",` +
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
		s := signedRequest{path: row.path, body: row.body, hashed: row.body, service: row.service, region: Region, key: c.keys.user(),
			at: time.Now()}
		s.before = func(r *http.Request) {
			if r.Header.Set("X-Amz-Target", row.target); row.service == serviceCloudWatch {
				r.Header.Set("Content-Type", typeJSON10)
			}
			if row.target == "" {
				r.Header.Del("X-Amz-Target")
			}
			if row.service == serviceSTS {
				r.Header.Set("Content-Type", typeForm)
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

// The rights say nothing of what is not here: a denial would send people to look for a policy.
func TestWhatIsNotHereIsNotDenied(t *testing.T) {
	t.Parallel()
	for _, options := range []Options{{}, {AsAWS: true}} {
		c := start(t, options)
		for _, row := range []struct{ service, target, path, want string }{
			{serviceKVS, "", "/fly", "no operation"},
			{serviceKVS, "", "/createSignalingChannel", "does not have CreateSignalingChannel"},
			{serviceSecrets, "secretsmanager.GetRandomPassword", "/", "no operation"},
			{serviceIoTData, "", "/things/x/shadow", "no IoT data operation"},
		} {
			s := signedRequest{path: row.path, body: "{}", hashed: "{}", service: row.service, region: Region, key: c.keys.issue(hub, time.Now()),
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
	for name := range kvsOperations {
		wantRow(t, serviceKVS, name)
	}
	for name := range secretsOperations {
		wantRow(t, serviceSecrets, name)
	}
	for _, name := range []string{"PutMedia", "GetMedia"} {
		wantRow(t, serviceKVS, name)
	}
	for _, name := range []string{"PutMetricData", "ListMetrics", "GetMetricStatistics"} {
		wantRow(t, serviceCloudWatch, name)
	}
	for _, name := range []string{"Publish", "RetainPublish", "GetRetainedMessage", "ListRetainedMessages"} {
		wantRow(t, serviceIoTData, name)
	}
	wantRow(t, serviceIoT, "DescribeEndpoint")
	wantRow(t, serviceSTS, "GetCallerIdentity")
}

func wantRow(t *testing.T, service, operation string) {
	t.Helper()
	if _, ok := rights[actionOf(service, operation)]; !ok {
		t.Errorf("%s of %s has no row", operation, service)
	}
}

func TestAStreamThatIsNamedByItsARN(t *testing.T) {
	t.Parallel()
	calls := newLines()
	c := start(t, Options{Calls: calls})
	arn, err := c.CreateStream("cam", 1)
	must(t, err)
	s := signedRequest{path: "/putMedia", service: serviceKVS, region: Region, key: c.keys.user(), at: time.Now()}
	s.before = func(r *http.Request) {
		r.Header.Set("x-amzn-stream-arn", arn)
		r.Header.Set("x-amzn-fragment-timecode-type", "ABSOLUTE")
		r.Header.Set("x-amzn-producer-start-timestamp", "1700000000.000")
	}
	s.send(t, c)
	calls.await(t, "kinesisvideo PutMedia of "+arn+" by user: 200")
}
