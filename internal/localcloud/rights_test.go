package localcloud

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iam"
)

// deviceCalls are the calls that the agent, or what was there before it, makes as a device.
func deviceCalls(t *testing.T, c *Cloud) map[string]func() error {
	t.Helper()
	cfg := deviceConfig(t, c, hub)
	kvs, secrets, metrics := kinesisvideo.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg), cloudwatch.NewFromConfig(cfg)
	ctx, cam := t.Context(), aws.String("cam")
	return map[string]func() error{
		"kinesisvideo:ListStreams": func() error { _, err := kvs.ListStreams(ctx, &kinesisvideo.ListStreamsInput{}); return err },
		"kinesisvideo:DescribeStream": func() error {
			_, err := kvs.DescribeStream(ctx, &kinesisvideo.DescribeStreamInput{StreamName: cam})
			return err
		},
		"kinesisvideo:GetDataEndpoint": func() error {
			_, err := kvs.GetDataEndpoint(ctx, &kinesisvideo.GetDataEndpointInput{StreamName: cam, APIName: "PUT_MEDIA"})
			return err
		},
		"kinesisvideo:TagStream": func() error {
			_, err := kvs.TagStream(ctx, &kinesisvideo.TagStreamInput{StreamName: cam, Tags: map[string]string{"a": "b"}})
			return err
		},
		"kinesisvideo:ListTagsForStream": func() error {
			_, err := kvs.ListTagsForStream(ctx, &kinesisvideo.ListTagsForStreamInput{StreamName: cam})
			return err
		},
		"kinesisvideo:ListEdgeAgentConfigurations": func() error {
			_, err := kvs.ListEdgeAgentConfigurations(ctx, &kinesisvideo.ListEdgeAgentConfigurationsInput{HubDeviceArn: &hubARN})
			return err
		},
		"kinesisvideo:StartEdgeConfigurationUpdate": func() error { _, err := startUpdate(t, kvs, "cam"); return err },
		"secretsmanager:GetSecretValue": func() error {
			_, err := secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("camera")})
			return err
		},
		"secretsmanager:DescribeSecret": func() error {
			_, err := secrets.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String("camera")})
			return err
		},
		"cloudwatch:PutMetricData": func() error {
			_, err := metrics.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{
				Namespace: aws.String("N"), MetricData: []cwtypes.MetricDatum{{MetricName: aws.String("m"), Value: aws.Float64(1)}},
			})
			return err
		},
		"cloudwatch:ListMetrics": func() error { _, err := metrics.ListMetrics(ctx, &cloudwatch.ListMetricsInput{}); return err },
		"sts:GetCallerIdentity": func() error {
			_, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
			return err
		},
	}
}

func TestTheRightsOfDevices(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		options Options
		denied  []string
	}{
		"our contract": {Options{}, []string{"kinesisvideo:StartEdgeConfigurationUpdate"}},
		"as AWS": {Options{AsAWS: true}, []string{
			"kinesisvideo:ListTagsForStream", "kinesisvideo:ListEdgeAgentConfigurations", "kinesisvideo:StartEdgeConfigurationUpdate",
			"secretsmanager:DescribeSecret", "cloudwatch:ListMetrics",
		}},
		"as AWS and more": {Options{AsAWS: true, Allow: []string{"kinesisvideo:*", "SECRETSMANAGER:describesecret"}},
			[]string{"cloudwatch:ListMetrics"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row.options.Refusals = newLines()
			c := start(t, row.options)
			_, err := c.CreateStream("cam", 24)
			must(t, err)
			_, err = c.PutSecret("camera", "x")
			must(t, err)
			denied := strings.Join(row.denied, " ")
			for action, do := range deviceCalls(t, c) {
				err := do()
				if !strings.Contains(denied, action) {
					if err != nil {
						t.Errorf("%s: %v", action, err)
					}
					continue
				}
				status, code := 403, "AccessDeniedException"
				switch service, _, _ := strings.Cut(action, ":"); service {
				case "secretsmanager":
					status = 400
				case "cloudwatch":
					code = "AccessDenied"
				}
				wantError(t, err, code, status)
				says := "User: arn:aws:sts::123456789012:assumed-role/" + RoleAlias + "/hub-1 is not authorized to perform: " + action
				if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(),
					"because no identity-based policy allows the "+action+" action") {
					t.Errorf("%s is denied with %v", action, err)
				}
			}
		})
	}
}

