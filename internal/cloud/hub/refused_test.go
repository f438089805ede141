package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/cloudwatch"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/secrets"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/iotconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// TestWhereNoHostMayBeUsedEachServiceSaysSo and nothing is sent, not even a question to the name server: the context has
// ended already.
func TestWhereNoHostMayBeUsedEachServiceSaysSo(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s := settings.Settings{Region: "eu-central-1", Endpoints: endpoint.Options{Choices: endpoint.Choices{FIPS: true}},
		IoT: settings.IoT{ThingName: "hub-1", RoleAlias: "alias", CredentialEndpoint: "c1.credentials.iot.eu-central-1.amazonaws.com",
			DataEndpoint: "a1-ats.iot.eu-central-1.amazonaws.com"}}
	var keys refusedCredentials
	config, err := Load(s, &keys, Options{Version: "test"})
	must(t, err)
	provider, err := Credentials(s, &tls.Config{}, iotcreds.Options{})
	must(t, err)
	_, refused := s.Endpoints.Given(endpoint.IoTData, s.IoT.DataEndpoint)
	client := kvs.New(kvs.Options{Config: config})
	const none = "has no FIPS endpoint in eu-central-1 that is known here: set AWS_USE_FIPS_ENDPOINT=false, or name one in AWS_ENDPOINT_URL_"
	for name, row := range map[string]struct {
		ask  func() error
		says string
	}{
		"account": {func() error { _, err := FindARN(s, config)(ended); return err }, "STS " + none + "STS."},
		"listing": {func() error {
			_, err := ControlPlane{Client: client, Config: config}.EdgeConfigs(ended, "arn:aws:iot:eu-central-1:123456789012:thing/hub-1")
			return err
		}, "Kinesis Video Streams " + none + "KINESIS_VIDEO."},
		"upload": {func() error {
			_, err := client.PutMedia(ended, kvs.PutMediaInput{Stream: "door", Start: time.Unix(1_800_000_000, 0)})
			return err
		}, "Kinesis Video Streams " + none + "KINESIS_VIDEO."},
		"secret": {func() error {
			_, err := secrets.New(config).MediaURI(ended, "arn:aws:secretsmanager:eu-central-1:123456789012:secret:door-a1B2c3")
			return err
		}, "Secrets Manager " + none + "SECRETS_MANAGER."},
		"secret in another region": {func() error {
			_, err := secrets.New(config).MediaURI(ended, "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:door-a1B2c3")
			return err
		}, "Secrets Manager has no FIPS endpoint in cn-north-1"},
		"metrics": {func() error {
			return cloudwatch.New(config).Put(ended, "N", []cloudwatch.Point{{Name: "Alive", Unit: cloudwatch.UnitCount}})
		}, "CloudWatch " + none + "CLOUDWATCH."},
		"credentials": {func() error { _, err := provider.Retrieve(t.Context()); return err },
			"AWS_IOT_CORE_CREDENTIAL_ENDPOINT is c1.credentials.iot.eu-central-1.amazonaws.com, which is not the name of a FIPS endpoint"},
		"MQTT": {func() error {
			return iotconfig.Probe(ended, iotconfig.ProbeOptions{
				ThingName: "hub-1", DataEndpoint: s.IoT.DataEndpoint, Refused: refused, TLS: &tls.Config{},
			})
		}, "AWS_IOT_CORE_DATA_ATS_ENDPOINT is a1-ats.iot.eu-central-1.amazonaws.com, which is not the name of a FIPS endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var fault *health.Fault
			if err := row.ask(); !errors.As(err, &fault) || fault.Class != health.UserError || fault.Code != endpoint.Code ||
				!strings.Contains(fault.Text, row.says) {
				t.Errorf("it says %v, want %q", err, row.says)
			}
		})
	}
}
