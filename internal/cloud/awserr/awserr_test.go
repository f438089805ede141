package awserr

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

const (
	user = "User: arn:aws:sts::123456789012:assumed-role/hub/0a1b"
	// denied is IAM's text.
	denied = user + " is not authorized to perform: kinesisvideo:PutMedia on resource: " +
		"arn:aws:kinesisvideo:us-west-2:123456789012:stream/door/1700000000000 because no identity-based policy allows the " +
		"kinesisvideo:PutMedia action"
)

func TestWhatAnAnswerMeans(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		status         int
		name, message  string
		want           Kind
		action         string
		resourceEnding string
	}{
		"IAM, with a name":    {403, "AccessDeniedException", denied, Denied, "kinesisvideo:PutMedia", "stream/door/1700000000000"},
		"IAM, without a name": {403, "", denied, Denied, "kinesisvideo:PutMedia", "stream/door/1700000000000"},
		"IAM, as 400": {400, "AccessDeniedException", user +
			" is not authorized to perform: secretsmanager:GetSecretValue on resource: camera-1", Denied, "secretsmanager:GetSecretValue",
			"camera-1"},
		"IAM, as 401": {401, "NotAuthorizedException", denied, Denied, "kinesisvideo:PutMedia", "1700000000000"},
		"IAM, no resource": {403, "AccessDenied", user + " is not authorized to perform: cloudwatch:PutMetricData because no " +
			"identity-based policy allows the cloudwatch:PutMetricData action", Denied, "cloudwatch:PutMetricData", ""},
		"IAM, explicit deny": {403, "", "access denied with an explicit deny in a service control policy", Denied, "", ""},
		"KMS":                {400, "AccessDeniedException", "Access to KMS is not allowed", Denied, "", ""},
		"KVS, 401":           {401, "NotAuthorizedException", "", DeniedOrExpired, "", ""},
		"KVS, 401, as documented": {401, "NotAuthorizedException", "The caller is not authorized to perform an operation on the given " +
			"stream, or the token has expired.", DeniedOrExpired, "", ""},
		"KVS, 401, expired":       {401, "NotAuthorizedException", "The token has expired", Expired, "", ""},
		"expired":                 {403, "ExpiredTokenException", "The security token included in the request is expired", Expired, "", ""},
		"expired, without a name": {403, "", "The security token included in the request is expired", Expired, "", ""},
		"STS, expired":            {403, "ExpiredToken", "", Expired, "", ""},
		"not known": {403, "UnrecognizedClientException", "The security token included in the request is invalid.", Unknown, "",
			""},
		"not known, without a name": {403, "", "The security token included in the request is invalid.", Unknown, "", ""},
		"STS, not known":            {403, "InvalidClientTokenId", "", Unknown, "", ""},
		"clock": {403, "InvalidSignatureException",
			"Signature expired: 20261101T000000Z is now earlier than 20261101T001500Z", Signature, "", ""},
		"clock, without a name":  {403, "", "Signature expired: 20261101T000000Z is now earlier than 20261101T001500Z", Signature, "", ""},
		"STS, signature":         {403, "SignatureDoesNotMatch", "", Signature, "", ""},
		"region":                 {403, "", "Credential should be scoped to a valid region.", Signature, "", ""},
		"refused without a word": {403, "", "", Forbidden, "", ""},
		"a proxy's 401":          {401, "", "", Forbidden, "", ""},
		"throttled":              {400, "ThrottlingException", "Rate exceeded", Throttled, "", ""},
		"CloudWatch, throttled":  {400, "Throttling", "", Throttled, "", ""},
		"KVS, throttled":         {400, "ClientLimitExceededException", "", Throttled, "", ""},
		"429":                    {429, "", "", Throttled, "", ""},
		"KVS, connections":       {400, "ConnectionLimitExceededException", "", Limit, "", ""},
		"no stream":              {404, "ResourceNotFoundException", "", NotFound, "", ""},
		"no secret":              {400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.", NotFound, "", ""},
		"404":                    {404, "", "Not Found", NotFound, "", ""},
		"namespaces": {400, "com.amazonaws.kinesisvideo#InvalidEndpointException:http://internal.amazon.com/x", "", Invalid, "",
			""},
		"400":              {400, "", "", Invalid, "", ""},
		"a deleted secret": {400, "InvalidRequestException", "", Unusable, "", ""},
		"a secret's key":   {400, "DecryptionFailure", "", Undecryptable, "", ""},
		"a wrong ARN":      {400, "InvalidParameterException", "", Malformed, "", ""},
		"500":              {500, "InternalFailure", "", Failing, "", ""},
		"503 of a proxy":   {503, "", "", Failing, "", ""},
		"redirected":       {302, "", "", Unexpected, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := Classify(row.status, row.name, row.message)
			if e.Kind != row.want || e.Action != row.action || !strings.HasSuffix(e.Resource, row.resourceEnding) {
				t.Errorf("got %+v, want kind %d", e, row.want)
			}
			if strings.ContainsAny(e.Name, "#:") {
				t.Errorf("the name is %q", e.Name)
			}
		})
	}
}

func TestAnswersOfTheCredentialsEndpoint(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		status int
		body   string
		want   Kind
	}{
		{401, "", Certificate},
		{403, `{"message":"Invalid certificate"}`, Certificate},
		{403, `{"message":"Access Denied"}`, Denied},
		{403, "", Denied},
		{404, `{"message":"Role alias does not exist"}`, NotFound},
		{404, `{"message":"Not Found","traceId":"0a"}`, NoSuchPath},
		{400, `{"message":"ThingName does not match"}`, Invalid},
		{429, "", Throttled},
		{503, "<html>", Failing},
	} {
		if e := ParseCredentials(row.status, []byte(row.body)); e.Kind != row.want || e.Status != row.status {
			t.Errorf("%d %s: got %+v, want kind %d", row.status, row.body, e, row.want)
		}
	}
}