func TestDeniedMediaHasStatus403AndNoCode(t *testing.T) {
	t.Parallel()
	c := start(t, Options{AsAWS: true})
	arn, err := c.CreateStream("cam", 24)
	must(t, err)
	for _, row := range []struct {
		path, body, says string
		status           int
	}{
		{"/putMedia", "", "", 200},
		{"/getMedia", `{"StreamName":"cam","StartSelector":{"StartSelectorType":"EARLIEST"}}`,
			"kinesisvideo:GetMedia on resource: " + arn + " because", 403},
		{"/listFragments", `{"StreamName":"cam"}`, "kinesisvideo:ListFragments on resource: " + arn + " because", 403},
	} {
		s := signedRequest{path: row.path, body: row.body, hashed: row.body, service: awsapi.KVS, region: Region, key: c.keys.Issue(hub,
			time.Now()), at: time.Now()}
		s.after = func(r *http.Request) {
			r.Header.Set("x-amzn-stream-name", "cam")
			r.Header.Set("x-amzn-fragment-timecode-type", "ABSOLUTE")
			r.Header.Set("x-amzn-producer-start-timestamp", "1700000000.000")
		}
		response := s.send(t, c)
		body, err := io.ReadAll(response.Body)
		must(t, err)
		if response.StatusCode != row.status || !strings.Contains(string(body), row.says) {
			t.Errorf("%s is answered %d: %s", row.path, response.StatusCode, body)
		}
	}
	if e := c.policies.Denied(iam.Caller{Thing: hub}, awsapi.KVS, "kinesisvideo:PutMedia", "cam"); e.Name != "" || e.Status != 403 {
		t.Errorf("PutMedia is denied with %v", e)
	}
}

func TestTheCertificatesPolicyAsAWSsGuideHasIt(t *testing.T) {
	t.Parallel()
	// Each row has a packet of its own: to write one changes it.
	retained := func() packets.ControlPacket {
		return publishPacket("anything/at/all", 1, func(p *packets.PublishPacket) { p.Retain = true })
	}
	retainedWill := func() packets.ControlPacket {
		return connectPacket("any-client", func(p *packets.ConnectPacket) {
			p.WillFlag, p.WillTopic, p.WillRetain, p.WillMessage = true, "a", true, []byte("x")
		})
	}
	for name, row := range map[string]struct {
		allow  []string
		packet packets.ControlPacket
		want   string
	}{
		"any client id":           {nil, connectPacket("any-client", nil), "CONNACK 0"},
		"any topic":               {nil, publishPacket("anything/at/all", 1, nil), "PUBACK"},
		"any filter":              {nil, subscribePacket(1, "#"), "SUBACK 01"},
		"retained":                {nil, retained(), "closed"},
		"retained, allowed":       {[]string{"iot:RetainPublish"}, retained(), "PUBACK"},
		"a retained will":         {nil, retainedWill(), "closed"},
		"a retained will allowed": {[]string{"iot:RetainPublish"}, retainedWill(), "CONNACK 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refusals := newLines()
			c := start(t, Options{AsAWS: true, Allow: row.allow, Refusals: refusals})
			r := dialMQTT(t, c, hub)
			if _, ok := row.packet.(*packets.ConnectPacket); !ok {
				r.ask(connectPacket(hub, nil))
			}
			if got := r.ask(row.packet); got != row.want {
				t.Errorf("answered %s, want %s", got, row.want)
			}
			if row.want == "closed" {
				refusals.await(t, "the right iot:RetainPublish")
			}
		})
	}
}

func TestUnknownActionsCannotBeAllowed(t *testing.T) {
	t.Parallel()
	for _, allow := range []string{"kinesisvideo:Fly", "ListStreams", "", "[", "iot"} {
		if _, err := Start(Options{Dir: t.TempDir(), Allow: []string{allow}}); err == nil || !strings.Contains(err.Error(), "is not an action") {
			t.Errorf("%q: %v", allow, err)
		}
		if _, err := Start(Options{Dir: t.TempDir(), Deny: []string{allow}}); err == nil || !strings.Contains(err.Error(), "is not an action") {
			t.Errorf("%q is denied: %v", allow, err)
		}
	}
}

func TestWhatIsDeniedNothingAllows(t *testing.T) {
	t.Parallel()
	c := start(t, Options{Allow: []string{"*:*"}, Deny: []string{"kinesisvideo:Put*", "iot:RetainPublish"}})
	for action, want := range map[string]bool{
		"kinesisvideo:PutMedia": false, "iot:RetainPublish": false, "iot:Publish": true,
		"kinesisvideo:DescribeStream": true, "kinesisvideo:DeleteStream": true,
	} {
		if role, policy := c.policies.RoleAllows(action), c.policies.PolicyAllows(action, true); role != want || policy != want {
			t.Errorf("%s: the role allows it %v, the policy %v", action, role, policy)
		}
	}
}
