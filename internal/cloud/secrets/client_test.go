package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secretARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:camera-1-a1B2c3"

func client(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	transport := server.Client()
	t.Cleanup(transport.CloseIdleConnections)
	return New(awsclient.Of(aws.Config{
		Region:           "us-west-2",
		BaseEndpoint:     aws.String(server.URL),
		Credentials:      credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "hunter2key", ""),
		HTTPClient:       transport,
		RetryMaxAttempts: 1,
	}))
}

func value(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"ARN": secretARN, "Name": "camera-1", "SecretString": s})
	}
}

func refusal(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": "no"})
	}
}

func TestTheURLIsReadFromEitherKey(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		`{"MediaURI":"rtsp://admin:hunter2@10.0.0.7:554/stream"}`:              "rtsp://admin:hunter2@10.0.0.7:554/stream",
		`{"MediaURI":"file:///door.mp4?loop=true"}`:                            "file:///door.mp4?loop=true",
		`{"RTSPStreamUrl":"rtsps://10.0.0.7/stream"}`:                          "rtsps://10.0.0.7/stream",
		`{"MediaURI":"RTSPH://10.0.0.7/stream"}`:                               "RTSPH://10.0.0.7/stream",
		`{"MediaURI":"'rtspt://u:p%40ss?#/é@10.0.0.7/stream#x'\n"}`:            "rtspt://u:p%40ss?#/é@10.0.0.7/stream#x",
		`{"MediaURI":"\"file:///door.mp4\""}`:                                  "file:///door.mp4",
		`{"RTSPStreamUrl":"rtsp://old/","MediaURI":"rtsp://new/","Other":[1]}`: "rtsp://new/",
		`{"MediaURI":" RTSP://cam/\n"}`:                                        "RTSP://cam/",
		`{"MediaURI":"rtsp://admin:p@:/%@10.0.0.7/stream"}`:                    "rtsp://admin:p@:/%@10.0.0.7/stream",
		`{"mediauri":"rtsp://other-case/","MediaURI":"rtsp://exact-case/"}`:    "rtsp://exact-case/",
		`{"mediaUri":"rtsp://any-case/"}`:                                      "rtsp://any-case/",
		`{"RTSPStreamURL":"rtsp://edge-connector/"}`:                           "rtsp://edge-connector/",
		`{"rtspstreamurl":"rtsp://lower-case/"}`:                               "rtsp://lower-case/",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			got, err := client(t, value(content)).MediaURI(t.Context(), secretARN)
			if err != nil || got.Reveal() != want {
				t.Errorf("got %q, %v", got.Reveal(), err)
			}
		})
	}
}

func TestBinarySecretsAreReadToo(t *testing.T) {
	t.Parallel()
	got, err := client(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"SecretBinary": []byte(`{"MediaURI":"rtsp://cam/"}`)})
	}).MediaURI(t.Context(), secretARN)
	if err != nil || got.Reveal() != "rtsp://cam/" {
		t.Errorf("got %q, %v", got.Reveal(), err)
	}
}

func TestTheRequestIsForTheSecretInItsRegion(t *testing.T) {
	t.Parallel()
	var target, authorization, body string
	_, err := client(t, func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		target, authorization, body = r.Header.Get("X-Amz-Target"), r.Header.Get("Authorization"), string(data)
		value(`{"MediaURI":"rtsp://cam/"}`)(w, r)
	}).MediaURI(t.Context(), secretARN)
	if err != nil {
		t.Fatal(err)
	}
	if target != "secretsmanager.GetSecretValue" || !strings.Contains(authorization, "/eu-central-1/secretsmanager/") ||
		!strings.Contains(body, secretARN) {
		t.Errorf("asked %s, %s, %s", target, authorization, body)
	}
}

