package kvs

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
)

// StorageTier is the tier in which the stream's media is stored from now on: HOT or WARM.
func (c *Client) StorageTier(ctx context.Context, stream string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	const operation = "DescribeStreamStorageConfiguration"
	out, err := c.api.DescribeStreamStorageConfiguration(ctx, &kinesisvideo.DescribeStreamStorageConfigurationInput{StreamName: &stream})
	switch {
	case err != nil:
		return "", callError(operation, stream, err)
	case out.StreamStorageConfiguration == nil || out.StreamStorageConfiguration.DefaultStorageTier == "":
		return "", callError(operation, stream, errEmptyAnswer)
	}
	return string(out.StreamStorageConfiguration.DefaultStorageTier), nil
}
