package endpoint

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/arn"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// refused is a part of the sentence about a host that is not used.
type given struct {
	service *Service
	address string
	refused string // empty: it is used
}

const noFIPS = "is not the name of a FIPS endpoint"

// TestWithFIPSOnlyFIPSHostsAreUsed has hosts that settings and answers name.
func TestWithFIPSOnlyFIPSHostsAreUsed(t *testing.T) {
	t.Parallel()
	for _, row := range []given{
		{IoTData, "data.iot-fips.us-east-1.amazonaws.com", ""},
		{IoTData, "a1b2-ats.iot-fips.us-gov-west-1.amazonaws.com:8883", ""},
		{IoTData, "A1B2-ATS.IOT-FIPS.us-gov-west-1.AMAZONAWS.com.", ""},
		{IoTData, "a1b2-ats.iot.us-east-1.amazonaws.com", noFIPS},
		{IoTData, "a1b2.credentials.iot-fips.us-east-1.amazonaws.com", noFIPS}, // another service
		{IoTData, "iot-fips.us-east-1.amazonaws.com.evil.example", noFIPS},
		{IoTData, "a1b2-ats.iot-fips.us-east-1.example.com", noFIPS},
		{IoTData, "x-iot-fips.us-east-1.amazonaws.com", noFIPS},
		{IoTData, "a1b2-fips.iot.us-east-1.amazonaws.com", noFIPS},
		{IoTData, "127.0.0.1:8883", noFIPS},
		{IoTData, "[::1]:8883", noFIPS},
		{IoTCredentials, "data.credentials.iot-fips.us-west-2.amazonaws.com", ""},
		{IoTCredentials, "c1.credentials.iot-fips.us-gov-east-1.amazonaws.com:443", ""},
		{IoTCredentials, "c1.credentials.iot.us-west-2.amazonaws.com", noFIPS},
		{IoTCredentials, "c1.iot-fips.us-west-2.amazonaws.com", noFIPS},
		{Media, "https://s-1a2b3c4d.kinesisvideo-fips.us-gov-west-1.amazonaws.com", ""},
		{Media, "https://s-1a2b3c4d.kinesisvideo-fips.us-gov-west-1.api.aws", ""},
		{Media, "https://s-1a2b3c4d.kinesisvideo.us-gov-west-1.amazonaws.com", noFIPS},
		{Media, "https://s-1a2b3c4d.kinesisvideo.us-east-1.amazonaws.com", "GetDataEndpoint"},
		{Media, "http://s-1a2b3c4d.kinesisvideo-fips.us-gov-west-1.amazonaws.com", "not reached over TLS"},
		{Media, "https://s-1.kinesisvideo-fips.cn-north-1.amazonaws.com", noFIPS}, // the suffix of another partition
		{Media, "", noFIPS},
		{STS, "https://sts.us-gov-west-1.amazonaws.com", ""}, // FIPS by the table, whatever its name
		{STS, "https://sts.us-east-1.amazonaws.com", noFIPS},
		{KinesisVideo, "https://vpce-0a-1b.kinesisvideo-fips.us-east-1.vpce.amazonaws.com", ""},
		{KinesisVideo, "https://vpce-0a-1b.kinesisvideo.us-east-1.vpce.amazonaws.com", noFIPS},
		{SecretsManager, "https://secretsmanager-fips.us-iso-east-1.c2s.ic.gov/", ""},
		{SecretsManager, "https://fips/", noFIPS},
	} {
		for _, fips := range []bool{true, false} {
			o := Options{Choices: Choices{FIPS: fips, DualStack: true}}
			place, err := o.Given(row.service, row.address)
			var fault *health.Fault
			switch said := errors.As(err, &fault); {
			case !fips || row.refused == "":
				if err != nil {
					t.Errorf("%s %q, FIPS %v: %v", row.service.Name, row.address, fips, err)
				}
			case !said || fault.Class != health.UserError || fault.Code != Code || !strings.Contains(fault.Text, row.refused) ||
				!strings.Contains(fault.Text, EnvFIPS) || !strings.Contains(fault.Text, row.service.Variable):
				t.Errorf("%s %q: it says %v, want %q with the variables", row.service.Name, row.address, err, row.refused)
			}
			if !strings.HasSuffix(place.URL, row.address) {
				t.Errorf("%q became %q: hosts that are given are never changed", row.address, place.URL)
			}
		}
	}
}

