package iotconfig

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
)

// awaitUpload waits for an answer to a request.
func (c *cloudSide) awaitUpload(id, status string) uploadStatus {
	c.t.Helper()
	var got uploadStatus
	c.await("upload "+id+" "+status, "upload/status", func(payload []byte) bool {
		got = uploadStatus{}
		return json.Unmarshal(payload, &got) == nil && got.RequestID == id && got.Status == status
	})
	return got
}

func (c *cloudSide) demand(payload string) {
	c.t.Helper()
	c.must(c.client.Publish("kvs-edge/"+testThing+"/upload/request", 1, false, payload))
}

func TestTheCloudAsksForUploads(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	b := newEmbedded(t, ca)
	cloud := newCloudSide(t, b, ca)
	asked := make(chan UploadRequest, 10)
	goOn := make(chan struct{})
	h := newTestHub(t, b.address(), t.TempDir(), ca.Device(testThing), func(o *Options) {
		o.Upload = func(ctx context.Context, r UploadRequest, each func(done, total int)) error {
			asked <- r
			if r.Stream == "none" {
				return errors.New("there is no such stream")
			}
			each(1, 3)
			select {
			case <-goOn:
			case <-ctx.Done():
				return ctx.Err()
			}
			each(3, 3)
			return nil
		}
	})
	h.run()
	cloud.awaitAgent("online")

	request := `{"RequestId":"one","StreamName":"door","From":1795233600.5,"To":1795233660}`
	cloud.demand(request)
	cloud.demand(request) // comes twice, as with QoS 1 it may
	if got := cloud.awaitUpload("one", UploadRunning); got.Done != 1 || got.Total != 3 || got.StreamName != "door" {
		t.Errorf("it tells %+v", got)
	}
	want := UploadRequest{Stream: "door", From: time.UnixMilli(1795233600500).UTC(), To: time.Unix(1795233660, 0).UTC()}
	if got := <-asked; got != want {
		t.Errorf("it was asked for %+v, want %+v", got, want)
	}
	goOn <- struct{}{}
	if got := cloud.awaitUpload("one", UploadDone); got.Done != 3 || got.Details != "" {
		t.Errorf("it tells %+v", got)
	}

	cloud.demand(`{"RequestId":"two","StreamName":"none","From":1,"To":2}`)
	if got := cloud.awaitUpload("two", UploadFailed); got.Details != "there is no such stream" {
		t.Errorf("it tells %+v", got)
	}
	<-asked
	for _, nonsense := range []string{"", "[]", `{"StreamName":"door"}`, `{"RequestId":"x","From":"yesterday"}`} {
		cloud.demand(nonsense)
	}
	cloud.demand(`{"RequestId":"three","StreamName":"door","From":1,"To":2}`)
	cloud.awaitUpload("three", UploadRunning)
	<-asked
	h.stop()
	if len(asked) > 0 {
		t.Errorf("it was asked for %d uploads more", len(asked))
	}
}
