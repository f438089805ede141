package sitewise

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// proxy is an HTTP proxy that knows the way to a stand-in only, whatever host it is asked for.
type proxy struct {
	*httptest.Server
	onward string

	mu    sync.Mutex
	asked map[string]int // guarded by mu
}

func newProxy(t *testing.T, onward string) *proxy {
	t.Helper()
	p := &proxy{onward: onward, asked: map[string]int{}}
	p.Server = httptest.NewServer(http.HandlerFunc(p.tunnel))
	t.Cleanup(p.Close)
	return p
}

// tunnel answers CONNECT.
func (p *proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked[r.Method+" "+r.Host]++
	p.mu.Unlock()
	onward, err := net.Dial("tcp", p.onward)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer onward.Close()
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
	testtools.Join(conn, onward)
}

// hosts are what it was asked for.
func (p *proxy) hosts() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.asked)
}

// TestBothPlanesThroughAProxy: each call of the control and of the data plane, at the addresses of AWS and at one that the operator set.
func TestBothPlanesThroughAProxy(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		override string
		want     []string
	}{
		"AWS's addresses": {"", []string{"api.iotsitewise.us-west-2.amazonaws.com:443", "data.iotsitewise.us-west-2.amazonaws.com:443"}},
		"an override":     {"https://vpce-2.example:8443", []string{"vpce-2.example:8443"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stand, _ := client(t)
			p := newProxy(t, strings.TrimPrefix(stand.Endpoint(), "https://"))
			callAll(t, stand, New(awsclient.Of(proxied(t, stand, p, row.override))))
			asked := p.hosts()
			for _, host := range row.want {
				if asked["CONNECT "+host] == 0 {
					t.Errorf("the proxy was not asked for %s: %v", host, asked)
				}
			}
			if len(asked) != len(row.want) {
				t.Errorf("the proxy was asked for %v, want %v", asked, row.want)
			}
		})
	}
}

// proxied is the configuration of a client that reaches a stand-in by a proxy only.
func proxied(t *testing.T, stand *localcloud.Cloud, p *proxy, override string) aws.Config {
	t.Helper()
	env := make(map[string]string)
	for _, v := range stand.UserEnv() {
		env[v.Name] = v.Value
	}
	pem, err := os.ReadFile(env["AWS_CA_BUNDLE"])
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	address, err := url.Parse(p.URL)
	must(t, err)
	// The certificate is that of the stand-in, which has another name than AWS's hosts.
	name := strings.Split(strings.TrimPrefix(stand.Endpoint(), "https://"), ":")[0]
	transport := &http.Transport{Proxy: http.ProxyURL(address), TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name}}
	t.Cleanup(transport.CloseIdleConnections)
	cfg := aws.Config{
		Region: localcloud.Region, HTTPClient: &http.Client{Transport: transport}, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
	}
	if override != "" {
		cfg.BaseEndpoint = aws.String(override)
	}
	return cfg
}

// callAll makes each call of the client.
func callAll(t *testing.T, stand *localcloud.Cloud, c *Client) {
	t.Helper()
	asset := cameras(t, c)[0]
	_, err := c.ModelName(t.Context(), asset.ModelID)
	must(t, err)
	name, row := ref(t, asset, "KinesisVideoStreamName"), ref(t, asset, "VideoUploadedTimeRange")
	now := time.Now().Truncate(time.Second)
	refused, err := c.Put(t.Context(), []Entry{{Ref: row, Time: now, Value: 7}})
	if err != nil || len(refused) > 0 {
		t.Fatalf("a value is not written: %v, %v", refused, err)
	}
	for _, single := range []bool{false, true} {
		if single {
			stand.Faults().RefuseOperation("BatchGetAssetPropertyValue", 403, "AccessDeniedException")
		}
		values, err := c.Values(t.Context(), []Ref{name, row})
		must(t, err)
		if values[name].Text != "stream-"+asset.Name || values[row].Double != 7 {
			t.Errorf("one by one %t: %+v", single, values)
		}
	}
	list, err := c.History(t.Context(), row, now.Add(-time.Hour), now, 10)
	if err != nil || len(list) != 1 {
		t.Errorf("the history is %+v, %v", list, err)
	}
}