// TestAddressesThatAreSetTakePrecedence in the SDK's order, are never changed, and may be ignored.
func TestAddressesThatAreSetTakePrecedence(t *testing.T) {
	t.Parallel()
	all := Options{Choices: Choices{DualStack: true},
		Environment: Addresses{All: "https://all.example", STS: "https://sts.example:8443/path"},
		File:        Addresses{All: "https://file.example", CloudWatch: "https://monitoring.example", STS: "https://never.example"}}
	for _, row := range []struct {
		o    Options
		s    *Service
		url  string
		from string
	}{
		{all, STS, "https://sts.example:8443/path", "from AWS_ENDPOINT_URL_STS"},
		{all, CloudWatch, "https://all.example", "from AWS_ENDPOINT_URL"},
		{Options{File: all.File}, CloudWatch, "https://monitoring.example", "from endpoint_url in the AWS configuration file"},
		{Options{File: all.File}, KinesisVideo, "https://file.example", "from endpoint_url in the AWS configuration file"},
		{Options{Choices: Choices{IgnoreURLs: true}, Environment: all.Environment, File: all.File}, STS,
			"https://sts.eu-west-1.amazonaws.com", "standard endpoint"},
		{Options{Choices: Choices{DualStack: true}}, KinesisVideo, "https://kinesisvideo.eu-west-1.api.aws", "dual-stack endpoint"},
		{Options{Fixed: "http://127.0.0.1:1", Choices: Choices{FIPS: true}}, STS, "http://127.0.0.1:1", "set"},
	} {
		place, err := row.o.Of(row.s, "eu-west-1")
		if err != nil || place.URL != row.url || place.Why != row.from {
			t.Errorf("%s is at %s (%s), %v; want %s (%s)", row.s.Name, place.URL, place.Why, err, row.url, row.from)
		}
		if setting, ok := strings.CutPrefix(row.from, "from "); ok && place.Setting != setting || !ok && place.Setting != EnvRegion {
			t.Errorf("%s: what to correct is %s", row.from, place.Setting)
		}
	}
	for _, s := range Services() {
		o := Options{Choices: Choices{FIPS: true}, Environment: Addresses{All: "https://127.0.0.1:4566"}}
		if _, err := o.Of(s, "us-east-1"); err == nil || !strings.Contains(err.Error(), "AWS_ENDPOINT_URL is 127.0.0.1:4566") {
			t.Errorf("%s: with FIPS it says %v", s.Name, err)
		}
	}
}

// TestSentencesAboutMissingEndpointsSayWhatToSet also when addresses are ignored.
func TestSentencesAboutMissingEndpointsSayWhatToSet(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]Options{
		"STS has no dual-stack endpoint in us-isob-east-1 that is known here: set AWS_USE_DUALSTACK_ENDPOINT=false, or name one in " +
			"AWS_ENDPOINT_URL_STS.": {Choices: Choices{DualStack: true}},
		"STS has no FIPS endpoint in us-isob-east-1 that is known here: set AWS_USE_FIPS_ENDPOINT=false, or name one in " +
			"AWS_ENDPOINT_URL_STS and set AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=false.": {Choices: Choices{FIPS: true, IgnoreURLs: true},
			Environment: Addresses{STS: "https://sts.example"}},
		"STS has no FIPS dual-stack endpoint in us-isob-east-1 that is known here: set AWS_USE_FIPS_ENDPOINT=false or " +
			"AWS_USE_DUALSTACK_ENDPOINT=false, or name one in AWS_ENDPOINT_URL_STS.": {Choices: Choices{FIPS: true, DualStack: true}},
	} {
		if place, err := o.Of(STS, "us-isob-east-1"); err == nil || err.Error() != want || place.URL != "" {
			t.Errorf("%+v: it says %v at %q, want %q", o.Choices, err, place.URL, want)
		}
	}
}

