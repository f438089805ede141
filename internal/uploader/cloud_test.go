package uploader

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// The whole local cloud checks signatures and refuses what is signed in another way than KVS wants.
func TestTheLocalCloudTakesOurSignature(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, media.Limits{})
	w.record(2, 3)
	cloud, err := localcloud.Start(localcloud.Options{Dir: t.TempDir(),
		Seed: &localcloud.Seed{Streams: []localcloud.SeedStream{{Name: door, RetentionHours: 24}}}})
	must(t, err)
	t.Cleanup(func() { must(t, cloud.Close()) })
	env := map[string]string{}
	for _, v := range cloud.UserEnv() {
		env[v.Name] = v.Value
	}
	pem, err := os.ReadFile(env["AWS_CA_BUNDLE"])
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	t.Cleanup(client.CloseIdleConnections)
	c := kvs.New(kvs.Options{Config: awsclient.Of(aws.Config{
		Region: env["AWS_REGION"], BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL"]), HTTPClient: client,
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
	})})
	w.service, err = cloud.Media(), w.service.Close() // expectations look at the local cloud now
	must(t, err)
	if hours, err := c.Retention(t.Context(), door); err != nil || hours != 24 {
		t.Errorf("the retention is %d h, %v", hours, err)
	}
	if list, err := c.EdgeConfigs(t.Context(), "arn:aws:iot:us-west-2:123456789012:thing/hub"); err != nil || len(list) != 0 {
		t.Errorf("the edge configurations are %v, %v", list, err)
	}
	w.drain(w.uploader(func(o *Options) { o.Cloud, o.IdleTimeout = c, 5*time.Second }))
	w.expectOnce()
	w.expectUploaded(0)
}
