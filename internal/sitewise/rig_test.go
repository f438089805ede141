package sitewise_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewise"
	ours "github.com/kvs-edge/kvs-edge-agent/internal/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

const (
	patience  = time.Minute
	secretARN = "arn:aws:secretsmanager:us-west-2:123456789012:secret:front-a1B2c3"
	hubID     = "11111111-2222-4333-8444-555555555555"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rig is a source between SiteWise and an applier.
type rig struct {
	t      *testing.T
	cloud  *localcloud.Cloud
	config aws.Config
	owner  *iotsitewise.Client
	client *cloud.Client
	health *health.Registry
	state  statefile.Dir
	source *ours.Source
	stop   func()

	mu      sync.Mutex
	now     time.Time
	applied []desired.Set
	all     bool
	unclear []string
}

// front and back are the cameras that always record, and that never do.
var seed = localcloud.SeedHub{Name: "hub-1", ID: hubID, Workspace: "yard", Cameras: []sitewise.SeedCamera{
	{Name: "front", Stream: "front-door", Secret: secretARN, RetentionMinutes: 120, CaptureStart: "* * * * *"},
	{Name: "back", Stream: "back-door", Secret: secretARN},
}}

func newRig(t *testing.T, hub localcloud.SeedHub) *rig {
	t.Helper()
	c, err := localcloud.Start(localcloud.Options{Dir: t.TempDir(), Seed: &localcloud.Seed{Hubs: []localcloud.SeedHub{hub}}, StreamDelay: -1})
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
	r := &rig{t: t, cloud: c, config: aws.Config{
		Region: localcloud.Region, BaseEndpoint: aws.String(c.Endpoint()), HTTPClient: &http.Client{Transport: transport}, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
	}, now: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
	r.owner = iotsitewise.NewFromConfig(r.config, func(o *iotsitewise.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("NoHostPrefix", func(ctx context.Context, in middleware.InitializeInput,
				next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				return next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
			}), middleware.Before)
		})
	})
	r.client = cloud.New(awsclient.Of(r.config))
	r.health = health.NewRegistry(time.Now)
	r.state, err = statefile.Open(t.TempDir(), atomicfile.OS{})
	must(t, err)
	return r
}

// start starts the source, again.
func (r *rig) start() {
	r.t.Helper()
	r.source = ours.New(ours.Options{
		Hub: hubID, Cloud: r.client, State: r.state, Applier: r, Applied: r.known, Every: 200 * time.Millisecond, Log: zap.NewNop(),
		Clock:  func() (time.Time, *time.Location) { r.mu.Lock(); defer r.mu.Unlock(); return r.now, time.UTC },
		Health: r.health.Component("", health.JobConfig),
	})
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	r.source.Start(ctx)
	go func() { defer close(done); r.source.Run(ctx) }()
	r.stop = sync.OnceFunc(func() { cancel(); <-done })
	r.t.Cleanup(r.stop)
}

// Apply implements sitewise.Applier.
func (r *rig) Apply(_ context.Context, wanted desired.Set) (outcomes []desired.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.applied = append(r.applied, maps.Clone(wanted))
	for _, name := range wanted.Names() {
		outcomes = append(outcomes, desired.Outcome{Stream: name})
	}
	return outcomes
}

func (r *rig) known(all bool, unclear []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all, r.unclear = all, unclear
}

// wanted is what was applied last.
func (r *rig) wanted() desired.Set {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.applied) == 0 {
		return nil
	}
	return r.applied[len(r.applied)-1]
}

// pass moves the clock.
func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// eventually waits until a condition holds.
func (r *rig) eventually(what string, holds func() error) {
	r.t.Helper()
	testtools.Eventually(r.t, patience, func() error {
		if err := holds(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

// awaitStreams waits until these streams are wanted.
func (r *rig) awaitStreams(names ...string) {
	r.t.Helper()
	slices.Sort(names)
	r.eventually("the streams", func() error {
		if got := r.wanted().Names(); !slices.Equal(got, names) || r.wanted() == nil {
			return fmt.Errorf("they are %v, want %v", got, names)
		}
		return nil
	})
}

// awaitCondition waits until a condition of the hub says that; empty: until there is none with that code.
func (r *rig) awaitCondition(code, says string) {
	r.t.Helper()
	r.eventually("condition "+code, func() error {
		var texts []string
		for _, c := range r.health.Component("", health.JobConfig).Snapshot().Conditions {
			if c.Code == code {
				texts = append(texts, c.Text)
			}
		}
		if all := strings.Join(texts, "\n"); says == "" && all != "" || !strings.Contains(all, says) {
			return fmt.Errorf("it says %q, want %q", all, says)
		}
		return nil
	})
}

// property returns the id of a property of an asset.
func (r *rig) property(asset, name string) string {
	r.t.Helper()
	out, err := r.owner.DescribeAsset(r.t.Context(), &iotsitewise.DescribeAssetInput{AssetId: &asset})
	must(r.t, err)
	for _, p := range out.AssetProperties {
		if strings.EqualFold(*p.Name, name) {
			return *p.Id
		}
	}
	r.t.Fatalf("asset %s has no property %s", asset, name)
	return ""
}

// asset returns the id of a camera's asset.
func (r *rig) asset(name string) string {
	r.t.Helper()
	out, err := r.owner.ListAssociatedAssets(r.t.Context(), &iotsitewise.ListAssociatedAssetsInput{AssetId: aws.String(hubID)})
	must(r.t, err)
	for _, a := range out.AssetSummaries {
		if *a.Name == name {
			return *a.Id
		}
	}
	r.t.Fatalf("there is no camera asset %s", name)
	return ""
}

// set writes a property: a string, or an int.
func (r *rig) set(asset, name string, value any) {
	r.t.Helper()
	var v types.Variant
	switch x := value.(type) {
	case string:
		v.StringValue = &x
	case int:
		v.IntegerValue = aws.Int32(int32(x))
	}
	out, err := r.owner.BatchPutAssetPropertyValue(r.t.Context(), &iotsitewise.BatchPutAssetPropertyValueInput{
		Entries: []types.PutAssetPropertyValueEntry{{EntryId: aws.String("1"), AssetId: &asset, PropertyId: aws.String(r.property(asset, name)),
			PropertyValues: []types.AssetPropertyValue{{Value: &v, Timestamp: &types.TimeInNanos{TimeInSeconds: aws.Int64(time.Now().Unix()),
				OffsetInNanos: aws.Int32(int32(time.Now().Nanosecond()))}}}}}})
	must(r.t, err)
	if len(out.ErrorEntries) > 0 {
		r.t.Fatalf("%s of %s is not written: %+v", name, asset, out.ErrorEntries[0].Errors)
	}
}

// kvs is Kinesis Video Streams as the owner sees it.
func (r *rig) kvs() *kvs.Client { return kvs.New(kvs.Options{Config: awsclient.Of(r.config)}) }
