package localcloud

import (
	"context"
	"net/http"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/account"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/cloudwatch"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iotcreds"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/playback"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/state"
)

// openSiteWise reads what SiteWise has.
func (c *Cloud) openSiteWise() (*sitewise.Service, error) {
	return sitewise.Open(sitewise.Options{
		Home: account.Home(c.o.Region), State: state.PartOf(c.store, &c.doc.SiteWise), File: c.store.Path("sitewise-values.jsonl"),
		Now: c.o.Now, Delay: c.o.StreamDelay, Publish: c.broker.PublishReserved,
		Authorize: func(thing, operation, resource string) error {
			return c.policies.Authorize(iam.Caller{Thing: thing}, awsapi.SiteWise, operation, resource)
		},
	})
}

// newArchivedMedia makes what plays the uploaded media.
func (c *Cloud) newArchivedMedia() (*archivedmedia.Service, error) {
	return archivedmedia.New(archivedmedia.Options{
		Store: c.media, Streams: c.kvs, Now: c.o.Now, Key: c.keys.Derive("streaming sessions"), Endpoint: c.mediaEndpoint, Log: c.calls,
		Metadata: c.media.FragmentMetadata(), AsAWS: c.o.AsAWS,
	})
}

// video is Kinesis Video Streams without PutMedia, GetMedia and ListFragments.
func (c *Cloud) video() awsapi.Service {
	service := c.kvs.API()
	service.Protocol = func(r *http.Request) awsapi.Protocol { return archivedmedia.ProtocolOf(kvs.OperationOf(r)) }
	control := service.Call
	service.Call = func(operation string, r *http.Request, body []byte) ([]byte, error) {
		if archivedmedia.Has(operation) {
			return c.archived.Call(r.Context(), operation, body)
		}
		return control(operation, r, body)
	}
	return service
}

// PlaybackURL begins a session with the newest day of a stream, and returns its URL, which is good for 12 hours.
func (c *Cloud) PlaybackURL(stream string) (string, error) { return c.archived.PlaybackURL(stream) }

// PlayLast plays the end of a stream by HLS. It returns the last frame, as MP4 has it, and the number of fragments.
func (c *Cloud) PlayLast(ctx context.Context, stream string) (frame []byte, fragments int, err error) {
	url, err := c.PlaybackURL(stream)
	if err != nil {
		return nil, 0, err
	}
	return playback.Last(ctx, url, c.pki.Pool())
}

// CreateStream makes a stream that is ACTIVE at once. One that exists keeps its ARN and gets the
// retention; one that is DELETING is gone first.
func (c *Cloud) CreateStream(name string, retentionHours int) (arn string, err error) {
	return c.kvs.CreateStream(name, retentionHours)
}

// AwaitSyncStatus waits until the edge configuration of a stream has a sync status; DELETED waits
// until there is none. The error says how it stands.
func (c *Cloud) AwaitSyncStatus(ctx context.Context, stream, status string) error {
	return c.kvs.AwaitSyncStatus(ctx, stream, status)
}

// Bill of a stream until now.
func (c *Cloud) Bill(stream string) (kvs.Bill, error) {
	return c.kvs.Bill(stream, c.media.Fragments(stream))
}

// PutSecret makes a secret, or replaces its value. One that is marked for deletion is restored.
func (c *Cloud) PutSecret(name, json string) (arn string, err error) {
	return c.secrets.Put(name, json)
}

// MetricPoint is a value that was put into CloudWatch, or a set of them.
type MetricPoint = cloudwatch.Point

// Metrics lists what was put into CloudWatch, in the order of arrival, also before a restart.
func (c *Cloud) Metrics() []MetricPoint { return c.metrics.Metrics() }

// IssuedSecrets lists the secret keys and session tokens that devices got last, so that a test can
// look for them where they must not be.
func (c *Cloud) IssuedSecrets() []string { return c.credentials.IssuedSecrets() }

// TokenExchangePath is where the token exchange service answers.
const TokenExchangePath = iotcreds.TokenExchangePath

// NewTokenExchange returns the token exchange service on the core of that thing. It is an http.Handler, to be served
// on loopback.
func (c *Cloud) NewTokenExchange(thing, token string) *iotcreds.TokenExchange {
	return c.credentials.NewTokenExchange(thing, token)
}

func (c *Cloud) hearStatus(thing string, payload []byte) { c.kvs.HearStatus(thing, payload) }

func (c *Cloud) hearJobs(thing string, payload []byte) { c.kvs.HearJobs(thing, payload) }

// streamARN finds the ARN of a stream, which must not be DELETING.
func (c *Cloud) streamARN(nameOrARN string) (arn string, found bool) {
	info, found := c.kvs.Stream(nameOrARN)
	return info.ARN, found
}
