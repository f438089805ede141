package awsclient

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
)

// TestTheSDKsFileChoosesEndpointsToo where the environment does not.
func TestTheSDKsFileChoosesEndpointsToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	must(t, os.WriteFile(path, []byte(`[default]
use_fips_endpoint = true
use_dualstack_endpoint = true
endpoint_url = https://all.example
services = mine
[services mine]
kinesis_video =
  endpoint_url = https://kvs.example
`), 0o600))
	t.Setenv("AWS_CONFIG_FILE", path)
	file := endpoint.Addresses{All: "https://all.example", KinesisVideo: "https://kvs.example"}
	both, none := endpoint.Choices{FIPS: true, DualStack: true}, endpoint.Choices{}
	for name, row := range map[string]struct{ environment, want endpoint.Options }{
		"nothing is set": {endpoint.Options{}, endpoint.Options{Choices: both, File: file}},
		"off is set": {endpoint.Options{Set: both, Environment: endpoint.Addresses{STS: "https://sts.example"}},
			endpoint.Options{Choices: none, Set: both, Environment: endpoint.Addresses{STS: "https://sts.example"}, File: file}},
	} {
		if got, err := WithFile(t.Context(), row.environment, "us-west-2"); err != nil || got != row.want {
			t.Errorf("%s: got %+v, %v\nwant %+v", name, got, err, row.want)
		}
	}
}

// TestWhatIsWrongWithTheSDKsFileIsASentence and what the SDK would do for credentials of its own does not count.
func TestWhatIsWrongWithTheSDKsFileIsASentence(t *testing.T) {
	dir := t.TempDir()
	for name, row := range map[string]struct{ text, profile, says string }{
		"no profile":             {"[default]\n", "mine", `has no profile "mine", which AWS_PROFILE`},
		"an address with a user": {"[default]\nendpoint_url = https://user:pass@all.example\n", "", "without a user and a password"},
		"no address": {"[default]\nservices = s\n[services s]\nsts =\n  endpoint_url = sts.example\n", "",
			`endpoint_url in the AWS configuration file is "sts.example", but must be a URL`},
		"ignored":                  {"[default]\nignore_configured_endpoint_urls = true\nendpoint_url = x\n", "", ""},
		"credentials of the SDK's": {"[default]\nrole_arn = arn:aws:iam::123456789012:role/r\ncredential_source = EcsContainer\n", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "config")
			must(t, os.WriteFile(path, []byte(row.text), 0o600))
			t.Setenv("AWS_CONFIG_FILE", path)
			t.Setenv("AWS_PROFILE", row.profile)
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/")
			_, err := WithFile(t.Context(), endpoint.Options{}, "us-west-2")
			switch {
			case row.says == "" && err != nil:
				t.Error(err)
			case row.says != "" && (err == nil || !strings.Contains(err.Error(), row.says) || strings.Contains(err.Error(), "pass@")):
				t.Errorf("it says %v, want %q", err, row.says)
			}
		})
	}
}

// TestWithFIPSNoAnswerSendsARequestElsewhere while a redirect to the same server is followed.
func TestWithFIPSNoAnswerSendsARequestElsewhere(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer other.Close()
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/there":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/here":
			http.Redirect(w, r, "/good", http.StatusPermanentRedirect)
		}
	}))
	defer first.Close()
	for _, fips := range []bool{true, false} {
		asked.Store(0)
		c := Config{endpoints: endpoint.Options{Choices: endpoint.Choices{FIPS: fips}}}
		for path, want := range map[string]int{"/here": http.StatusOK, "/there": http.StatusOK} {
			if fips && path == "/there" {
				want = http.StatusTemporaryRedirect
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, first.URL+path, strings.NewReader("{}"))
			must(t, err)
			response, err := c.HTTP().Do(request)
			must(t, err)
			must(t, response.Body.Close())
			if response.StatusCode != want {
				t.Errorf("FIPS %v: %s answers %d, want %d", fips, path, response.StatusCode, want)
			}
		}
		if got := asked.Load() == 1; got == fips {
			t.Errorf("FIPS %v: the other server was asked %v", fips, got)
		}
	}
}
