package kvs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Request headers (API reference, PutMedia). The last is not in the reference; AWS's C producer sends it.
const (
	headerStream    = "x-amzn-stream-name"
	headerStart     = "x-amzn-producer-start-timestamp"
	headerTimecodes = "x-amzn-fragment-timecode-type"
	headerAcks      = "x-amzn-fragment-acknowledgment-required"
)

const (
	service = "kinesisvideo"
	// emptyHash is SHA-256 of nothing: PutMedia is signed as if it had no body, as it has no end yet.
	emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// PutMediaInput describes a session.
type PutMediaInput struct {
	Stream string
	// Start is the producer time of the first fragment.
	Start time.Time
	// Header is the stream's header, which precedes the first Cluster: EBML head, Segment of unknown size, Info, Tracks.
	Header []byte
	// Pace returns how long that many further bytes must wait. It is called from the session's own
	// goroutine, for at most 124 KiB at a time. nil = not at all.
	Pace func(bytes int) time.Duration
	// WriteSize returns how many bytes are sent at once; more than 124 KiB, or nil, is 124 KiB.
	WriteSize func() int
}

// PutMedia opens a session with absolute timecodes. ctx bounds the opening only; the session lasts
// until CloseSend or Abort, one of which must be called. An answer other than 200 is a *RequestError.
// A signature that is refused as the hub's clock is off is corrected at once.
func (c *Client) PutMedia(ctx context.Context, in PutMediaInput) (*Session, error) {
	keys, err := c.keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("PutMedia of stream %s cannot be signed: %w: %w", in.Stream, ErrCredentials, err)
	}
	url, err := c.DataEndpoint(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	used := c.correction()
	s, err := c.putMedia(ctx, in, keys, url, used)
	var refused *RequestError
	if !errors.As(err, &refused) || refused.Status < http.StatusBadRequest || refused.Status >= http.StatusInternalServerError {
		return s, err
	}
	if now := c.correction(); (now - used).Abs() > correctedFrom { // the answer's Date told
		return c.putMedia(ctx, in, keys, url, now)
	}
	return s, err
}

// correctedFrom is from what on another time of a signature may make a difference. AWS takes those that are 5 min off.
const correctedFrom = time.Minute

// correction is what is added to the hub's clock for a signature, so that it has the service's time.
func (c *Client) correction() time.Duration {
	now := c.now()
	return c.config.SigningTime(now).Sub(now)
}

// putMedia is PutMedia with those keys, signed with that correction.
func (c *Client) putMedia(ctx context.Context, in PutMediaInput, keys aws.Credentials, url string,
	correction time.Duration) (*Session, error) {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := newSession(in, cancel)
	req, err := http.NewRequestWithContext(lasting, http.MethodPost, strings.TrimSuffix(url, "/")+"/putMedia", s.body)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("the data endpoint of stream %s is not a URL: %w", in.Stream, err)
	}
	req.ContentLength = -1
	ms := in.Start.UnixMilli()
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set(headerStream, in.Stream)
	req.Header.Set(headerStart, fmt.Sprintf("%d.%03d", ms/1000, ms%1000))
	req.Header.Set(headerTimecodes, "ABSOLUTE")
	req.Header.Set(headerAcks, "1")
	if err := c.signer.SignHTTP(ctx, keys, req, emptyHash, service, c.region, c.now().Add(correction)); err != nil {
		cancel()
		return nil, fmt.Errorf("PutMedia of stream %s cannot be signed: %w", in.Stream, err)
	}

	s.config = c.config
	if keys.CanExpire {
		s.credentialsEnd = keys.Expires
	}
	s.transport = sessionTransport(lasting, c.transport, s.body, c.buffers)
	answer, err := s.open(ctx, req)
	var refused *RequestError
	switch {
	case errors.As(err, &refused):
		return nil, refused
	case err != nil:
		return nil, fmt.Errorf("PutMedia of stream %s failed: %w", in.Stream, err)
	}
	go s.receive(answer)
	return s, nil
}

func (c *Client) keys(ctx context.Context) (aws.Credentials, error) {
	if c.credentials == nil {
		return aws.Credentials{}, errors.New("none are configured")
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	keys, err := c.credentials.Retrieve(ctx)
	if err == nil && keys.CanExpire && !c.now().Before(keys.Expires) {
		// The SDK's cache uses the wall clock, which was set back since.
		c.InvalidateCredentials()
		return c.credentials.Retrieve(ctx)
	}
	return keys, err
}
