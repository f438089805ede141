package writeback

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewise"
)

const seeded = "11111111-2222-4333-8444-555555555555"

// clock is a hub's, for the cloud.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// local is a hub whose SiteWise is the stand-in's, over HTTPS.
type local struct {
	*hub
	clock  *clock
	cloud  *localcloud.Cloud
	client *cloud.Client
}

func newLocal(t *testing.T) *local {
	t.Helper()
	l := &local{hub: hubOf(t), clock: &clock{now: begin}}
	var err error
	l.cloud, err = localcloud.Start(localcloud.Options{Dir: t.TempDir(), Now: l.clock.Now, StreamDelay: -1,
		Seed: &localcloud.Seed{Hubs: []localcloud.SeedHub{{Name: "hub-1", ID: seeded, Workspace: "yard",
			Cameras: []sitewise.SeedCamera{{Name: "door", Stream: stream}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.cloud.Close() })
	env := map[string]string{}
	for _, v := range l.cloud.UserEnv() {
		env[v.Name] = v.Value
	}
	pem, err := os.ReadFile(env["AWS_CA_BUNDLE"])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	l.client = cloud.New(awsclient.Of(aws.Config{
		Region: localcloud.Region, BaseEndpoint: aws.String(l.cloud.Endpoint()), HTTPClient: &http.Client{Transport: transport},
		Credentials:      credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
		RetryMaxAttempts: 1,
	}))
	l.find(t)
	l.w.o.Put = l.client
	return l
}

// find finds the camera's asset and its properties.
func (l *local) find(t *testing.T) {
	t.Helper()
	parent, err := l.client.Asset(t.Context(), seeded)
	if err != nil {
		t.Fatal(err)
	}
	for _, hierarchy := range parent.Hierarchies {
		children, err := l.client.Children(t.Context(), seeded, hierarchy)
		if err != nil {
			t.Fatal(err)
		}
		for _, child := range children {
			a, err := l.client.Asset(t.Context(), child)
			if err != nil {
				t.Fatal(err)
			}
			ids := map[string]string{}
			for _, p := range a.Properties {
				ids[p.Name] = p.ID
			}
			l.cameras = []Camera{{Stream: stream, Asset: child, Uploaded: ids["VideoUploadedTimeRange"],
				Recorded: ids["VideoRecordedTimeRange"], Cached: ids["CachedVideoAgeOutOnEdge"]}}
		}
	}
}

// pass lets the writer work for that long.
func (l *local) pass(d time.Duration) {
	for end := l.now.Add(d); l.now.Before(end); {
		l.now = l.now.Add(passEvery)
		l.clock.set(l.now)
		l.w.pass(context.Background())
	}
}

// read reads what SiteWise has, for check.
func (l *local) read(t *testing.T) {
	t.Helper()
	c := l.cameras[0]
	l.hub.cloud.values = map[id]map[time.Time]float64{}
	for property, name := range map[string]string{c.Uploaded: "uploaded", c.Recorded: "recorded", c.Cached: "cached"} {
		list, err := l.client.History(t.Context(), cloud.Ref{Asset: c.Asset, Property: property}, begin.Add(-time.Hour), l.now.Add(time.Hour),
			100_000)
		if err != nil {
			t.Fatal(err)
		}
		values := map[time.Time]float64{}
		for _, v := range list {
			values[v.Time.UTC()] = v.Double
		}
		l.hub.cloud.values[id{asset, name}] = values
	}
}

// TestOverHTTPS: recording, a gap, a request, a deletion, a day without SiteWise, throttling and a kill, with the stand-in that is strict
// to the service's model; afterwards AWS's player sees what exists.
func TestOverHTTPS(t *testing.T) {
	t.Parallel()
	l := newLocal(t)
	record := func(d time.Duration) {
		for end := l.now.Add(d); l.now.Before(end); {
			at := l.now
			l.record(5 * time.Minute)
			l.persist(at, l.now)
			l.pass(passEvery)
			l.seal()
		}
	}
	record(time.Hour)
	l.seal()
	l.now = l.now.Add(3 * time.Minute)
	l.cloud.Faults().CutOff()
	record(24 * time.Hour)
	if got := l.conditions(); len(got) != 1 || got[0] != CodeCall {
		t.Errorf("without a line the conditions are %v", got)
	}
	l.cloud.Faults().Restore()
	l.segments = l.segments[30:]
	l.cloud.Faults().RefuseOperation("BatchPutAssetPropertyValue", 429, "ThrottlingException")
	l.pass(6 * time.Minute)
	l.cloud.Faults().RefuseOperation("BatchPutAssetPropertyValue", 0, "")
	l.start() // the process was killed
	l.w.o.Put = l.client
	l.pass(8 * time.Minute)
	if got := l.conditions(); got != nil {
		t.Errorf("afterwards the conditions are %v", got)
	}
	l.read(t)
	l.check(begin.Add(-time.Minute), l.now)
}
