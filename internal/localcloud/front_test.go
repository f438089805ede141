package localcloud

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sigv4"
)

func TestMQTTByEveryGreeting(t *testing.T) {
	t.Parallel()
	refusals := newLines()
	c := start(t, Options{Refusals: refusals})
	for _, protocols := range [][]string{nil, {"x-amzn-mqtt-ca"}, {"mqtt"}, {"other", "x-amzn-mqtt-ca"}} {
		r := dialMQTT(t, c, hub, protocols...)
		if got := r.ask(connectPacket(hub, nil)); got != "CONNACK 0" {
			t.Errorf("%q: %s", protocols, got)
		}
	}
	config := deviceTLS(t, c, hub)
	config.NextProtos = []string{"h2"}
	if conn, err := tls.Dial("tcp", c.MQTTEndpoint(), config); err == nil {
		_ = conn.Close()
		t.Error("HTTP/2 is spoken")
	}
	refusals.await(t, "refused TLS handshake of the IoT data endpoint", "unsupported application protocols")
}

func TestWhoseHandshakeIsRefused(t *testing.T) {
	t.Parallel()
	refusals := newLines()
	c, foreign := start(t, Options{Refusals: refusals}), start(t, Options{})
	must(t, c.AddThing("revoked"))
	must(t, c.Faults().RevokeCertificate("revoked"))
	other := deviceTLS(t, foreign, "stranger")
	other.RootCAs = c.pki.Pool()
	for name, row := range map[string]struct {
		config *tls.Config
		line   []string
	}{
		"revoked": {deviceTLS(t, c, "revoked"), []string{"by revoked", "at the certificate: the certificate is not active"}},
		"foreign": {other, []string{"at the certificate", "it names itself stranger"}},
		"none":    {&tls.Config{RootCAs: c.pki.Pool()}, []string{"didn't provide a certificate"}},
	} {
		conn, err := tls.Dial("tcp", c.MQTTEndpoint(), row.config)
		if err == nil { // TLS 1.3 reports it with the first read
			_, err = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
		if err == nil || err == io.EOF {
			t.Errorf("%s: %v", name, err)
		}
		refusals.await(t, append(row.line, "refused TLS handshake of the IoT data endpoint")...)
	}
}

// dataRequest is a request to the data endpoint.
type dataRequest struct {
	method, path string
	certificate  bool
	protocols    []string
	key          *sigv4.AccessKey
}

func (d dataRequest) send(t *testing.T, c *Cloud) (int, string) {
	t.Helper()
	config := &tls.Config{RootCAs: c.pki.Pool()}
	if d.certificate {
		config = deviceTLS(t, c, hub)
	}
	config.NextProtos = d.protocols
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), d.method, "https://"+c.MQTTEndpoint()+d.path, http.NoBody)
	must(t, err)
	if d.key != nil {
		key := aws.Credentials{AccessKeyID: d.key.ID, SecretAccessKey: d.key.Secret, SessionToken: d.key.Token}
		must(t, v4.NewSigner().SignHTTP(context.Background(), key, r, sigv4.Hash(nil), "iotdata", Region, time.Now()))
	}
	response, err := client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	body, err := io.ReadAll(response.Body)
	must(t, err)
	must(t, response.Body.Close())
	return response.StatusCode, string(body)
}

func TestHTTPSAtTheDataEndpoint(t *testing.T) {
	t.Parallel()
	const own, others = "/topics/kvs-edge%2Fhub-1%2Fa?qos=1", "/topics/kvs-edge%2Fhub-2%2Fa?qos=1"
	for name, row := range map[string]struct {
		options Options
		request dataRequest
		device  bool // signs, and not the user
		signs   bool
		status  int
		body    string
	}{
		"certificate, no ALPN": {request: dataRequest{method: "POST", path: own, certificate: true}, status: 200, body: `"message":"OK"`},
		"certificate, ALPN": {request: dataRequest{method: "POST", path: own, certificate: true,
			protocols: []string{"x-amzn-http-ca"}}, status: 200},
		"certificate, HTTP": {request: dataRequest{method: "POST", path: own, certificate: true, protocols: []string{"http/1.1"}},
			status: 200},
		"another's topic": {request: dataRequest{method: "POST", path: others, certificate: true}, status: 403,
			body: `"message":"Forbidden"`},
		"as AWS": {options: Options{AsAWS: true}, request: dataRequest{method: "POST", path: others, certificate: true},
			status: 200},
		"as AWS, retained": {options: Options{AsAWS: true}, request: dataRequest{method: "POST", path: own + "&retain=true",
			certificate: true}, status: 403, body: "Forbidden"},
		"as AWS, allowed": {options: Options{AsAWS: true, Allow: []string{"iot:RetainPublish"}},
			request: dataRequest{method: "POST", path: own + "&retain=true", certificate: true}, status: 200},
		"as AWS, a device signs": {options: Options{AsAWS: true}, request: dataRequest{method: "POST", path: own + "&retain=true",
			protocols: []string{"http/1.1"}}, signs: true, device: true, status: 200},
		"a device signs": {request: dataRequest{method: "POST", path: own, protocols: []string{"http/1.1"}}, signs: true,
			device: true, status: 403, body: "Forbidden"},
		"the user signs": {request: dataRequest{method: "POST", path: own, protocols: []string{"http/1.1"}}, signs: true,
			status: 200},
		"nobody": {request: dataRequest{method: "POST", path: own, protocols: []string{"http/1.1"}}, status: 403,
			body: "Missing Authentication Token"},
		"nobody, no ALPN": {request: dataRequest{method: "POST", path: own}, status: 0, body: "certificate"},
		"a credentials request": {request: dataRequest{method: "GET", path: "/role-aliases/x/credentials", certificate: true},
			status: 404, body: `"message":"Not Found"`},
		"qos 2": {request: dataRequest{method: "POST", path: strings.Replace(own, "qos=1", "qos=2", 1),
			certificate: true}, status: 400, body: "qos must be 0 or 1"},
		"GET of a topic": {request: dataRequest{method: "GET", path: own, certificate: true}, status: 405},
		"an unknown retained message": {options: Options{AsAWS: true, Allow: []string{"iot:Get*"}}, request: dataRequest{method: "GET",
			path: "/retainedMessage/a", certificate: true}, status: 404, body: "No retained message"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, row.options)
			if row.signs {
				key := c.keys.User()
				if row.device {
					key = c.keys.Issue(hub, time.Now())
				}
				row.request.key = &key
			}
			status, body := row.request.send(t, c)
			if status != row.status || !strings.Contains(body, row.body) {
				t.Errorf("answered %d: %s", status, body)
			}
		})
	}
}
