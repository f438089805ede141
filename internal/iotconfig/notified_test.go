package iotconfig

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

const notifiedAsset = "5d0f8c8e-8b57-4c66-a2b1-0d6a5e9b7c21"

// notifiedHub is a hub with a camera in SiteWise, connected with a certificate, and its owner.
func notifiedHub(t *testing.T, n Notifications, connected func()) (topic string, request func(text string)) {
	t.Helper()
	a := newAccount(t, func(o *localcloud.Options) {
		o.StreamDelay = -1
		o.Seed = &localcloud.Seed{Hubs: []localcloud.SeedHub{{Name: "hub-1", Cameras: []sitewise.SeedCamera{{ID: notifiedAsset, Name: "front"}}}}}
	})
	owner := make(map[string]string)
	for _, v := range a.UserEnv() {
		owner[v.Name] = v.Value
	}
	keys := credentials.NewStaticCredentialsProvider(owner["AWS_ACCESS_KEY_ID"], owner["AWS_SECRET_ACCESS_KEY"], "")
	config := a.sdk(keys, a.Endpoint()[len("https://"):])
	asset, err := cloud.New(awsclient.Of(config)).Asset(t.Context(), notifiedAsset)
	if err != nil {
		t.Fatal(err)
	}
	var property string
	for _, p := range asset.Properties {
		if p.Name == "VideoUploadRequest" {
			property, topic = p.ID, p.Topic
		}
	}
	pair, err := tls.LoadX509KeyPair(a.env["AWS_IOT_CORE_CERT"], a.env["AWS_IOT_CORE_PRIVATE_KEY"])
	if err != nil {
		t.Fatal(err)
	}
	if n.Topics == nil {
		n.Topics = func() []string { return []string{topic} }
	}
	c, err := New(Options{
		ThingName: testThing, DataEndpoint: a.MQTTEndpoint(), Proxy: noProxy, Notifications: n, Connected: connected,
		TLS:       &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: a.roots(), MinVersion: tls.VersionTLS12},
		Reconnect: backoff.Policy{Min: 10 * time.Millisecond, Max: 50 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	api := iotsitewise.NewFromConfig(config, func(o *iotsitewise.Options) { // which has no name before its host
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("PlainHost", func(ctx context.Context, in middleware.InitializeInput,
				next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				return next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
			}), middleware.Before)
		})
	})
	return topic, func(text string) {
		t.Helper()
		_, err := api.BatchPutAssetPropertyValue(t.Context(), &iotsitewise.BatchPutAssetPropertyValueInput{
			Entries: []types.PutAssetPropertyValueEntry{{EntryId: aws.String("1"), AssetId: aws.String(notifiedAsset), PropertyId: &property,
				PropertyValues: []types.AssetPropertyValue{{Value: &types.Variant{StringValue: &text},
					Timestamp: &types.TimeInNanos{TimeInSeconds: aws.Int64(time.Now().Unix())}}}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Row 14 of sitewise.md's section 2: a value arrives by the notification of SiteWise.
func TestRow14NotificationsArrive(t *testing.T) {
	t.Parallel()
	messages, subscribed := make(chan string, 10), make(chan bool, 10)
	topic, request := notifiedHub(t, Notifications{
		Changed: signal.New().C(), Receive: func(payload []byte) { messages <- string(payload) },
		Subscribed: func(all bool) { subscribed <- all },
	}, nil)
	if !strings.HasPrefix(topic, notifiedPrefix) || !<-subscribed {
		t.Fatalf("topic %q is not subscribed to", topic)
	}
	request("1795867200000-1795867500000")
	if got := <-messages; !strings.Contains(got, notifiedAsset) || !strings.Contains(got, "1795867200000-1795867500000") {
		t.Errorf("the message is %s", got)
	}
}

// Where the broker ends the connection for such a subscription, the next connection does without, and stays.
func TestAConnectionStaysWithoutNotifications(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	connected := make(chan struct{}, 10)
	notifiedHub(t, Notifications{
		Topics:     func() []string { asked <- struct{}{}; return []string{notifiedPrefix + "not/of/a/property"} },
		Receive:    func([]byte) {},
		Subscribed: func(bool) {},
	}, func() { connected <- struct{}{} })
	<-asked
	<-connected
	<-connected // again
	testtools.Eventually(t, time.Minute, func() error {
		if len(asked) > 0 {
			return errors.New("it is asked for again")
		}
		return nil
	})
}
