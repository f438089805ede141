package archivedmedia

import (
	"net/http"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/callrate"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// perSecond is how many calls a second one stream takes, of the operations that have such a quota (developer guide, "Service
// quotas", Media and archived-media API). The others are bounded by the fragments that they read.
var perSecond = map[string]int{
	kvsmodel.GetHLSStreamingSessionURL.Name: 25, kvsmodel.GetDASHStreamingSessionURL.Name: 25,
}

// perSession is how many requests a second one session takes (Service quotas, Video playback protocol API).
var perSession = map[string]int{
	opManifest: 5, opMaster: 5, opPlaylist: 5, opInit: 5, opFragment: 20, opTS: 20,
}

// fragmentMedia is how many fragments the operations may read a second of one stream, together (Service quotas, Fragment-media).
const fragmentMedia = 500

// quotas are what streams and sessions may use.
type quotas struct {
	metadata *callrate.Points // fragments that may be looked up
	media    *callrate.Points // fragments that may be read
	calls    rates            // by operation and stream
	sessions rates            // by operation and token
}

// rates are those of many callers. Those that did not call lately are forgotten.
type rates struct {
	now func() time.Time

	mu          sync.Mutex
	recent, old map[string]*callrate.Rate
}

// rateGeneration is after how many callers those that called earlier are forgotten.
const rateGeneration = 1000

func (r *rates) admit(key string, n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	rate := r.recent[key]
	if rate == nil {
		if rate = r.old[key]; rate == nil {
			rate = &callrate.Rate{N: n, Now: r.now}
		}
		if r.recent == nil || len(r.recent) >= rateGeneration {
			r.recent, r.old = map[string]*callrate.Rate{}, r.recent
		}
		r.recent[key] = rate
	}
	return rate.Admit()
}

// admit counts a call about a stream.
func (q *quotas) admit(o *kvsmodel.Operation, info media.StreamInfo) error {
	n, limited := perSecond[o.Name]
	if limited && !q.calls.admit(o.Name+" "+info.Name, n) {
		return exceeded("the stream", "more than %d %s requests per second for this stream", n, o.Name)
	}
	return nil
}

// admitPlayer counts a request of a player.
func (q *quotas) admitPlayer(operation, token string) error {
	n := perSession[operation]
	if !q.sessions.admit(operation+" "+token, n) {
		return exceeded("the session", "more than %d %s requests per second for this session", n, operation)
	}
	return nil
}

// lookUp takes the points of looking up fragments of a stream.
func (q *quotas) lookUp(stream string, n int) error {
	if !q.metadata.Take(stream, n) {
		return exceeded("the stream", "more than %d points per second of the fragment-metadata quota of this stream", q.metadata.N)
	}
	return nil
}

// read takes the points of reading fragments of a stream.
func (q *quotas) read(stream string, n int) error {
	if !q.media.Take(stream, n) {
		return exceeded("the stream", "more than %d points per second of the fragment-media quota of this stream", q.media.N)
	}
	return nil
}

func exceeded(where, format string, args ...any) error {
	return awsapi.Errorf(http.StatusBadRequest, kvsmodel.ClientLimitExceeded, where, format, args...)
}
