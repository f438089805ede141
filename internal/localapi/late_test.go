package localapi

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAnAgentThatNeverAnswersIsNotWaitedFor has one that takes connections and says nothing: each call ends in a bounded time,
// and at once when its caller has limit.
func TestAnAgentThatNeverAnswersIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	calls := map[string]struct {
		call   func(ctx context.Context, c *Client) error
		within time.Duration // 0: until the caller cancels it
	}{
		"status":         {func(ctx context.Context, c *Client) error { _, err := c.Status(ctx); return err }, requestTimeout},
		"settings":       {func(ctx context.Context, c *Client) error { _, err := c.Settings(ctx); return err }, requestTimeout},
		"metrics":        {func(ctx context.Context, c *Client) error { _, err := c.Metrics(ctx); return err }, requestTimeout},
		"log level":      {func(ctx context.Context, c *Client) error { _, err := c.LogLevel(ctx); return err }, requestTimeout},
		"set log level":  {func(ctx context.Context, c *Client) error { _, err := c.SetLogLevel(ctx, "INFO"); return err }, requestTimeout},
		"secrets":        {func(ctx context.Context, c *Client) error { return c.ReadSecrets(ctx) }, requestTimeout},
		"reload":         {func(ctx context.Context, c *Client) error { _, err := c.Reload(ctx); return err }, requestTimeout},
		"delete":         {func(ctx context.Context, c *Client) error { _, err := c.DeleteStream(ctx, "door"); return err }, requestTimeout},
		"upload":         {func(ctx context.Context, c *Client) error { return c.Upload(ctx, UploadRequest{}, nil) }, requestTimeout},
		"streams":        {func(ctx context.Context, c *Client) error { _, err := c.RecordedStreams(ctx); return err }, requestTimeout},
		"segments":       {segmentsReading(0), requestTimeout},
		"segments, gaps": {segmentsReading(50), requestTimeout + 50*readTimeout},
		"verification":   {func(ctx context.Context, c *Client) error { _, err := c.Verify(ctx, Span{}, nil); return err }, 0},
		"media":          {func(ctx context.Context, c *Client) error { _, err := c.Media(ctx, Span{}, nil, nil); return err }, 0},
	}
	for name, row := range calls {
		for _, limit := range []time.Duration{time.Second, time.Hour} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var far []net.Conn
					c := newClient("/run/agent.sock", func(context.Context) (net.Conn, error) {
						near, other := net.Pipe()
						far = append(far, other)
						go discard(other)
						return near, nil
					})
					why := errors.New("interrupt signal received")
					ctx, cancel := context.WithCancelCause(t.Context())
					time.AfterFunc(limit, func() { cancel(why) })
					started := time.Now()
					err := row.call(ctx, c)
					took := time.Since(started)
					<-time.After(2 * time.Hour)
					for _, conn := range far {
						_ = conn.Close()
					}
					want := limit
					if row.within != 0 && row.within < limit {
						want = row.within
					}
					late := strings.Contains(errorText(err), "does not answer within")
					if stopped := errors.Is(err, why) || errors.Is(err, context.Canceled); took != want || late == stopped || late != (want != limit) {
						t.Errorf("after %v, want %v: %v", took, want, err)
					}
				})
			})
		}
	}
}

func segmentsReading(n int) func(ctx context.Context, c *Client) error {
	return func(ctx context.Context, c *Client) error {
		return c.Segments(ctx, Span{Stream: "door"}, func() int { return n }, nil)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// discard reads all that is sent.
func discard(conn net.Conn) {
	buffer := make([]byte, 1024)
	for {
		if _, err := conn.Read(buffer); err != nil {
			return
		}
	}
}