// TestAddressesInTheSDKsFileMustBeAddresses unless they are ignored.
func TestAddressesInTheSDKsFileMustBeAddresses(t *testing.T) {
	t.Parallel()
	for i, file := range []Addresses{{All: "x"}, {KinesisVideo: "x"}, {SecretsManager: "x"}, {CloudWatch: "x"}, {STS: "x"}} {
		err := (Options{File: file}).FileFault()
		if err == nil || !strings.Contains(err.Error(), `endpoint_url in the AWS configuration file is "x"`) {
			t.Errorf("%d: %v", i, err)
		}
		if err := (Options{File: file, Choices: Choices{IgnoreURLs: true}}).FileFault(); err != nil {
			t.Errorf("%d: ignored, and %v", i, err)
		}
	}
	if err := (Options{File: Addresses{All: "https://all.example"}}).FileFault(); err != nil {
		t.Error(err)
	}
}

// TestTheTableIsSound: each rule has a source, each FIPS host passes as one, and no other does.
func TestTheTableIsSound(t *testing.T) {
	t.Parallel()
	regions := slices.Concat(commercial, china, govCloud, isolated, []string{"eusc-de-east-1", "us-isof-east-1", "xx-new-1"})
	for _, s := range Services() {
		for _, r := range s.rules {
			if r.source == "" || len(r.kinds) == 0 || len(r.regions) == 0 {
				t.Errorf("%s: %+v has no source, kind or region", s.Name, r)
			}
		}
		for _, region := range regions {
			partition := arn.PartitionOf(region)
			for kind := Standard; kind <= FIPSDualStack; kind++ {
				host := s.host(kind, region)
				if kind == Standard && host == "" {
					t.Errorf("%s has no standard endpoint in %s", s.Name, region)
				}
				if host != "" && !strings.HasSuffix(host, "."+partition.Suffix) && !strings.HasSuffix(host, "."+partition.DualStack) {
					t.Errorf("%s in %s is %s, which is of another partition", s.Name, region, host)
				}
				fips := kind == FIPS || kind == FIPSDualStack
				if fips && host != "" && !s.isFIPS(host) {
					t.Errorf("%s does not pass as a FIPS endpoint", host)
				}
				if !fips && s.isFIPS(host) && !strings.Contains(region, "-gov-") && !strings.Contains(region, "-iso") {
					t.Errorf("%s passes as a FIPS endpoint", host)
				}
			}
		}
	}
	if want := []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_CLOUDWATCH", "AWS_ENDPOINT_URL_IOTSITEWISE",
		"AWS_ENDPOINT_URL_KINESIS_VIDEO", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL_STS"}; !slices.Equal(URLVariables(), want) {
		t.Errorf("the variables are %v", URLVariables())
	}
}

func FuzzGiven(f *testing.F) {
	f.Add("data.iot-fips.us-east-1.amazonaws.com")
	f.Add("https://s-1.kinesisvideo-fips.us-gov-west-1.api.aws/")
	f.Add("[::1]:1")
	f.Add("://%%")
	f.Fuzz(func(t *testing.T, address string) {
		o := Options{Choices: Choices{FIPS: true}}
		for _, s := range []*Service{Media, IoTData, IoTCredentials} {
			if _, err := o.Given(s, address); err == nil && !strings.Contains(strings.ToLower(address), "-fips") {
				t.Errorf("%q passes as a FIPS endpoint of %s", address, s.Name)
			}
		}
	})
}
