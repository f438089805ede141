package endpoint

import (
	"net"
	"net/url"
	"strings"
	"testing"
)

// addressRows have what somebody might write for a host, and whether it is one with or without a port.
var addressRows = map[string]bool{
	"kinesisvideo.us-east-1.amazonaws.com": true, "KinesisVideo.US-EAST-1.amazonaws.com.": true, "localhost": true, "localhost:4566": true,
	"vpce-0a-1b.kinesisvideo.us-east-1.vpce.amazonaws.com:443": true, "my_host.example": true, "127.0.0.1": true, "127.0.0.1:1": true,
	"[::1]": true, "[::1]:65535": true, "[2001:db8::A]:443": true, "[::ffff:127.0.0.1]": true,

	"": false, ".": false, "..": false, "a..b": false, ".a": false, "-a.example": false, "a-.example": false, "a b": false, ":443": false,
	"a:": false, "a:0": false, "a:65536": false, "a:99999": false, "a:x": false, "a:+1": false, "a:1:2": false, "::1": false, "::1:443": false,
	"[::1": false, "::1]": false, "[]": false, "[1]": false, "[::::]": false, "[127.0.0.1]": false, "[::1]443": false, "[::1]:0": false,
	"[fe80::1%25lo]": false, "[fe80::1%lo]": false, "[fe80::1%lo]:443": false, "a/b": false, "a?b": false, "a#b": false, "a%20b": false,
	"höst.example": false, "a\nb": false, strings.Repeat("a.", 126) + "a": true, strings.Repeat("a.", 126) + "aa": false,
}

func TestAddressesThatAreNoneAreNamed(t *testing.T) {
	t.Parallel()
	for host, good := range addressRows {
		if wrong := HostFault(host); (wrong == "") != good || !good && !strings.Contains(wrong, "a host name, without https://") {
			t.Errorf("the host %q: %q", host, wrong)
		}
		if host == "a/b" || host == "a?b" || host == "a#b" || host == "[fe80::1%lo]" {
			continue // these are good as URLs, or not what the URL has
		}
		for _, scheme := range []string{"https://", "http://", "HTTPS://"} {
			for _, path := range []string{"", "/", "/some/path"} {
				text := scheme + host + path
				if wrong := URLFault(text); (wrong == "") != good || !good && !strings.Contains(wrong, "must be a URL such as https://") {
					t.Errorf("the URL %q: %q", text, wrong)
				}
			}
		}
	}
	for text, says := range map[string]string{
		"https://user:pass@h.example":     "without a user and a password",
		"https://user:pass@[::1":          "without a user and a password",
		"https://user@h.example/":         "without a user and a password",
		"https://h.example?x=1":           "without ? and #",
		"https://h.example/?":             "without ? and #",
		"https://h.example/#":             "without ? and #",
		"ftp://h.example":                 "a URL such as",
		"localhost:4566":                  "a URL such as",
		"//h.example":                     "a URL such as",
		"https:h.example":                 "a URL such as",
		"https://":                        "a URL such as",
		"unix:///run/agent.sock":          "a URL such as",
		"kinesisvideo.us-east-1.api.aws/": "a URL such as",
	} {
		if wrong := URLFault(text); !strings.Contains(wrong, says) || strings.Contains(wrong, "pass@") {
			t.Errorf("%q: %q, want %q", text, wrong, says)
		}
	}
	if wrong := HostFault("user:pass@h.example"); !strings.Contains(wrong, "without a user") || strings.Contains(wrong, "pass@") {
		t.Errorf("a host with a user: %q", wrong)
	}
}

func TestHostsOfAWSIoTAreKnownByTheirNames(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]struct {
		service *Service
		region  string
	}{
		"a1b2-ats.iot.us-west-2.amazonaws.com":                           {IoTData, "us-west-2"},
		"A1B2-ATS.IOT.us-west-2.amazonaws.com.:8883":                     {IoTData, "us-west-2"},
		"data.iot-fips.us-gov-west-1.amazonaws.com":                      {IoTData, "us-gov-west-1"},
		"a1b2-ats.iot.cn-north-1.amazonaws.com.cn":                       {IoTData, "cn-north-1"},
		"data-ats.iot.us-east-1.api.aws":                                 {IoTData, "us-east-1"},
		"vpce-1-2.data.iot.us-east-1.vpce.amazonaws.com:443":             {IoTData, "us-east-1"},
		"c1.credentials.iot.us-west-2.amazonaws.com":                     {IoTCredentials, "us-west-2"},
		"C1.Credentials.IoT.us-west-2.amazonaws.com.":                    {IoTCredentials, "us-west-2"},
		"data.credentials.iot-fips.us-west-2.amazonaws.com":              {IoTCredentials, "us-west-2"},
		"c1.credentials.iot.cn-north-1.api.amazonwebservices.com.cn:443": {IoTCredentials, "cn-north-1"},
		"iot.us-west-2.amazonaws.com":                                    {}, // the control plane
		"a1b2-ats.iot.us-west-2.amazonaws.com.evil.example":              {},
		"a1b2-ats.iot.cn-north-1.amazonaws.com":                          {}, // the suffix of another partition
		"kinesisvideo.us-west-2.amazonaws.com":                           {},
		"mqtt.example.com":                                               {}, "127.0.0.1:8883": {}, "[::1]:8883": {}, "": {},
	} {
		if s, region := IoT(host); s != want.service || region != want.region {
			t.Errorf("%s is %v in %q", host, s, region)
		}
	}
}

// FuzzAddress : what is good is a URL with the same host, and can be dialled.
func FuzzAddress(f *testing.F) {
	for host := range addressRows {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		_, _ = IoT(host)
		if HostFault(host) != "" {
			return
		}
		u, err := url.Parse("https://" + host)
		if err != nil || u.Host != host || URLFault("https://"+host) != "" {
			t.Fatalf("%q is a host, but %q (%v) is not a URL", host, u, err)
		}
		if port := u.Port(); port != "" {
			if _, _, err := net.SplitHostPort(host); err != nil {
				t.Fatalf("%q: %v", host, err)
			}
		}
	})
}
