// Package cloudwatch owns the sending of metrics to Amazon CloudWatch. It must not know what the
// numbers mean, and keeps nothing: who sends, buffers.
package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// MaxPoints is what one call may hold. Source: CloudWatch quotas, PutMetricData.
const MaxPoints = 1000

// Timeout bounds one call, with all of the SDK's retries.
const Timeout = 20 * time.Second

// The codes of the faults.
const (
	CodeDenied      = "metrics-denied"
	CodeRefused     = "metrics-refused" // these points will never be accepted: do not send them again
	CodeUnreachable = "metrics-unreachable"
)

// Unit is what a value counts.
type Unit = types.StandardUnit

// The units that the agent uses.
const (
	UnitNone  = types.StandardUnitNone
	UnitCount = types.StandardUnitCount
	// UnitPercent is that of shares from 0 to 1 as well, as AWS's edge agent has it.
	UnitPercent = types.StandardUnitPercent
)

// Dimension is a name and a value by which CloudWatch distinguishes metrics of one name.
type Dimension struct{ Name, Value string }

// Point is one value at one time.
type Point struct {
	Name       string
	Dimensions []Dimension
	Unit       Unit
	Time       time.Time
	Value      float64
}

// Client sends points. Safe for concurrent use.
type Client struct{ api *cloudwatch.Client }

// New returns a Client with the credentials, region and endpoint of cfg.
func New(cfg awsclient.Config) *Client {
	return &Client{api: cloudwatch.NewFromConfig(cfg.SDK(endpoint.CloudWatch))}
}

// Put sends at most MaxPoints points in one call, compressed. An error is a *health.Fault.
func (c *Client) Put(ctx context.Context, namespace string, points []Point) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	data := make([]types.MetricDatum, 0, len(points))
	for _, p := range points {
		datum := types.MetricDatum{MetricName: &p.Name, Unit: p.Unit, Timestamp: &p.Time, Value: &p.Value}
		for _, d := range p.Dimensions {
			datum.Dimensions = append(datum.Dimensions, types.Dimension{Name: &d.Name, Value: &d.Value})
		}
		data = append(data, datum)
	}
	_, err := c.api.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: &namespace, MetricData: data})
	if err != nil {
		return requestFault(err)
	}
	return nil
}

// Denied asks whether the credentials' policy denies PutMetricData: it sends no metric, which CloudWatch refuses for that
// reason only when the policy would let it. An error is a *health.Fault, or nil when the right is there.
func (c *Client) Denied(ctx context.Context, namespace string) *health.Fault {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	_, err := c.api.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: &namespace, MetricData: []types.MetricDatum{}})
	if err == nil || !awserr.Of(err).RightMissing() {
		return nil
	}
	return requestFault(err)
}

func requestFault(err error) *health.Fault {
	var fault *health.Fault // of the credentials, for example: it says more than we can
	if errors.As(err, &fault) {
		return fault
	}
	switch answer := awserr.Of(err); {
	case answer.RightMissing():
		return health.UserFault(CodeDenied, err, "The hub's role may not send metrics: allow it cloudwatch:PutMetricData.")
	case answer.CredentialsRefused():
		return health.SystemFault(CodeDenied, err, "CloudWatch refuses the hub's credentials: check the role alias and the hub's clock.")
	case answer.Kind == awserr.Unreachable:
		return health.SystemFault(CodeUnreachable, err, "CloudWatch cannot be reached: check the hub's internet connection and firewall (port "+
			"443). Metrics are kept and sent later.")
	case answer.Kind == awserr.Throttled, answer.Kind == awserr.Failing:
		return health.SystemFault(CodeUnreachable, err, "CloudWatch answers with HTTP status %d; the metrics are kept and sent later.",
			answer.Status)
	default:
		return health.SystemFault(CodeRefused, err, "CloudWatch does not accept the metrics of some minutes (%s), which are dropped.",
			reason(answer.Name, answer.Status))
	}
}

func reason(code string, status int) string {
	if code != "" {
		return code
	}
	return fmt.Sprintf("HTTP status %d", status)
}
