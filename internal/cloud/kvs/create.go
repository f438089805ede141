package kvs

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
)

const (
	// activeWithin is how long a stream may take to become active; it takes some seconds.
	activeWithin = 2 * time.Minute
	// activeEvery is how often that is asked. An account has 300 calls/s of DescribeStream.
	activeEvery = time.Second
)

// NewStream is a stream to be created.
type NewStream struct {
	Name           string
	RetentionHours int
	Tags           map[string]string
}

// Ensure creates a stream that does not exist, and waits until it is active. It does not change a stream that exists. An error
// is a *RequestError where there was an answer.
func (c *Client) Ensure(ctx context.Context, s NewStream) (created bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, activeWithin)
	defer cancel()
	for {
		status, err := c.streamStatus(ctx, s.Name)
		var answer *RequestError
		switch {
		case err == nil && status == types.StatusActive, err == nil && status == types.StatusUpdating:
			return created, nil
		case err == nil: // it is being created, or deleted
		case !errors.As(err, &answer) || answer.Meaning.Kind != awserr.NotFound:
			return created, err
		case !created:
			if err := c.create(ctx, s); err != nil {
				return false, err
			}
			created = true
		}
		if err := backoff.Sleep(ctx, activeEvery); err != nil {
			return created, err
		}
	}
}

func (c *Client) streamStatus(ctx context.Context, stream string) (types.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := c.api.DescribeStream(ctx, &kinesisvideo.DescribeStreamInput{StreamName: &stream})
	if err != nil {
		return "", callError("DescribeStream", stream, err)
	}
	if out.StreamInfo == nil {
		return "", callError("DescribeStream", stream, errEmptyAnswer)
	}
	return out.StreamInfo.Status, nil
}

// create creates a stream, unless another one does so at the same time.
func (c *Client) create(ctx context.Context, s NewStream) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := c.api.CreateStream(ctx, &kinesisvideo.CreateStreamInput{
		StreamName: &s.Name, DataRetentionInHours: aws.Int32(int32(s.RetentionHours)), Tags: s.Tags,
	})
	var inUse *types.ResourceInUseException
	if err != nil && !errors.As(err, &inUse) {
		return callError("CreateStream", s.Name, err)
	}
	return nil
}
