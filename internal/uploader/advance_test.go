package uploader

import (
	"bytes"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// echo is a response of PutMedia that repeats the first acknowledgement of a kind for ever, and sends no later one.
type echo struct {
	http.ResponseWriter
	last []byte // the kind that is repeated

	mu    sync.Mutex
	began bool
	done  chan struct{}
	ended sync.WaitGroup
}

// Unwrap lets http.ResponseController find the connection.
func (e *echo) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// FlushError is for http.ResponseController: a repeated answer may be on its way.
func (e *echo) FlushError() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return http.NewResponseController(e.ResponseWriter).Flush()
}

// Write implements http.ResponseWriter.
func (e *echo) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case bytes.Contains(b, e.last) && !e.began:
		e.began = true
		again := bytes.Clone(b)
		e.ended.Go(func() {
			for {
				select {
				case <-e.done:
					return
				case <-time.After(5 * time.Millisecond):
				}
				e.mu.Lock()
				_, err := e.ResponseWriter.Write(again)
				if err == nil {
					err = http.NewResponseController(e.ResponseWriter).Flush()
				}
				e.mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	case e.began:
		return len(b), nil
	}
	return e.ResponseWriter.Write(b)
}

// TestAServiceThatRepeatsItselfDoesNotHoldTheSession has a service acknowledge the same for ever: the session ends, this is
// reported, and the next one sends the media.
func TestAServiceThatRepeatsItselfDoesNotHoldTheSession(t *testing.T) {
	t.Parallel()
	for _, event := range []kvs.EventType{kvs.Buffering, kvs.Received} {
		t.Run(string(event), func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.record(1, 4)
			took := testtools.Stopwatch(t)
			var sessions atomic.Int64
			w.answer = func(rw http.ResponseWriter, r *http.Request, service http.Handler) {
				if sessions.Add(1) > 1 {
					service.ServeHTTP(rw, r)
					return
				}
				e := &echo{ResponseWriter: rw, last: []byte(event), done: make(chan struct{})}
				service.ServeHTTP(e, r)
				_ = http.NewResponseController(rw).SetReadDeadline(time.Time{})
				<-r.Context().Done() // it continues after the media has ended
				close(e.done)
				e.ended.Wait()
			}

			w.drain(w.uploader(func(o *Options) { o.StallTimeout = 300 * time.Millisecond }))
			if passed := took(); passed > 8*time.Second {
				t.Errorf("the session was held for %v", passed)
			}
			w.expectAll()
			w.expectUploaded(0)
			if sessions.Load() < 2 || !w.sawCondition(codeUpload, health.SystemError) {
				t.Errorf("%d sessions; the service that repeats itself is not reported", sessions.Load())
			}
		})
	}
}

func TestOnlyProgressOfAFragmentCounts(t *testing.T) {
	t.Parallel()
	var s inflight
	for i, step := range []struct {
		event kvs.EventType
		want  bool
	}{
		{kvs.Idle, false}, {"NEW_KIND", false}, {kvs.Buffering, true}, {kvs.Buffering, false}, {"NEW_KIND", false},
		{kvs.Received, true}, {kvs.Buffering, false}, {kvs.Received, false}, {kvs.Persisted, true}, {kvs.Persisted, false},
	} {
		if got := s.advance(step.event); got != step.want {
			t.Errorf("step %d: %s moves: %v", i, step.event, got)
		}
	}
}
