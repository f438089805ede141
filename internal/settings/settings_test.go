package settings

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

func goodEnvironment(t *testing.T) map[string]string {
	t.Helper()
	cert, key := testtools.DeviceFiles(t, t.TempDir(), "hub")
	return map[string]string{
		EnvRegion: "us-west-2", EnvCACert: cert, EnvCoreCert: cert, EnvCorePrivateKey: key,
		EnvCredentialEndpoint: "c3.credentials.iot.us-west-2.amazonaws.com", EnvDataEndpoint: "a3-ats.iot.us-west-2.amazonaws.com:8883",
		EnvRoleAlias: "KvsEdgeAlias", EnvThingName: "hub-1",
		"GST_PLUGIN_PATH": "/opt/gst", "LD_LIBRARY_PATH": "/opt/lib", // of AWS's agent: accepted, ignored
	}
}

func lookupIn(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

func TestDefaultsAreThoseOfAWSsAgent(t *testing.T) {
	t.Parallel()
	s, err := FromEnv(lookupIn(goodEnvironment(t)))
	if err != nil {
		t.Fatal(err)
	}
	if s.RecordingDirectory != "." || s.Log != (Log{Level: "INFO", Directory: "./log", MaxFileSizeMB: 20, RolloverCount: 10}) || s.CloudWatch {
		t.Errorf("got %+v", s)
	}
	if s.SegmentDuration != 5*time.Minute || s.FlushInterval != 2*time.Second || s.MinFreeDisk.Of(4e9) != 200e6 {
		t.Errorf("segments of %v, synced every %v, reserve %v", s.SegmentDuration, s.FlushInterval, s.MinFreeDisk)
	}
	if _, err := s.IoT.TLS(); err != nil {
		t.Error(err)
	}
}

func TestEndpointsAreChosenAsInEverySDK(t *testing.T) {
	t.Parallel()
	env := goodEnvironment(t)
	env[endpoint.EnvFIPS], env[endpoint.EnvDualStack], env[endpoint.EnvIgnoreURLs] = "true", "True", "false"
	env["AWS_ENDPOINT_URL"], env["AWS_ENDPOINT_URL_STS"] = "https://[::1]:4566", "https://sts.example"
	env[EnvDataEndpoint], env[EnvCredentialEndpoint] = "[::1]:8883", "[fe80::1]"
	s, err := FromEnv(lookupIn(env))
	if err != nil {
		t.Fatal(err)
	}
	want := endpoint.Options{Choices: endpoint.Choices{FIPS: true, DualStack: true},
		Set:         endpoint.Choices{FIPS: true, DualStack: true, IgnoreURLs: true},
		Environment: endpoint.Addresses{All: "https://[::1]:4566", STS: "https://sts.example"}}
	if s.Endpoints != want {
		t.Errorf("got  %+v\nwant %+v", s.Endpoints, want)
	}
	for _, region := range []string{"cn-north-1", "us-gov-west-1", "us-isob-east-1", "eusc-de-east-1", "ap-southeast-7"} {
		env[EnvRegion] = region
		if s, err := FromEnv(lookupIn(env)); err != nil || s.Region != region {
			t.Errorf("%s is refused: %v", region, err)
		}
	}
}

func TestEveryFaultIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := FromEnv(lookupIn(nil))
	var wrong *Error
	if !errors.As(err, &wrong) {
		t.Fatalf("got %v", err)
	}
	for _, name := range []string{EnvRegion, EnvCACert, EnvCoreCert, EnvCorePrivateKey, EnvCredentialEndpoint, EnvDataEndpoint, EnvRoleAlias,
		EnvThingName} {
		if !strings.Contains(err.Error(), name+" is not set") {
			t.Errorf("%s is missing in: %v", name, err)
		}
	}
}

