package status

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// PathUpload is where uploads are asked for.
const PathUpload = "/v1/upload"

// UploadRequest is the body of POST /v1/upload: what was recorded from (inclusive) to (exclusive), or, with
// Refused, what the service refused, whenever it was recorded.
type UploadRequest struct {
	Stream  string    `json:"stream"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Refused bool      `json:"refused,omitempty"`
}

// UploadProgress is a line of the answer. The last one is finished or has an error.
type UploadProgress struct {
	Total    int  `json:"fragments"`
	Done     int  `json:"done"`
	Refused  int  `json:"refused,omitempty"` // of done: kept on the hub, as the service does not take them
	Finished bool `json:"finished,omitempty"`
	// Bytes of those that are done, of TotalBytes; an agent of before leaves them out.
	Bytes      int64  `json:"bytes,omitempty"`
	TotalBytes int64  `json:"totalBytes,omitempty"`
	Error      string `json:"error,omitempty"`
}

// Upload asks the agent for an upload and passes on how far it is, until its end.
func (c *Client) Upload(ctx context.Context, r UploadRequest, each func(UploadProgress)) error {
	// An agent that does not answer at all is found out before the wait without end.
	if _, err := c.LogLevel(ctx); err != nil {
		return err
	}
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent"+PathUpload, bytes.NewReader(body))
	if err != nil {
		return err
	}
	lasting := *c.http
	lasting.Timeout = 0 // an upload takes as long as it takes
	resp, err := lasting.Do(req)
	if err != nil {
		return c.failed(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return fmt.Errorf("the agent on %s answered %s: %s", c.socket, resp.Status, strings.TrimSpace(string(text)))
	}
	for lines := json.NewDecoder(resp.Body); ; {
		var p UploadProgress
		if err := lines.Decode(&p); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("the agent went away before the upload was done: %w", err)
		}
		if p.Error != "" {
			return errors.New(p.Error)
		}
		each(p)
		if p.Finished {
			return nil
		}
	}
}
