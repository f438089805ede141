// Package sitewise owns how the hub speaks to AWS IoT SiteWise: what assets and properties there are, what their values are
// and were, and the writing of values. It must not know what a camera is, nor what follows from a value.
package sitewise

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
)

const (
	// callTimeout bounds one call, with all of the SDK's retries.
	callTimeout = 20 * time.Second
	// maxPages bounds a listing: an asset has 2,000 children at most, 50 or more to a page.
	// Source: AWS IoT SiteWise User Guide, quotas.
	maxPages = 100
	pageSize = 250
)

// Client speaks to SiteWise. Safe for concurrent use.
type Client struct {
	control, data *iotsitewise.Client
	page          int32 // entries of a listing in one answer
	credentials   aws.CredentialsProvider
}

// New returns a Client with the credentials, region and endpoints of cfg.
func New(cfg awsclient.Config) *Client {
	return &Client{
		control: iotsitewise.NewFromConfig(cfg.SDK(endpoint.SiteWise), plainHost), credentials: cfg.Credentials(), page: pageSize,
		data: iotsitewise.NewFromConfig(cfg.SDK(endpoint.SiteWiseData), plainHost),
	}
}

// plainHost stops the SDK from putting the name of the plane before the host: the table of endpoints has it, and an address
// that the operator set cannot have one before it.
func plainHost(o *iotsitewise.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("PlainHost", func(ctx context.Context, in middleware.InitializeInput,
			next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			return next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
		}), middleware.Before)
	})
}

// Error is a call that failed.
type Error struct {
	Operation string
	Asset     string // or asset model; empty where the call is about several
	Err       error
	// Meaning is what the answer means.
	Meaning awserr.Error
}

// Error says what failed, and what the answer was.
func (e *Error) Error() string {
	text := e.Operation
	if e.Asset != "" {
		text += " of " + e.Asset
	}
	if e.Meaning.Status == 0 {
		return fmt.Sprintf("%s failed: %v", text, e.Err)
	}
	text += fmt.Sprintf(" was answered with HTTP status %d %s", e.Meaning.Status, e.Meaning.Name)
	if e.Meaning.Message != "" {
		text += ": " + e.Meaning.Message
	}
	return text
}

// Unwrap returns the SDK's error.
func (e *Error) Unwrap() error { return e.Err }

// Right is the action that a policy has to allow for the call.
func (e *Error) Right() string { return e.Meaning.Permission("iotsitewise:" + e.Operation) }

// IsDenied reports whether a right is missing.
func IsDenied(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Meaning.RightMissing()
}

// IsNotFound reports whether what the call names does not exist.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Meaning.Kind == awserr.NotFound
}

// failed names an error, and has outdated credentials asked for again.
func (c *Client) failed(operation, asset string, err error) error {
	e := &Error{Operation: operation, Asset: asset, Err: err, Meaning: awserr.Of(err)}
	if kept, ok := c.credentials.(interface{ Invalidate() }); ok && e.Meaning.CredentialsOutdated() {
		kept.Invalidate()
	}
	return e
}

// Asset is an asset as it is described. The values of its properties are read by Values.
type Asset struct {
	ID, Name, ModelID string
	Hierarchies       []string // ids
	Properties        []Property
}

// Property is one of an asset.
type Property struct {
	ID, Name string
	Type     string // STRING, INTEGER, DOUBLE, BOOLEAN or STRUCT
	// Topic is where changes of its value are published; empty where notifications are off.
	Topic string
}

// Asset describes an asset.
func (c *Client) Asset(ctx context.Context, id string) (Asset, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := c.control.DescribeAsset(ctx, &iotsitewise.DescribeAssetInput{AssetId: &id})
	if err != nil {
		return Asset{}, c.failed("DescribeAsset", id, err)
	}
	asset := Asset{ID: id, Name: aws.ToString(out.AssetName), ModelID: aws.ToString(out.AssetModelId)}
	for _, h := range out.AssetHierarchies {
		asset.Hierarchies = append(asset.Hierarchies, aws.ToString(h.Id))
	}
	for _, p := range out.AssetProperties {
		next := Property{ID: aws.ToString(p.Id), Name: aws.ToString(p.Name), Type: string(p.DataType)}
		if p.Notification != nil && p.Notification.State == types.PropertyNotificationStateEnabled {
			next.Topic = aws.ToString(p.Notification.Topic)
		}
		asset.Properties = append(asset.Properties, next)
	}
	return asset, nil
}

// ModelName returns the name of an asset model.
func (c *Client) ModelName(ctx context.Context, id string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := c.control.DescribeAssetModel(ctx, &iotsitewise.DescribeAssetModelInput{AssetModelId: &id})
	if err != nil {
		return "", c.failed("DescribeAssetModel", id, err)
	}
	return aws.ToString(out.AssetModelName), nil
}

// errPages is a listing that has no last page.
var errPages = errors.New("the pages of the answer do not end, so that it is not complete")

// Children lists the assets below an asset in one of its hierarchies: all of them, or an error.
func (c *Client) Children(ctx context.Context, asset, hierarchy string) (ids []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*callTimeout)
	defer cancel()
	in := &iotsitewise.ListAssociatedAssetsInput{AssetId: &asset, HierarchyId: &hierarchy, MaxResults: aws.Int32(c.page),
		TraversalDirection: types.TraversalDirectionChild}
	for range maxPages {
		out, err := c.control.ListAssociatedAssets(ctx, in)
		if err != nil {
			return nil, c.failed("ListAssociatedAssets", asset, err)
		}
		for _, summary := range out.AssetSummaries {
			ids = append(ids, aws.ToString(summary.Id))
		}
		if aws.ToString(out.NextToken) == "" {
			return ids, nil
		}
		in.NextToken = out.NextToken
	}
	return nil, c.failed("ListAssociatedAssets", asset, errPages)
}
