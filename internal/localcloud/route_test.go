package localcloud

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iot"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// userEnv is the environment of a foreign program that acts as the user.
func userEnv(t *testing.T, c *Cloud) []string {
	t.Helper()
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AWS_EC2_METADATA_DISABLED=true", "NO_PROXY=127.0.0.1",
		"AWS_MAX_ATTEMPTS=1"}
	for _, v := range c.UserEnv() {
		env = append(env, v.String())
	}
	return env
}

func TestBoto3ReadsEveryAnswer(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "/usr/bin/python3")
	c := start(t, Options{})
	script := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/services.py", c.Endpoint(), c.pki.CAFile())
	script.Env = userEnv(t, c)
	out, err := script.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := map[string]string{}
	for line := range strings.Lines(string(out)) {
		for _, sign := range []string{" = ", " ! "} {
			if title, answer, ok := strings.Cut(line, sign); ok {
				got[title] = strings.TrimSpace(answer)
				break
			}
		}
	}
	const none = "404 UnknownService | localcloud has no service "
	for title, want := range map[string]string{
		"put":        "200",
		"list":       "[{'Namespace': 'N', 'MetricName': 'm', 'Dimensions': [{'Name': 'Stream', 'Value': 'cam'}]}]",
		"statistics": "[(8.0, 4.0, 2.5, 'Count')]",
		"old": "400 InvalidParameterValue | The parameter MetricData.member.1.Timestamp must specify a time no more than two weeks " +
			"in the past.",
		"alarms":        `400 InvalidAction | localcloud has no operation "DescribeAlarms" of CloudWatch`,
		"create":        "a/b",
		"get":           `b'\x00\xff'`,
		"missing":       "400 ResourceNotFoundException | Secrets Manager can't find the specified secret.",
		"rotate":        `400 UnknownOperationException | localcloud has no operation "RotateSecret" of Secrets Manager`,
		"who":           "arn:aws:iam::123456789012:user/local",
		"session":       `400 InvalidAction | localcloud has no operation "GetSessionToken" of sts`,
		"endpoint":      c.MQTTEndpoint(),
		"things":        "404 UnknownOperationException | localcloud has no IoT operation at GET /things",
		"publish":       "200",
		"retained":      "b'hello'",
		"retained list": "['kvs-edge/hub-1/a']",
		"slashes":       "400 InvalidRequestException | the topic has 8 slashes; at most 7 are allowed",
		"shadow":        "404 UnknownOperationException | localcloud has no IoT data operation at GET /things/hub-1/shadow",
		"stream":        "404 ResourceNotFoundException | ",
		"ec2":           none + "ec2; it has kinesisvideo",
		"s3":            none + "s3;",
		"lambda":        none + "lambda;",
		"dynamodb":      none + "dynamodb;",
		"sqs":           none + "sqs;",
		"logs":          none + "logs;",
	} {
		if !strings.HasPrefix(got[title], want) {
			t.Errorf("%s: got %q, want %q", title, got[title], want)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

func TestTheAWSCommandLineWorks(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "/usr/bin/aws")
	c := start(t, Options{Seed: seed(t)})
	for _, row := range []struct{ args, want string }{
		{"kinesisvideo list-streams --query StreamInfoList[].StreamName", "cam"},
		{"secretsmanager get-secret-value --secret-id plain --query SecretString", "text"},
		{"sts get-caller-identity --query Account", Account},
		{"cloudwatch put-metric-data --namespace N --metric-name m --value 3 --dimensions Stream=cam", ""},
		{"iot describe-endpoint --endpoint-type iot:CredentialProvider --query endpointAddress", c.CredentialEndpoint()},
		{"iot-data publish --topic kvs-edge/hub-1/x --qos 1 --payload e30=", ""},
		{"ssm get-parameter --name x", "localcloud has no service ssm; it has kinesisvideo, secretsmanager, monitoring (CloudWatch), sts, " +
			"iot, iotdata, iotsitewise and iottwinmaker"},
	} {
		// Older versions do not know AWS_ENDPOINT_URL.
		command := exec.CommandContext(t.Context(), "/usr/bin/aws", append(strings.Fields(row.args), "--endpoint-url", c.Endpoint(), "--output",
			"text")...)
		command.Env = userEnv(t, c)
		out, err := command.CombinedOutput()
		got := strings.TrimSpace(string(out))
		if refused := strings.HasPrefix(row.want, "localcloud"); refused && (err == nil || !strings.Contains(got, row.want)) || !refused &&
			(err != nil || got != row.want) {
			t.Errorf("aws %s: %v\n%s", row.args, err, got)
		}
	}
}

// routeRow is a request and what must be in its answer.
type routeRow struct {
	path, scope string
	header      [2]string
	body        string
	unsigned    bool
	status      int
	want        []string // in header and body of the answer
}

func routeRows() map[string]routeRow {
	return map[string]routeRow{
		"JSON CloudWatch": {path: "/", scope: "monitoring", header: [2]string{"X-Amz-Target", "GraniteServiceVersion20100801.ListMetrics"},
			body:   `{"NextToken":null}`,
			status: 200, want: []string{"application/x-amz-json-1.0", `{"Metrics":[]}`}},
		"JSON CloudWatch, wrong": {path: "/", scope: "monitoring", header: [2]string{"X-Amz-Target",
			"GraniteServiceVersion20100801.PutMetricData"}, body: `{}`,
			status: 400, want: []string{"MissingParameter;Sender", `"__type":"MissingRequiredParameterException"`}},
		"unknown service, CBOR": {path: "/service/X/operation/Y", scope: "x", header: [2]string{"smithy-protocol", "rpc-v2-cbor"}, status: 404,
			want: []string{"application/cbor", "localcloud has no service x"}},
		"another's path": {path: "/describeStream", scope: "iot", body: `{}`, status: 403, want: []string{"InvalidSignatureException",
			"correct service: 'kinesisvideo'"}},
		"unsigned query": {path: "/", header: [2]string{"Content-Type", awsapi.TypeForm}, body: "Action=GetCallerIdentity&Version=2011-06-15",
			unsigned: true, status: 403, want: []string{"<Code>MissingAuthenticationToken</Code>", "sts.amazonaws.com"}},
		"unsigned metrics": {path: "/", header: [2]string{"Content-Type", awsapi.TypeForm}, body: "Action=ListMetrics&Version=2010-08-01",
			unsigned: true, status: 403, want: []string{"<Code>MissingAuthenticationToken</Code>", "monitoring.amazonaws.com"}},
		"unsigned secret": {path: "/", header: [2]string{"X-Amz-Target", "secretsmanager.ListSecrets"}, body: "{}", unsigned: true,
			status: 403, want: []string{"application/x-amz-json-1.1", `"__type":"MissingAuthenticationTokenException"`}},
		"unsigned topic": {path: "/topics/a", unsigned: true, status: 403, want: []string{"MissingAuthenticationTokenException",
			"traceId"}},
		"a credentials request": {path: "/role-aliases/x/credentials", unsigned: true, status: 404, want: []string{`"message":"Not Found"`,
			"traceId"}},
		"IoT's gateway name": {path: "/topics/kvs-edge%2Fhub-1%2Fx?qos=1", scope: "iotdevicegateway", body: "{}", status: 200,
			want: []string{`"message":"OK"`}},
	}
}

func TestRequestsFindTheirService(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	client := cloudwatch.NewFromConfig(userConfig(t, c))
	_, err := client.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{})
	wantError(t, err, "InvalidAction", 400)
	for name, row := range routeRows() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := signedRequest{path: row.path, body: row.body, hashed: row.body, service: row.scope, region: Region, key: c.keys.User(),
				at: time.Now()}
			s.before = func(r *http.Request) {
				r.Header.Del("Content-Type")
				if row.header[0] != "" {
					r.Header.Set(row.header[0], row.header[1])
				}
			}
			if row.unsigned {
				s.after = func(r *http.Request) { r.Header.Del("Authorization") }
			}
			response := s.send(t, c)
			var all bytes.Buffer
			must(t, response.Header.Write(&all))
			_, err := io.Copy(&all, response.Body)
			must(t, err)
			for _, want := range row.want {
				if response.StatusCode != row.status || !strings.Contains(all.String(), want) {
					t.Errorf("answered %d without %q: %s", response.StatusCode, want, &all)
				}
			}
		})
	}
}

func TestDescribeEndpoint(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	for kind, want := range map[string]string{
		"":                       c.MQTTEndpoint(),
		"iot:Data":               c.MQTTEndpoint(),
		"iot:Data-ATS":           c.MQTTEndpoint(),
		"iot:CredentialProvider": c.CredentialEndpoint(),
		"iot:Jobs":               "InvalidRequestException",
	} {
		control, _ := c.servicesByScope(awsapi.IoT)
		got, err := control.Call("DescribeEndpoint", httptest.NewRequest(http.MethodGet, iot.EndpointPath+"?endpointType="+kind, nil), nil)
		if err != nil {
			got = []byte(err.Error())
		}
		if !strings.Contains(string(got), want) {
			t.Errorf("%s: %s", kind, got)
		}
	}
}
