package uploader

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
)

const (
	// retentionLife is how long the stream's retention is used before it is requested again.
	retentionLife = 10 * time.Minute
	// retentionTimeout bounds the request for it, as a session must not wait for it for long.
	retentionTimeout = 5 * time.Second
)

// finalAck determines which acknowledgement ends a fragment's upload: PERSISTED, or RECEIVED when the stream has no
// retention. While the retention is not known the stream is assumed to keep media, as then nothing is lost.
type finalAck struct {
	cloud    cloud
	stream   string
	log      *zap.Logger
	asked    time.Time // when the stream's retention was requested; zero = not known
	keepNone bool      // the retention is 0 h
}

func (f *finalAck) event(ctx context.Context) kvs.EventType {
	if f.asked.IsZero() || time.Since(f.asked) > retentionLife {
		ctx, cancel := context.WithTimeout(ctx, retentionTimeout)
		hours, err := f.cloud.Retention(ctx, f.stream)
		cancel()
		if err == nil {
			f.keepNone = hours == 0
		} else {
			f.log.Debug("retention of the stream unknown", zap.Error(err))
		}
		f.asked = time.Now()
	}
	if f.keepNone {
		return kvs.Received
	}
	return kvs.Persisted
}

// askAgain makes the next session request the retention: perhaps this one waits for an acknowledgement that never comes.
func (f *finalAck) askAgain() { f.asked = time.Time{} }
