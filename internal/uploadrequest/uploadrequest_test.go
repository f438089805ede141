package uploadrequest

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

// A repeated request is answered with its progress while the upload itself reports that it is done.
func TestTheLastAnswerOfAnUploadStaysTheLast(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	var between atomic.Pointer[func()] // what happens at the next look at the clock
	last := make(chan []byte, 10)
	dir, err := statefile.Open(t.TempDir(), atomicfile.OS{})
	if err != nil {
		t.Fatal(err)
	}
	r := New(Options{
		Upload: func(_ context.Context, _ string, _, _ time.Time, each func(done, total int)) error {
			<-goOn
			each(1, 1)
			return nil
		},
		Publish: func(payload []byte, _ string, _ func()) { last <- payload },
		Now: func() time.Time {
			if f := between.Swap(nil); f != nil {
				(*f)()
			}
			return time.Now()
		},
		Dir: dir, Log: zap.NewNop(), Health: health.NewRegistry(time.Now).Component("", health.JobConfig),
	})
	request := []byte(`{"RequestId":"one","StreamName":"door","From":1,"To":2}`)
	r.receive(t.Context(), request)
	finish := func() {
		close(goOn)
		r.uploads.Wait()
	}
	between.Store(&finish)
	r.receive(t.Context(), request)

	said := func() (a answer) {
		var payload []byte
		for len(last) > 0 {
			payload = <-last
		}
		if err := json.Unmarshal(payload, &a); err != nil {
			t.Fatalf("nothing is said: %v", err)
		}
		return a
	}
	if got := said(); got.Status != Done {
		t.Errorf("in the end the cloud hears %s", got.Status)
	}
	r.receive(t.Context(), request)
	if got := said(); got.Status != Done {
		t.Errorf("asked again it says %s", got.Status)
	}
}

// A request that cannot be read is shown until one can, whatever comes of configurations meanwhile.
func TestAConditionOfRequestsEndsWithARequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		then  func(r *Requests, part *health.Component)
		shown bool
	}{
		"nothing":                        {func(*Requests, *health.Component) {}, true},
		"a listing or a configuration":   {func(_ *Requests, p *health.Component) { p.OK(health.ScopeMessage) }, true},
		"one that cannot be read either": {func(r *Requests, _ *health.Component) { r.receive(t.Context(), []byte("[]")) }, true},
		"one that can be read": {func(r *Requests, _ *health.Component) {
			r.receive(t.Context(), []byte(`{"RequestId":"one","StreamName":"door","From":1,"To":2}`))
		}, false},
	} {
		part := health.NewRegistry(time.Now).Component("", health.JobConfig)
		dir, err := statefile.Open(t.TempDir(), atomicfile.OS{})
		if err != nil {
			t.Fatal(err)
		}
		r := New(Options{
			Publish: func([]byte, string, func()) {}, Now: time.Now, Dir: dir, Log: zap.NewNop(), Health: part,
		})
		r.receive(t.Context(), []byte("upload please"))
		c.then(r, part)
		conditions := part.Snapshot().Conditions
		if got := len(conditions) == 1 && conditions[0].Code == codeMessage; got != c.shown {
			t.Errorf("after %s: %+v, want it shown: %v", name, conditions, c.shown)
		}
	}
}
