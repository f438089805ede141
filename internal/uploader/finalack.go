package uploader

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
)

const (
	// retentionLife is how long the stream's retention is taken for known.
	retentionLife = 10 * time.Minute
	// retentionTimeout bounds the question for it, on which a session must not wait.
	retentionTimeout = 5 * time.Second
)

// finalAck says which acknowledgement ends a fragment's upload: RECEIVED when the stream keeps
// nothing. When that is not known it is assumed to keep media, as nothing is lost then.
type finalAck struct {
	cloud    cloud
	stream   string
	log      *zap.Logger
	asked    time.Time // when the stream's retention was asked for; zero = not known
	keepNone bool      // its answer
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

// askAgain makes the next session ask for the retention: perhaps we wait for an acknowledgement that never comes.
func (f *finalAck) askAgain() { f.asked = time.Time{} }