func TestEachNameHasOneMeaning(t *testing.T) {
	t.Parallel()
	seen := make(map[string]Kind)
	for kind, names := range byName {
		for _, name := range names {
			if other, twice := seen[name]; twice {
				t.Errorf("%s means %d and %d", name, kind, other)
			}
			seen[name] = kind
		}
	}
}

// callsOfTheSDK are one of each protocol.
var callsOfTheSDK = map[string]func(context.Context, aws.Config) error{
	"KVS": func(ctx context.Context, cfg aws.Config) error {
		_, err := kinesisvideo.NewFromConfig(cfg).ListStreams(ctx, &kinesisvideo.ListStreamsInput{})
		return err
	},
	"Secrets Manager": func(ctx context.Context, cfg aws.Config) error {
		_, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("x")})
		return err
	},
	"CloudWatch": func(ctx context.Context, cfg aws.Config) error {
		_, err := cloudwatch.NewFromConfig(cfg).ListMetrics(ctx, &cloudwatch.ListMetricsInput{})
		return err
	},
	"STS": func(ctx context.Context, cfg aws.Config) error {
		_, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		return err
	},
}

// TestTheSDKsErrorsOfEachService has servers answer in each service's protocol.
func TestTheSDKsErrorsOfEachService(t *testing.T) {
	t.Parallel()
	for service, call := range callsOfTheSDK {
		for name, want := range map[string]Kind{"AccessDeniedException": Denied, "ExpiredTokenException": Expired,
			"ThrottlingException": Throttled, "": Forbidden} {
			t.Run(service+"/"+name, func(t *testing.T) {
				t.Parallel()
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					switch {
					case service == "STS":
						w.WriteHeader(http.StatusForbidden)
						_, _ = io.WriteString(w, "<ErrorResponse><Error><Code>"+name+"</Code><Message>no</Message></Error></ErrorResponse>")
						return
					case service == "CloudWatch":
						w.Header().Set("smithy-protocol", "rpc-v2-cbor")
						w.Header().Set("Content-Type", "application/cbor")
						w.WriteHeader(http.StatusForbidden)
						_, _ = io.WriteString(w, "\xa2"+cbor("__type")+cbor(name)+cbor("message")+cbor("no"))
						return
					default:
						w.Header().Set("x-amzn-ErrorType", name)
						w.WriteHeader(http.StatusForbidden)
						_, _ = io.WriteString(w, `{"message":"no"}`)
					}
				}))
				defer server.Close()
				err := call(t.Context(), aws.Config{
					Region: "us-west-2", BaseEndpoint: &server.URL, RetryMaxAttempts: 1, HTTPClient: server.Client(),
					Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
				})
				if got := Of(err); got.Kind != want || got.Status != http.StatusForbidden {
					t.Errorf("got %+v of %v, want %d", got, err, want)
				}
			})
		}
	}
	if got := Of(io.ErrUnexpectedEOF); got.Kind != Unreachable {
		t.Errorf("without an answer: %+v", got)
	}
}

// TestAnAnswerThatEndsEarlyIsNone has connections and streams break within good answers: that is the line's fault, and not a proxy's.
func TestAnAnswerThatEndsEarlyIsNone(t *testing.T) {
	t.Parallel()
	parts := map[string]string{"KVS": `{"StreamInfoList":[`, "Secrets Manager": `{"Name":"x`, "CloudWatch": "\xbf\x67", "STS": "<A><B>"}
	for service, call := range callsOfTheSDK {
		for _, how := range []string{"length", "chunks", "HTTP/2"} {
			t.Run(service+"/"+how, func(t *testing.T) {
				t.Parallel()
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("smithy-protocol", "rpc-v2-cbor")
					w.Header().Set("Content-Type", "application/cbor")
					if how == "length" {
						w.Header().Set("Content-Length", "1000")
					}
					_, _ = io.WriteString(w, parts[service])
					_ = http.NewResponseController(w).Flush()
					panic(http.ErrAbortHandler)
				}))
				server.EnableHTTP2 = how == "HTTP/2"
				server.StartTLS()
				defer server.Close()
				err := call(t.Context(), aws.Config{
					Region: "us-west-2", BaseEndpoint: &server.URL, RetryMaxAttempts: 1, HTTPClient: server.Client(),
					Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
				})
				if got := Of(err); err == nil || got.Kind != Unreachable || got.Status != 0 {
					t.Errorf("got %+v of %v", got, err)
				}
			})
		}
	}
}

// cbor encodes a short text (RFC 8949).
func cbor(s string) string { return string([]byte{0x78, byte(len(s))}) + s }

func TestAnswersOfTheDataPlanes(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		status       int
		header, body string
		want         Kind
	}{
		"KVS, denied without a name":   {403, "", `{"Message":"` + denied + `"}`, Denied},
		"KVS, by the header":           {400, "ClientLimitExceededException", `{}`, Throttled},
		"the IoT data endpoint":        {404, "", `{"message":"Not Found","traceId":"0a1b2c3d"}`, NoSuchPath},
		"IoT credentials, no alias":    {404, "", `{"message":"Role alias not found"}`, NotFound},
		"IoT credentials, not allowed": {403, "", `{"message":"Access Denied"}`, Denied},
		"a proxy's page":               {403, "", `<html>`, Forbidden},
	} {
		header := http.Header{}
		if row.header != "" {
			header.Set("x-amzn-ErrorType", row.header)
		}
		if got := Parse(row.status, header, []byte(row.body)); got.Kind != row.want {
			t.Errorf("%s: got %+v, want %d", name, got, row.want)
		}
	}
}
