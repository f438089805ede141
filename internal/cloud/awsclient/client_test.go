package awsclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"go.uber.org/goleak"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
)

// TestMain takes away what would decide which roots the SDK trusts.
func TestMain(m *testing.M) {
	_ = os.Unsetenv("AWS_CA_BUNDLE")
	goleak.VerifyTestMain(m)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var keys = credentials.NewStaticCredentialsProvider("id", "secret", "token")

// fileOf keeps a certificate as PEM.
func fileOf(t *testing.T, cert *x509.Certificate) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "roots.pem")
	must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600))
	return path
}

const answer = "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account>" +
	"</GetCallerIdentityResult></GetCallerIdentityResponse>"

// echo is an AWS service that records the headers of its requests.
func echo(t *testing.T) (server *httptest.Server, seen chan http.Header) {
	t.Helper()
	seen = make(chan http.Header, 10)
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Clone()
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	return server, seen
}

// TestThereIsAlwaysAClient is for the hub that sets no AWS_CA_BUNDLE, where the SDK leaves its own nil.
func TestThereIsAlwaysAClient(t *testing.T) {
	t.Parallel()
	loaded, err := Load(t.Context(), Options{Region: "us-west-2", Credentials: keys})
	must(t, err)
	for name, c := range map[string]Config{
		"loaded": loaded, "zero": {}, "of nothing": Of(aws.Config{}), "of the default client": Of(aws.Config{HTTPClient: http.DefaultClient}),
	} {
		if c.HTTP() == nil || c.SDK(endpoint.STS).HTTPClient == nil {
			t.Errorf("%s: no client", name)
			continue
		}
		media := c.Media()
		if media.Proxy == nil || media.TLSHandshakeTimeout == 0 || media.DialContext == nil ||
			media.TLSClientConfig.MinVersion < tls.VersionTLS12 {
			t.Errorf("%s: PutMedia uses a transport without proxy, time-outs or a least version of TLS", name)
		}
		if media.ResponseHeaderTimeout != 0 || !media.DisableCompression {
			t.Errorf("%s: PutMedia's answer would be cut off or compressed", name)
		}
	}
}

// TestTheRootsToTrust asks a service by the SDK, by HTTP and as PutMedia does.
func TestTheRootsToTrust(t *testing.T) {
	t.Parallel()
	server, _ := echo(t)
	right := fileOf(t, server.Certificate())
	issued := iottest.NewAuthority(t).Issue("stranger", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	stranger, err := x509.ParseCertificate(issued.Certificate[0])
	must(t, err)
	wrong := fileOf(t, stranger)
	for name, row := range map[string]struct {
		bundle, file string
		trusted      bool
	}{
		"AWS_CA_BUNDLE":                         {bundle: right, trusted: true},
		"AWS_CA_BUNDLE of others":               {bundle: wrong},
		"SSL_CERT_FILE":                         {file: right, trusted: true},
		"SSL_CERT_FILE of others":               {file: wrong},
		"SSL_CERT_FILE that does not exist":     {file: "/nowhere"},
		"AWS_CA_BUNDLE counts, both are set":    {bundle: wrong, file: right},
		"AWS_CA_BUNDLE counts, both are set, 2": {bundle: right, file: wrong, trusted: true},
		"neither":                               {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Load(t.Context(), Options{Region: "us-west-2", Credentials: keys, CABundle: row.bundle, CertFile: row.file})
			must(t, err)
			sdk := c.SDK(endpoint.STS)
			sdk.BaseEndpoint, sdk.RetryMaxAttempts = &server.URL, 1
			_, err = sts.NewFromConfig(sdk).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
			if (err == nil) != row.trusted {
				t.Errorf("by the SDK: %v", err)
			}
			media := c.Media()
			for by, client := range map[string]*http.Client{"HTTP": c.HTTP(), "PutMedia": {Transport: media}} {
				response, err := client.Get(server.URL)
				if err == nil {
					_ = response.Body.Close()
				}
				if (err == nil) != row.trusted {
					t.Errorf("by %s: %v", by, err)
				}
			}
			c.HTTP().CloseIdleConnections()
			media.CloseIdleConnections()
		})
	}
}

// TestTheRootsOfTheSDKsOwnSettings has AWS_CA_BUNDLE in the process's environment only.
func TestTheRootsOfTheSDKsOwnSettings(t *testing.T) {
	server, _ := echo(t)
	t.Setenv("AWS_CA_BUNDLE", fileOf(t, server.Certificate()))
	c, err := Load(t.Context(), Options{Region: "us-west-2", Credentials: keys})
	must(t, err)
	response, err := c.HTTP().Get(server.URL)
	must(t, err)
	_ = response.Body.Close()
	c.HTTP().CloseIdleConnections()
}

func TestABundleThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	must(t, os.WriteFile(empty, []byte("nothing"), 0o600))
	for _, path := range []string{"/nowhere/ca.pem", empty} {
		_, err := Load(t.Context(), Options{Region: "us-west-2", Credentials: keys, CABundle: path})
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestEveryRequestHasTheAgentsName checks the requests that the server receives.
func TestEveryRequestHasTheAgentsName(t *testing.T) {
	t.Parallel()
	server, seen := echo(t)
	c, err := Load(t.Context(), Options{Region: "us-west-2", Credentials: keys, Version: "1.2.3", CABundle: fileOf(t, server.Certificate())})
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	sdk := c.SDK(endpoint.STS)
	sdk.BaseEndpoint = &server.URL
	get := func(client *http.Client) func(context.Context) error {
		return func(ctx context.Context) error {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
			if err != nil {
				return err
			}
			response, err := client.Do(request)
			if err == nil {
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
			return err
		}
	}
	for name, ask := range map[string]func(context.Context) error{
		"SDK": func(ctx context.Context) error {
			_, err := sts.NewFromConfig(sdk).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
			return err
		},
		"HTTP": get(c.HTTP()),
		"device": get(Device(DeviceOptions{
			TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, Timeout: time.Minute, Version: "1.2.3",
		})),
	} {
		must(t, ask(t.Context()))
		if got := (<-seen).Get("User-Agent"); !strings.Contains(got, "kvs-edge-agent/1.2.3") {
			t.Errorf("%s: the request comes from %q", name, got)
		}
	}
	c.HTTP().CloseIdleConnections()
	if got := (Config{}).UserAgent(); got != "kvs-edge-agent" {
		t.Errorf("without a version: %q", got)
	}
}

// TestARedirectNeverChangesTheMethod as a signature is good for one.
func TestARedirectNeverChangesTheMethod(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/303":
			http.Redirect(w, r, "/there", http.StatusSeeOther)
		case "/307":
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		default:
			_, _ = io.WriteString(w, r.Method)
		}
	}))
	t.Cleanup(server.Close)
	client := Of(aws.Config{}).HTTP()
	t.Cleanup(client.CloseIdleConnections)
	for path, want := range map[string]int{"/303": http.StatusSeeOther, "/307": http.StatusOK} {
		response, err := client.Post(server.URL+path, "text/plain", strings.NewReader("x"))
		must(t, err)
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s ends with %s", path, response.Status)
		}
	}
}
