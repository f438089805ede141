package uploader

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/rules"
)

// retries determines how long to wait before the next session, from the results of the last ones.
type retries struct {
	cloud    cloud
	stream   string
	retry    *backoff.Backoff
	askUser  *backoff.Backoff
	failures int  // in a row, without a fragment getting through
	renewed  bool // new credentials were requested since a fragment got through, as the old ones may have expired
	isolate  bool // one fragment a session: the last session ended without one getting through
}

// passed records that a fragment got through.
func (r *retries) passed() {
	r.failures, r.isolate, r.renewed = 0, false, false
	r.retry.Reset()
	r.askUser.Reset()
}

// next prepares the next session as the rule of an error says, and returns how long to wait before it.
func (r *retries) next(rule rules.Rule) time.Duration {
	switch rule.Action {
	case rules.NewEndpoint:
		r.cloud.InvalidateEndpoint(r.stream)
	case rules.NewCredentials:
		r.cloud.InvalidateCredentials()
	case rules.AskUser:
		r.cloud.InvalidateEndpoint(r.stream) // the stream may be created again with another endpoint
		if rule.Renew && !r.renewed {
			r.renewed = true
			r.cloud.InvalidateCredentials()
			break
		}
		return r.askUser.Next()
	case rules.RetryNow:
		if r.failures == 1 {
			return 0
		}
	case rules.Refuse:
		if r.failures <= 3 {
			return 0
		}
	}
	return r.retry.Next()
}
