package localcloud

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
)

// cameraURL is a secret that no line may hold.
const cameraURL = "rtsp://user:hunter2@camera"

// makeCalls makes requests of each kind that succeed, and that are refused.
func makeCalls(t *testing.T, c *Cloud) {
	t.Helper()
	_, err := c.CreateStream("cam", 24)
	must(t, err)
	user, device := secretsmanager.NewFromConfig(userConfig(t, c)), kinesisvideo.NewFromConfig(deviceConfig(t, c, hub))
	_, err = user.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("camera"), SecretString: aws.String(cameraURL)})
	must(t, err)
	_, err = user.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("a b"), SecretString: aws.String(cameraURL)})
	wantError(t, err, "InvalidParameterException", 400)
	hostile := "none\n\x1b[2J" + strings.Repeat("x", 400)
	_, err = secretsmanager.NewFromConfig(deviceConfig(t, c, hub)).GetSecretValue(t.Context(),
		&secretsmanager.GetSecretValueInput{SecretId: &hostile})
	wantError(t, err, "ResourceNotFoundException", 400)
	_, err = startUpdate(t, device, "cam")
	wantError(t, err, "AccessDeniedException", 403)
	_, _, err = askForCredentials(t, c, deviceTLS(t, c, hub), RoleAlias, hub)
	must(t, err)
	_, _, err = askForCredentials(t, c, deviceTLS(t, c, hub), "other", hub)
	must(t, err)
	wrong := signedRequest{path: "/listStreams", body: "{}", hashed: "{}", service: awsapi.KVS, region: Region, key: c.keys.User(),
		at: time.Now()}
	wrong.key.Secret = "forged"
	wrong.send(t, c)
	broken := signedRequest{path: "/", body: `{"SecretString":555000111}`, hashed: `{"SecretString":555000111}`,
		service: awsapi.SecretsManager,
		region:  Region, key: c.keys.User(), at: time.Now()}
	broken.before = func(r *http.Request) { r.Header.Set("X-Amz-Target", "secretsmanager.CreateSecret") }
	broken.send(t, c)
	put := signedRequest{path: "/putMedia", service: awsapi.KVS, region: Region, key: c.keys.Issue(hub, time.Now()), at: time.Now()}
	put.after = func(r *http.Request) {
		r.Header.Set("x-amzn-stream-name", "cam")
		r.Header.Set("x-amzn-fragment-timecode-type", "ABSOLUTE")
		r.Header.Set("x-amzn-producer-start-timestamp", "1700000000.000")
	}
	put.send(t, c)
	h := connectHub(t, c, hub)
	h.publish("config/status", "%s", cameraURL)
}

func TestALineForEachCallAndRefusal(t *testing.T) {
	t.Parallel()
	calls, refusals := newLines(), newLines()
	c := start(t, Options{Calls: calls, Refusals: refusals})
	makeCalls(t, c)
	for _, parts := range [][]string{
		{"secretsmanager CreateSecret of camera by user: 200, ", " bytes in, ", " bytes out, ", " ms"},
		{"secretsmanager CreateSecret of a b by user: InvalidParameterException"},
		{"secretsmanager GetSecretValue of none??[2Jxxx", " by hub-1: ResourceNotFoundException"},
		{"kinesisvideo StartEdgeConfigurationUpdate of cam by hub-1: AccessDeniedException"},
		{"credentials AssumeRoleWithCertificate of " + RoleAlias + " by hub-1: 200"},
		{"credentials AssumeRoleWithCertificate of other by hub-1: 404"},
		{"kinesisvideo PutMedia of cam by hub-1: 200"},
		{"mqtt CONNECT of hub-1 by hub-1: accepted"},
		{"mqtt SUBSCRIBE of kvs-edge/hub-1/config/# by hub-1: accepted"},
		{"mqtt PUBLISH of kvs-edge/hub-1/config/status by hub-1: accepted, 26 bytes in"},
	} {
		calls.await(t, parts...)
	}
	for _, line := range []string{
		"refused secretsmanager CreateSecret of a b by user: InvalidParameterException at Name: Invalid name",
		"refused secretsmanager GetSecretValue of none??[2Jxxx",
		"refused kinesisvideo StartEdgeConfigurationUpdate of cam by hub-1: AccessDeniedException at the right " +
			"kinesisvideo:StartEdgeConfigurationUpdate: User: ",
		"refused credentials AssumeRoleWithCertificate of other by hub-1: 404 at the path: Role alias does not exist",
		"refused kinesisvideo ListStreams: InvalidSignatureException",
		"refused secretsmanager CreateSecret by user: SerializationException at body: member SecretString must not be of JSON type number",
	} {
		refusals.await(t, line)
	}
	all := calls.String() + refusals.String()
	for _, never := range append(c.IssuedSecrets(), "hunter2", "555000111", "Signature=", c.keys.User().Secret) {
		if strings.Contains(all, never) {
			t.Errorf("the lines hold %q", never)
		}
	}
	for line := range strings.Lines(all) {
		if len(line) > 1500 {
			t.Errorf("a line has %d bytes: %s", len(line), line)
		}
	}
}
