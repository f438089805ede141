package sitewise

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewise"
)

const hubID = "11111111-2222-4333-8444-555555555555"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// client speaks to a stand-in, over HTTPS, in which a hub has three cameras.
func client(t *testing.T) (*localcloud.Cloud, *Client) {
	t.Helper()
	c, err := localcloud.Start(localcloud.Options{Dir: t.TempDir(), StreamDelay: -1, Seed: &localcloud.Seed{
		Hubs: []localcloud.SeedHub{{Name: "hub-1", ID: hubID, Cameras: []sitewise.SeedCamera{
			{Name: "a", Stream: "stream-a"}, {Name: "b", Stream: "stream-b"}, {Name: "c", Stream: "stream-c"}}}},
	}})
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	env := make(map[string]string)
	for _, v := range c.UserEnv() {
		env[v.Name] = v.Value
	}
	pem, err := os.ReadFile(env["AWS_CA_BUNDLE"])
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return c, New(awsclient.Of(aws.Config{
		Region: localcloud.Region, BaseEndpoint: aws.String(c.Endpoint()), HTTPClient: &http.Client{Transport: transport}, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
	}))
}

// cameras describes those of the hub. Each page has one: row 3 of sitewise.md's section 2.
func cameras(t *testing.T, c *Client) (list []Asset) {
	t.Helper()
	c.page = 1
	hub, err := c.Asset(t.Context(), hubID)
	must(t, err)
	ids, err := c.Children(t.Context(), hubID, hub.Hierarchies[0])
	must(t, err)
	for _, id := range ids {
		asset, err := c.Asset(t.Context(), id)
		must(t, err)
		list = append(list, asset)
	}
	return list
}

// ref names a property of an asset.
func ref(t *testing.T, a Asset, name string) Ref {
	t.Helper()
	for _, p := range a.Properties {
		if p.Name == name {
			return Ref{a.ID, p.ID}
		}
	}
	t.Fatalf("%s has no property %s", a.Name, name)
	return Ref{}
}

func TestRow3AllPagesAreRead(t *testing.T) {
	t.Parallel()
	stand, c := client(t)
	list := cameras(t, c)
	if len(list) != 3 {
		t.Fatalf("%d cameras are listed: %+v", len(list), list)
	}
	var refs []Ref
	for _, a := range list {
		refs = append(refs, ref(t, a, "KinesisVideoStreamName"), ref(t, a, "VideoUploadedTimeRange"))
	}
	for _, single := range []bool{false, true} { // row 4: also where the role may read one at a time only
		if single {
			stand.Faults().RefuseOperation("BatchGetAssetPropertyValue", 403, "AccessDeniedException")
		}
		values, err := c.Values(t.Context(), refs)
		must(t, err)
		if len(values) != 6 || values[refs[0]].Text != "stream-"+list[0].Name || values[refs[1]].Kind != None {
			t.Errorf("one by one %t: %+v", single, values)
		}
	}
}

func TestValuesAreWrittenAndRefusedSingly(t *testing.T) {
	t.Parallel()
	stand, c := client(t)
	property := ref(t, cameras(t, c)[0], "VideoUploadedTimeRange")
	now := time.Now().Truncate(time.Second)
	refused, err := c.Put(t.Context(), []Entry{
		{Ref: property, Time: now.Add(-time.Minute), Value: 1}, {Ref: property, Time: time.Unix(1, 0), Value: 2},
		{Ref: property, Time: now, Value: 3},
	})
	must(t, err)
	if len(refused) != 1 || refused[0].Entry != 1 || refused[0].Code != "TimestampOutOfRangeException" || refused[0].Again {
		t.Errorf("refused are %+v", refused)
	}
	list, err := c.History(t.Context(), property, now.Add(-time.Hour), now, 10)
	must(t, err)
	if len(list) != 2 || list[0].Double != 1 || list[1] != (Value{Time: now.UTC(), Kind: Double, Double: 3}) {
		t.Errorf("the history is %+v", list)
	}
	stand.Faults().RefuseOperation("BatchPutAssetPropertyValue", 429, "ThrottlingException")
	_, err = c.Put(t.Context(), []Entry{{Ref: property, Time: now, Value: 4}})
	var answer *Error
	if !errors.As(err, &answer) || answer.Meaning.Kind != awserr.Throttled || answer.Right() != "iotsitewise:BatchPutAssetPropertyValue" {
		t.Errorf("a throttled call is %v", err)
	}
	stand.Faults().RefuseOperation("DescribeAsset", 404, "ResourceNotFoundException")
	if _, err := c.Asset(t.Context(), hubID); !IsNotFound(err) || IsDenied(err) {
		t.Errorf("an asset that is gone is %v", err)
	}
}
