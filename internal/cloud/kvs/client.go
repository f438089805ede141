// Package kvs owns how the hub speaks to Kinesis Video Streams: the few control-plane calls it
// needs, over the AWS SDK, and PutMedia, which the SDK does not have. It must not know what is
// uploaded when, nor what to do about an error: it names errors and nothing more.
package kvs

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	location "github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

// callTimeout bounds a control-plane call with the SDK's retries.
const callTimeout = 20 * time.Second

// Options of a Client.
type Options struct {
	// Config has region, credentials, and the way to the service. Required.
	Config awsclient.Config
	// Log receives what only a developer wants to know. Default nowhere.
	Log *zap.Logger
	// Now is the wall clock, for signatures and the age of endpoints. Default time.Now.
	Now func() time.Time
}

// Client speaks to KVS for all streams of a hub. Safe for concurrent use.
type Client struct {
	api         *kinesisvideo.Client
	archive     *kinesisvideoarchivedmedia.Client // its host comes with each call
	config      awsclient.Config
	region      string
	credentials aws.CredentialsProvider // keeps them
	transport   *http.Transport         // every session gets a clone
	buffers     *sync.Pool              // of connections that write
	userAgent   string
	signer      *v4.Signer
	log         *zap.Logger
	now         func() time.Time

	mu        sync.Mutex
	endpoints map[endpointOf]endpoint // guarded by mu
	lists     listPace
}

// endpointOf is what an endpoint is for.
type endpointOf struct {
	stream string
	api    types.APIName
}

// invalidator is a provider that keeps credentials until they are refused.
type invalidator interface{ Invalidate() }

// endpoint is where a stream's media goes.
type endpoint struct {
	url     string
	fetched time.Time
}

// New returns a Client. It does not ask for anything yet.
func New(o Options) *Client {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Client{
		config: o.Config, region: o.Config.Region(), transport: o.Config.Media(), userAgent: o.Config.UserAgent(),
		signer: v4.NewSigner(), log: o.Log, now: o.Now, endpoints: make(map[endpointOf]endpoint),
		buffers: newBuffers(),
	}
	cfg := o.Config.SDK(location.KinesisVideo)
	// A provider that can be made to ask again keeps them itself. The SDK's cache around it would see
	// when they end by the wall clock alone, and keep them for hours too long when that is set back.
	if _, keeps := cfg.Credentials.(invalidator); !keeps && cfg.Credentials != nil {
		cfg.Credentials = aws.NewCredentialsCache(cfg.Credentials)
	}
	c.credentials = cfg.Credentials
	c.api = kinesisvideo.NewFromConfig(cfg)
	c.archive = kinesisvideoarchivedmedia.NewFromConfig(cfg)
	return c
}

// DataEndpoint returns the URL that the stream's media is put to, kept for 45 min.
func (c *Client) DataEndpoint(ctx context.Context, stream string) (string, error) {
	return c.dataEndpoint(ctx, endpointOf{stream, types.APINamePutMedia})
}

func (c *Client) dataEndpoint(ctx context.Context, of endpointOf) (string, error) {
	stream := of.stream
	c.mu.Lock()
	known, ok := c.endpoints[of]
	c.mu.Unlock()
	if age := c.now().Sub(known.fetched); ok && age >= 0 && age < kvslimit.EndpointAge {
		return known.url, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := c.api.GetDataEndpoint(ctx, &kinesisvideo.GetDataEndpointInput{StreamName: &stream, APIName: of.api})
	if err != nil {
		return "", callError("GetDataEndpoint", stream, err)
	}
	url := aws.ToString(out.DataEndpoint)
	if _, err := c.config.Endpoints().Given(location.Media, url); err != nil {
		return "", fmt.Errorf("the endpoint of stream %s is not used: %w", stream, err)
	}
	c.mu.Lock()
	c.endpoints[of] = endpoint{url: url, fetched: c.now()}
	c.mu.Unlock()
	c.log.Debug("data endpoint received", zap.String("stream", stream), zap.String("endpoint", url))
	return url, nil
}

// InvalidateEndpoint makes the next request about the stream's media ask for its endpoint again.
func (c *Client) InvalidateEndpoint(stream string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for of := range c.endpoints {
		if of.stream == stream {
			delete(c.endpoints, of)
		}
	}
}

// InvalidateCredentials makes the next request ask for credentials again.
func (c *Client) InvalidateCredentials() {
	if kept, ok := c.credentials.(invalidator); ok {
		kept.Invalidate()
	}
}

// Retention is for how many hours the stream keeps media; 0 means that it keeps none and never
// acknowledges a fragment as persisted.
func (c *Client) Retention(ctx context.Context, stream string) (hours int, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := c.api.DescribeStream(ctx, &kinesisvideo.DescribeStreamInput{StreamName: &stream})
	if err != nil {
		return 0, callError("DescribeStream", stream, err)
	}
	if out.StreamInfo == nil {
		return 0, callError("DescribeStream", stream, errEmptyAnswer)
	}
	return int(aws.ToInt32(out.StreamInfo.DataRetentionInHours)), nil
}
