package iotconfig

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"
)

// A request that comes again is told how far it is while the upload itself tells that it is done.
func TestTheLastAnswerOfAnUploadStaysTheLast(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	var between atomic.Pointer[func()] // what happens at the next look at the clock
	h := newTestHub(t, "", t.TempDir(), nil, func(o *Options) {
		o.NoTLS = "a test without a broker"
		o.Upload = func(_ context.Context, _ UploadRequest, each func(done, total int)) error {
			<-goOn
			each(1, 1)
			return nil
		}
		o.Now = func() time.Time {
			if f := between.Swap(nil); f != nil {
				(*f)()
			}
			return time.Now()
		}
	})
	request := []byte(`{"RequestId":"one","StreamName":"door","From":1,"To":2}`)
	h.upload(t.Context(), request)
	finish := func() {
		close(goOn)
		h.uploads.group.Wait()
	}
	between.Store(&finish)
	h.upload(t.Context(), request)

	// Without a connection the outbox keeps what is to be said last.
	last, _, ok := h.outbox.head()
	var said uploadStatus
	if err := json.Unmarshal(last.payload, &said); !ok || err != nil {
		t.Fatalf("nothing is said: %v", err)
	}
	if said.Status != UploadDone {
		t.Errorf("in the end the cloud hears %s", said.Status)
	}
	h.upload(t.Context(), request)
	last, _, _ = h.outbox.head()
	if err := json.Unmarshal(last.payload, &said); err != nil || said.Status != UploadDone {
		t.Errorf("asked again it says %s (%v)", said.Status, err)
	}
}
