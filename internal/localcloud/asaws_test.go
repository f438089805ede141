package localcloud

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
)

// heardOnly checks that a hub was sent nothing but the marker that is published now.
func (h *testHub) heardOnly(c *Cloud, marker string) {
	h.t.Helper()
	c.broker.Publish(h.thing, "config/"+marker, []byte("{}"))
	select {
	case m := <-h.heard:
		if !strings.HasSuffix(m.Topic(), marker) {
			h.t.Errorf("the hub %s is sent %s: %s", h.thing, m.Topic(), m.Payload())
		}
	case <-waiting(h.t).Done():
		h.t.Errorf("the marker %s did not come", marker)
	}
}

func syncStatus(t *testing.T, c *Cloud) (status string, out map[string]any) {
	t.Helper()
	out = succeed(t, c, "DescribeEdgeConfiguration", `{"StreamName":"cam"}`)
	return out["SyncStatus"].(string), out
}

// As far as AWS's private protocol is not known, hubs are sent nothing and change nothing.
func TestAsAWSNothingOfOurProtocolHappens(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := start(t, Options{Now: clock.Now, AsAWS: true})
	arn, err := c.CreateStream("cam", 24)
	must(t, err)
	h := connectHub(t, c, hub)
	startEdge := `{"StreamName":"cam","EdgeConfig":` + goodEdgeConfig + `}`
	out := succeed(t, c, "StartEdgeConfigurationUpdate", startEdge)
	answer := func(status string) {
		version := jsonOf(t, out["LastUpdatedTime"])
		c.kvs.HearStatus(hub, fmt.Appendf(nil, `{"StreamName":"cam","SyncStatus":%q,"LastUpdatedTime":%s}`, status, version))
		c.kvs.HearJobs(hub, []byte(`{"Streams":[{"StreamName":"cam","Recorder":{"Status":"SUCCESS","LastUpdatedTime":1700000000}}]}`))
		c.kvs.Step()
	}
	want := func(status string) {
		t.Helper()
		answer(kvs.Acknowledged)
		answer(kvs.InSync)
		answer(kvs.Deleted)
		got, out := syncStatus(t, c)
		if got != status {
			t.Errorf("the configuration is %s, want %s", got, status)
		}
		if out["EdgeAgentStatus"] != nil {
			t.Errorf("the status of the agent is known: %v", out["EdgeAgentStatus"])
		}
	}
	want(kvs.Syncing)
	h.heardOnly(c, "after-start")
	clock.advance(15*time.Minute - time.Second)
	want(kvs.Syncing)
	clock.advance(time.Second)
	want(kvs.SyncFailed)

	succeed(t, c, "StartEdgeConfigurationUpdate", strings.Replace(startEdge, "thing/hub-1", "thing/hub-2", 1))
	h.heardOnly(c, "after-move")
	succeed(t, c, "DeleteEdgeConfiguration", `{"StreamName":"cam"}`)
	clock.advance(10 * 365 * 24 * time.Hour)
	want(kvs.Deleting)
	if code, _ := ask(t, c, "StartEdgeConfigurationUpdate", startEdge); code != kvsmodel.ResourceInUse {
		t.Errorf("an update of a configuration that is being deleted is answered with %q", code)
	}
	other := connectHub(t, c, "hub-2")
	succeed(t, c, "DeleteStream", `{"StreamARN":"`+arn+`"}`)
	other.heardOnly(c, "after-delete")
}

// The state of an earlier run without AsAWS does not show what hubs reported then.
func TestAsAWSForgetsWhatHubsReported(t *testing.T) {
	t.Parallel()
	c := start(t, Options{Dir: stateFixture(t), AsAWS: true})
	status, out := syncStatus(t, c)
	if status != kvs.SyncFailed || out["EdgeAgentStatus"] != nil {
		t.Errorf("described as %v", out)
	}
}
