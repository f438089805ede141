package iotconfig

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/holdrequest"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// heldHolds are the holds of a hub, which stay when the hub ends as those on a disk do.
type heldHolds struct {
	mu        sync.Mutex
	list      map[string]hold.Hold
	done      []string // what was added and removed, in order
	endsFirst bool     // the hub ends after the next one, before its answer
}

func newHeldHolds() *heldHolds { return &heldHolds{list: make(map[string]hold.Hold)} }

func (d *heldHolds) known(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.list[id]
	return ok
}

// endNext has the hub end after the next hold that is added or removed.
func (d *heldHolds) endNext() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.endsFirst = true
}

// ending reports whether the hub is to end now.
func (d *heldHolds) ending() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.endsFirst
	d.endsFirst = false
	return before
}

func (d *heldHolds) add(ctx context.Context, h hold.Hold) (segments int, bytes int64, err error) {
	if !d.known(h.ID) {
		d.mu.Lock()
		d.list[h.ID] = h
		d.done = append(d.done, "+"+h.ID)
		d.mu.Unlock()
	}
	if d.ending() {
		<-ctx.Done()
		return 0, 0, ctx.Err()
	}
	return 1, 1000, nil
}

func (d *heldHolds) remove(hub *testHubSource) func(id, by string) (hold.Hold, error) {
	return func(id, _ string) (hold.Hold, error) {
		if !d.known(id) {
			return hold.Hold{}, errors.New("there is no such hold")
		}
		d.mu.Lock()
		h := d.list[id]
		delete(d.list, id)
		d.done = append(d.done, "-"+id)
		d.mu.Unlock()
		if d.ending() {
			hub.cancel()
		}
		return h, nil
	}
}

// awaitDone waits until that was done, in that order.
func (d *heldHolds) awaitDone(t *testing.T, want ...string) {
	t.Helper()
	testtools.Eventually(t, patience, func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if !slices.Equal(d.done, want) {
			return errors.New("it does not come to what it must")
		}
		return nil
	})
}

// holdAnswer is the payload of hold/status.
type holdAnswer struct {
	RequestID  string `json:"RequestId"`
	Action     string `json:"Action"`
	HoldID     string `json:"HoldId"`
	StreamName string `json:"StreamName"`
	Status     string `json:"Status"`
	Details    string `json:"Details"`
	Segments   int    `json:"Segments"`
	Bytes      int64  `json:"Bytes"`
}

// awaitHold waits for an answer to a request.
func (c *cloudSide) awaitHold(id, status string) (got holdAnswer) {
	c.t.Helper()
	c.await("hold "+id+" "+status, "hold/status", func(payload []byte) bool {
		got = holdAnswer{}
		return json.Unmarshal(payload, &got) == nil && got.RequestID == id && got.Status == status
	})
	return got
}

func (c *cloudSide) requestHold(payload string) {
	c.t.Helper()
	c.must(c.client.Publish("kvs-edge/"+testThing+"/hold", 1, false, payload))
}

const (
	addCase    = `{"RequestId":"add","Action":"ADD","HoldId":"case","StreamName":"door","From":1795233600.5,"To":1795233660,"Reason":"theft"}`
	removeCase = `{"RequestId":"remove","Action":"REMOVE","HoldId":"case"}`
)

func TestTheCloudAsksForHolds(t *testing.T) {
	t.Parallel()
	eitherBroker(t, func(t *testing.T, b testBroker, ca *iottest.Authority) {
		cloud, done := newCloudSide(t, b, ca), newHeldHolds()
		h := newTestHub(t, b.address(), t.TempDir(), ca.Device(testThing), func(o *hubOptions) { o.holds = done })
		h.run()
		cloud.awaitAgent("online")
		cloud.requestHold(addCase)
		want := holdAnswer{RequestID: "add", Action: "ADD", HoldID: "case", StreamName: "door", Status: "DONE", Segments: 1, Bytes: 1000}
		if got := cloud.awaitHold("add", holdrequest.Done); got != want {
			t.Errorf("it is answered with %+v", got)
		}
		cloud.requestHold("please hold it")
		cloud.awaitHold("", holdrequest.Failed)
		h.awaitCondition(codeMessage, "about a hold is invalid")
		cloud.requestHold(removeCase)
		cloud.awaitHold("remove", holdrequest.Done)
		h.awaitCondition(codeMessage, "")
		h.stop()
		// None is left with the broker for the next connection.
		h = newTestHub(t, b.address(), t.TempDir(), ca.Device(testThing), func(o *hubOptions) { o.holds = done })
		h.run()
		cloud.awaitAgent("online")
		cloud.requestHold(`{"RequestId":"last","Action":"REMOVE","HoldId":"case"}`)
		cloud.awaitHold("last", holdrequest.Failed)
		done.awaitDone(t, "+case", "-case")
	})
}

// The hub ends when it has followed a request, and has not answered: it gets the request again.
func TestAHoldIsAnsweredAfterARestart(t *testing.T) {
	t.Parallel()
	eitherBroker(t, func(t *testing.T, b testBroker, ca *iottest.Authority) {
		cloud, done, dir, device := newCloudSide(t, b, ca), newHeldHolds(), t.TempDir(), ca.Device(testThing)
		start := func() *testHubSource {
			h := newTestHub(t, b.address(), dir, device, func(o *hubOptions) { o.holds = done })
			h.run()
			cloud.awaitAgent("online")
			return h
		}
		h := start()
		done.endNext()
		cloud.requestHold(addCase)
		done.awaitDone(t, "+case")
		h.stop()
		h = start()
		cloud.awaitHold("add", holdrequest.Done)
		done.endNext()
		cloud.requestHold(removeCase)
		done.awaitDone(t, "+case", "-case")
		h.stop()
		start()
		if got := cloud.awaitHold("remove", holdrequest.Done); got.HoldID != "case" {
			t.Errorf("it is answered with %+v", got)
		}
		done.awaitDone(t, "+case", "-case")
	})
}

func TestAPolicyWithoutTheTopicOfHoldsIsLoggedAndNoFault(t *testing.T) {
	t.Parallel()
	for event, leaf := range map[string]string{"holds-denied": "hold", "events-denied": "event", "upload-requests-denied": "upload/request"} {
		t.Run(leaf, func(t *testing.T) {
			t.Parallel()
			ca := iottest.NewAuthority(t)
			b := newEmbedded(t, ca)
			b.stop()
			b.denied = []string{"kvs-edge/" + testThing + "/" + leaf}
			b.start()
			core, logs := observer.New(zap.InfoLevel)
			cloud := newCloudSide(t, b, ca)
			h := newTestHub(t, b.address(), t.TempDir(), ca.Device(testThing), func(o *hubOptions) { o.log = zap.New(core) })
			h.run()
			cloud.awaitAgent("online")
			if denied := logs.FilterField(zap.String("topic", b.denied[0])); denied.Len() != 1 ||
				denied.All()[0].ContextMap()["event"] != event {
				t.Errorf("the log has %+v, want %s", logs.All(), event)
			}
			cloud.send("refresh", []byte("{}"))
			h.awaitListing(2) // everything else works
		})
	}
}
