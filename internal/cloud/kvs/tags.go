package kvs

import (
	"context"
	"maps"

	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
)

// Tags returns the stream's tags: all of them, or an error.
func (c *Client) Tags(ctx context.Context, stream string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	all := make(map[string]string)
	var pages pageWalk
	for token := (*string)(nil); ; {
		out, err := c.api.ListTagsForStream(ctx, &kinesisvideo.ListTagsForStreamInput{StreamName: &stream, NextToken: token})
		if err != nil {
			return nil, callError("ListTagsForStream", stream, err)
		}
		maps.Copy(all, out.Tags)
		token = out.NextToken
		if more, err := pages.after(token); err != nil {
			return nil, callError("ListTagsForStream", stream, err)
		} else if !more {
			return all, nil
		}
	}
}