func TestWrongSettings(t *testing.T) {
	t.Parallel()
	good := goodEnvironment(t)
	_, otherKey := testtools.DeviceFiles(t, t.TempDir(), "other")
	notPEM := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(notPEM, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, variable, value, want string }{
		{"region", EnvRegion, "Oregon", "a region such as us-west-2"},
		{"endpoint with scheme", EnvDataEndpoint, "https://a3-ats.iot.us-west-2.amazonaws.com", "without https://"},
		{"endpoint with path", EnvCredentialEndpoint, "c3.example/role-aliases", "without a path"},
		{"thing", EnvThingName, "my hub", "a thing name"},
		{"role alias", EnvRoleAlias, "a b", "a role alias"},
		{"deletion after something else", EnvDeleteAfter, "never", "must be one of"},
		{"holds without a unit", EnvHoldMax, "20", "neither a size such as 500MB or 20GiB nor a part of the disk such as 25%"},
		{"holds of more than the disk", EnvHoldMax, "120%", "is not a part of the disk from above 0% to 90%"},
		{"cap without a period", EnvUploadCap, "30GB", "such as 1GB/day or 30GB/month"},
		{"day of a cap", EnvUploadCap, "30GB/month@32", "a day from 1 to 31"},
		{"overhead of a cap", EnvUploadCap, "30GB/month, overhead=0", "a factor from 1 to 2"},
		{"hub asset", EnvSiteWiseHub, "hub-1", "the id of an asset of AWS IoT SiteWise"},
		{"trickle", EnvSiteWiseTrickle, "yes", "off, on"},
		{"retention of streams", EnvSiteWiseRetention, "0", "whole number from 1 to"},
		{"account", EnvAccountID, "12345", "12 digits"},
		{"log level", EnvLogLevel, "LOUD", "OFF, ALL, FATAL"},
		{"log size", EnvLogMaxFileSize, "20MB", "whole number"},
		{"log size below zero", EnvLogMaxFileSize, "-1", "from 0 to"},
		{"rollover", EnvLogRolloverCount, "-1", "from 0 to"},
		{"cloud watch", EnvCloudWatchEnabled, "yes", "TRUE or FALSE"},
		{"transport", EnvRTSPTransport, "quic", "auto, tcp, udp, multicast"},
		{"audio", EnvAudio, "TRUE", "auto, on, off"},
		{"cameras' CA", EnvRTSPSCACert, notPEM, "no PEM certificate"},
		{"cameras' CA missing", EnvRTSPSCACert, "/nowhere/ca.pem", "no such file"},
		{"CA bundle", EnvCABundle, notPEM, "no PEM certificate"},
		{"CA bundle missing", EnvCABundle, "/nowhere/ca.pem", "no such file"},
		{"endpoint of the SDK", "AWS_ENDPOINT_URL", "localhost:4566", "a URL such as https://"},
		{"address with a user", "AWS_ENDPOINT_URL", "https://user:pass@h.example", "without a user and a password"},
		{"address with a zone", "AWS_ENDPOINT_URL_CLOUDWATCH", "https://[fe80::1%25eth0]", "a URL such as https://"},
		{"address with a wrong port", "AWS_ENDPOINT_URL_KINESIS_VIDEO", "https://h.example:99999", "a URL such as https://"},
		{"address without a host", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "https://:443", "a URL such as https://"},
		{"endpoint with a user", EnvDataEndpoint, "user:pass@h.example", "without a user and a password"},
		{"endpoint with a zone", EnvDataEndpoint, "[fe80::1%eth0]:8883", "a host name, without https://"},
		{"endpoint without brackets", EnvCredentialEndpoint, "fe80::1", "a host name, without https://"},
		{"endpoint with a wrong port", EnvCredentialEndpoint, "c3.example:0", "a port may follow"},
		{"region of FIPS endpoints", EnvRegion, "fips-us-east-1", "must be us-east-1; AWS_USE_FIPS_ENDPOINT=true"},
		{"the other region of them", EnvRegion, "us-gov-west-1-fips", "must be us-gov-west-1; AWS_USE_FIPS_ENDPOINT=true"},
		{"FIPS", endpoint.EnvFIPS, "yes", "TRUE or FALSE"},
		{"dual-stack", endpoint.EnvDualStack, "1", "TRUE or FALSE"},
		{"ignored endpoints", endpoint.EnvIgnoreURLs, "on", "TRUE or FALSE"},
		{"endpoint of a service", "AWS_ENDPOINT_URL_STS", "no url", "a URL such as https://"},
		{"time zone", "TZ", "Mars/Base", "a time zone such as Europe/Berlin"},
		{"segment duration", EnvSegmentDuration, "5", "such as 5m"},
		{"segment too long", EnvSegmentDuration, "2h", "from 1s to 1h0m0s"},
		{"missing file", EnvCoreCert, "/nowhere/cert.pem", "no such file"},
		{"CA without certificate", EnvCACert, notPEM, "no PEM certificate"},
		{"key of another certificate", EnvCorePrivateKey, otherKey, "private key does not match public key"},
		{"empty counts as not set", EnvThingName, "  ", "is not set"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			env := maps.Clone(good)
			env[tc.variable] = tc.value
			_, err := FromEnv(lookupIn(env))
			var wrong *Error
			if !errors.As(err, &wrong) || len(wrong.Faults) != 1 {
				t.Fatalf("want one fault, got %v", err)
			}
			if !strings.Contains(wrong.Faults[0], tc.variable) || !strings.Contains(wrong.Faults[0], tc.want) {
				t.Errorf("got %q, want it to name %s and say %q", wrong.Faults[0], tc.variable, tc.want)
			}
		})
	}
}

// Row 1 of the edge connector: the id of the hub's asset, from which quotes are stripped.
func TestTheHubAssetOfSiteWise(t *testing.T) {
	t.Parallel()
	env := goodEnvironment(t)
	for text, want := range map[string]string{
		"": "", `"0b6e7c1e-52d4-4d0c-9f3c-6f1d3f1c2a10"`: "0b6e7c1e-52d4-4d0c-9f3c-6f1d3f1c2a10",
		"0b6e7c1e-52d4-4d0c-9f3c-6f1d3f1c2a10": "0b6e7c1e-52d4-4d0c-9f3c-6f1d3f1c2a10",
	} {
		lookup := func(name string) (string, bool) {
			if name == EnvSiteWiseHub {
				return text, text != ""
			}
			value, ok := env[name]
			return value, ok
		}
		if s, err := FromEnv(lookup); err != nil || s.SiteWise != (SiteWise{HubAsset: want, RetentionHours: 168}) {
			t.Errorf("%q is %+v, %v", text, s.SiteWise, err)
		}
	}
}