func TestEveryFailureHasItsOwnSentenceWithoutTheValue(t *testing.T) {
	t.Parallel()
	const user, system = health.UserError, health.SystemError
	for name, row := range map[string]struct {
		handler http.HandlerFunc
		code    string
		class   health.Class
		says    string
	}{
		"not found":           {refusal(400, "ResourceNotFoundException"), codeNotFound, user, "does not exist"},
		"marked for deletion": {refusal(400, "InvalidRequestException"), codeNotFound, user, "marked for deletion"},
		"not an ARN":          {refusal(400, "ValidationException"), codeNotFound, user, "correct MediaUriSecretArn"},
		"denied":              {refusal(400, "AccessDeniedException"), CodeDenied, user, "secretsmanager:GetSecretValue"},
		"denied, plain 403":   {refusal(403, ""), CodeDenied, user, "secretsmanager:GetSecretValue"},
		"no decryption":       {refusal(400, "DecryptionFailure"), CodeDenied, user, "kms:Decrypt"},
		"bad credentials":     {refusal(403, "UnrecognizedClientException"), CodeDenied, system, "refuses the hub's credentials"},
		"service broken":      {refusal(500, "InternalServiceError"), codeUnreachable, system, "HTTP status 500"},
		"throttled":           {refusal(400, "ThrottlingException"), codeUnreachable, system, "HTTP status 400"},
		"not JSON":            {value("rtsp://admin:hunter2@cam/"), codeContent, user, "is not JSON"},
		"null":                {value("null"), codeContent, user, "is not JSON"},
		"list":                {value(`["rtsp://admin:hunter2@cam/"]`), codeContent, user, "is not JSON"},
		"no value": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }, codeContent, user,
			"is not JSON"},
		"key missing":        {value(`{"username":"admin","password":"hunter2"}`), codeContent, user, "has no key MediaURI"},
		"URL a number":       {value(`{"MediaURI":5}`), codeContent, user, "is not a string"},
		"URL empty":          {value(`{"MediaURI":""}`), codeContent, user, "rtsp:// or rtsps://"},
		"URL without host":   {value(`{"MediaURI":"rtsp:///hunter2"}`), codeContent, user, "rtsp:// or rtsps://"},
		"file without path":  {value(`{"MediaURI":"file:///"}`), codeContent, user, "file:///"},
		"URL of a web page":  {value(`{"MediaURI":"http://admin:hunter2@cam/"}`), codeContent, user, "rtsp:// or rtsps://"},
		"URL without scheme": {value(`{"MediaURI":"admin:hunter2@cam/"}`), codeContent, user, "rtsp:// or rtsps://"},
		"URL of two lines":   {value(`{"MediaURI":"rtsp://cam/\r\nX: hunter2"}`), codeContent, user, "rtsp:// or rtsps://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := client(t, row.handler).MediaURI(t.Context(), secretARN)
			var fault *health.Fault
			if !errors.As(err, &fault) {
				t.Fatalf("got %v, want a fault", err)
			}
			if fault.Code != row.code || fault.Class != row.class || !strings.Contains(fault.Text, row.says) {
				t.Errorf("got %s %s: %s\nwant %s %s with %q", fault.Code, fault.Class, fault.Text, row.code, row.class, row.says)
			}
			if text := fmt.Sprintf("%v %+v %v", err, err, fault.Err); strings.Contains(text, "hunter2") {
				t.Errorf("the error shows the secret: %s", text)
			}
		})
	}
}

func TestAnUnreachableServiceIsASystemFaultWithinTheDeadline(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	c := New(awsclient.Of(aws.Config{
		Region: "us-west-2", BaseEndpoint: aws.String("https://" + silent.Addr().String()),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "hunter2key", ""),
		HTTPClient:  &http.Client{Transport: &http.Transport{}},
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = c.MediaURI(ctx, secretARN)
	if f := health.FaultOf(err, ""); f == nil || f.Code != codeUnreachable || f.Class != health.SystemError {
		t.Errorf("got %v, want %s", err, codeUnreachable)
	}
}

func TestAFaultOfTheCredentialsIsShownAsItIs(t *testing.T) {
	t.Parallel()
	want := health.UserFault("credentials-role-alias", nil, "The role alias x does not exist.")
	c := New(awsclient.Of(aws.Config{
		Region: "us-west-2", BaseEndpoint: aws.String("https://127.0.0.1:1"), RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, want }),
	}))
	if _, err := c.MediaURI(t.Context(), secretARN); !errors.Is(err, want) {
		t.Errorf("got %v, want the credentials' fault", err)
	}
}
