package iotconfig

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// noRetain ends the sessions of clients that publish retained messages, as AWS IoT does without
// iot:RetainPublish: at the will, or at the first such message.
type noRetain struct {
	mochi.HookBase
	wills    bool // ends them at the will already
	granted  atomic.Bool
	ended    atomic.Int32
	mu       sync.Mutex
	retained []bool // of each connection, whether it had a will
}

func (h *noRetain) Provides(b byte) bool { return b == mochi.OnConnect || b == mochi.OnPublish }

func (h *noRetain) OnConnect(_ *mochi.Client, pk packets.Packet) error {
	h.mu.Lock()
	h.retained = append(h.retained, pk.Connect.WillFlag)
	h.mu.Unlock()
	if pk.Connect.WillRetain && h.wills && !h.granted.Load() {
		h.ended.Add(1)
		return packets.ErrNotAuthorized
	}
	return nil
}

func (h *noRetain) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.FixedHeader.Retain && !h.granted.Load() {
		h.ended.Add(1)
		cl.Stop(io.EOF)
		return pk, packets.ErrRejectPacket
	}
	return pk, nil
}

func (h *noRetain) wholeConnections() []bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]bool(nil), h.retained...)
}

// retainBrokers are brokers that do not let this hub publish retained messages.
func retainBrokers(t *testing.T, ca *iottest.Authority, which string) (testBroker, *noRetain) {
	t.Helper()
	switch which {
	case "mosquitto":
		return newMosquitto(t, ca, "retain_available false"), nil
	default:
		hook := &noRetain{wills: which == "at the will"}
		return newEmbedded(t, ca, hook), hook
	}
}

var retainKinds = []string{"mosquitto", "at the will", "at the first message"}

func TestWithoutTheRightToRetainAllElseWorks(t *testing.T) {
	t.Parallel()
	for _, which := range retainKinds {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			ca := iottest.NewAuthority(t)
			b, hook := retainBrokers(t, ca, which)
			cloud := newCloudSide(t, b, ca)
			hub := newTestHub(t, b.address(), t.TempDir(), ca.Device(testThing))
			hub.run()
			cloud.awaitAgent("online")
			hub.awaitCondition(CodeRetain, "allow iot:RetainPublish on the topic kvs-edge/"+testThing+"/agent/status")
			hub.awaitCondition(CodeMQTT, "")
			cloud.send("update", updateOf("cam", 1_700_000_000))
			cloud.awaitSync("cam", kvsconfig.InSync)
			for _, c := range hub.part.Snapshot().Conditions {
				if c.Code == CodeRetain && c.Severity != health.Info {
					t.Errorf("a hub that records and uploads counts as %v", c.Severity)
				}
			}
			hub.stop()
			cloud.awaitAgent("offline")
			if hook != nil {
				if got := hook.wholeConnections(); hook.ended.Load() != retainedEnds || len(got) < retainedEnds+1 || got[len(got)-1] {
					t.Errorf("%d sessions ended for it, connections with a will: %v", hook.ended.Load(), got)
				}
			}
		})
	}
}

// TestARightToRetainThatIsGrantedIsUsed after a while, or after a reload of the settings.
func TestARightToRetainThatIsGrantedIsUsed(t *testing.T) {
	t.Parallel()
	for _, after := range []string{"a while", "a reload"} {
		t.Run(after, func(t *testing.T) {
			t.Parallel()
			ca := iottest.NewAuthority(t)
			hook := &noRetain{wills: true}
			b := newEmbedded(t, ca, hook)
			hub := newTestHub(t, b.address(), t.TempDir(), ca.Device(testThing))
			if after == "a while" {
				hub.timing.retainRetry, hub.timing.retainRetryMost = 50*time.Millisecond, 100*time.Millisecond
			}
			hub.run()
			hub.awaitCondition(CodeRetain, "iot:RetainPublish")
			if after == "a while" { // one that fails costs a single session
				testtools.Eventually(t, patience, func() error {
					if n := hook.ended.Load(); n < retainedEnds+2 {
						return fmt.Errorf("retained messages are not tried again: %d sessions have ended", n)
					}
					return nil
				})
			}
			hook.granted.Store(true)
			if after == "a reload" {
				hub.RetryRetained()
			}
			hub.awaitCondition(CodeRetain, "")
			cloud := newCloudSide(t, b, ca)
			cloud.awaitAgent("online") // retained
			b.kick(testThing)
			cloud.awaitAgent("offline") // the will
		})
	}
}

// TestWhatEndsSessionsAnywayIsNotCalledTheRight has a broker that takes no session of the hub at all.
func TestWhatEndsSessionsAnywayIsNotCalledTheRight(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	hook := &refuseAll{}
	b := newEmbedded(t, ca, hook)
	hub := newTestHub(t, b.address(), t.TempDir(), ca.Device(testThing))
	hub.run()
	hub.awaitCondition(CodeMQTT, "iot:Connect for the client id "+testThing)
	testtools.Eventually(t, patience, func() error {
		if n := hook.count.Load(); n < 7 {
			return fmt.Errorf("the hub does not keep trying: it has tried %d times", n)
		}
		return nil
	})
	hub.awaitCondition(CodeRetain, "")
	if with := hook.wills.Load(); with < 4 {
		t.Errorf("of 7 connections %d had a will", with)
	}
}

type refuseAll struct {
	mochi.HookBase
	count, wills atomic.Int32
}

func (h *refuseAll) Provides(b byte) bool { return b == mochi.OnConnect }

func (h *refuseAll) OnConnect(_ *mochi.Client, pk packets.Packet) error {
	if pk.Connect.WillFlag {
		h.wills.Add(1)
	}
	h.count.Add(1)
	return packets.ErrNotAuthorized
}

// TestAProbeNamesTheRightToRetain as check shows it.
func TestAProbeNamesTheRightToRetain(t *testing.T) {
	t.Parallel()
	for _, which := range retainKinds {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			ca := iottest.NewAuthority(t)
			b, hook := retainBrokers(t, ca, which)
			options := ProbeOptions{ThingName: testThing, DataEndpoint: b.address(), TLS: ca.Device(testThing), Proxy: noProxy}
			err := Probe(t.Context(), options)
			if f := health.FaultOf(err, ""); f == nil || f.Code != CodeRetain {
				t.Errorf("without the right: %v", err)
			}
			if hook == nil {
				return
			}
			hook.granted.Store(true)
			if err := Probe(t.Context(), options); err != nil {
				t.Errorf("with the right: %v", err)
			}
			cloud := newCloudSide(t, b, ca)
			cloud.awaitAgent("offline")
		})
	}
}

// TestWithTheRightsOfAWSsGuide has neither the right to publish retained messages nor that to list.
func TestWithTheRightsOfAWSsGuide(t *testing.T) {
	t.Parallel()
	guide := newAccount(t, func(o *localcloud.Options) { o.AsAWS = true })
	hub := guide.hub(t.TempDir())
	hub.run()
	hub.awaitCondition(CodeRetain, "iot:RetainPublish on the topic kvs-edge/"+testThing+"/agent/status")
	hub.awaitCondition(codeList, "kinesisvideo:ListEdgeAgentConfigurations")
	hub.awaitCondition(CodeMQTT, "")
	if state := hub.part.Snapshot().State; state != "online" {
		t.Errorf("the hub is %s", state)
	}

	granted := newAccount(t, func(o *localcloud.Options) {
		o.AsAWS, o.Allow = true, []string{"iot:RetainPublish", "kinesisvideo:ListEdgeAgentConfigurations"}
	})
	hub = granted.hub(t.TempDir())
	hub.run()
	testtools.Eventually(t, patience, func() error {
		if now := hub.part.Snapshot(); now.State != "online" {
			return fmt.Errorf("with the rights: %+v", now)
		}
		return nil
	})
	hub.awaitCondition(CodeRetain, "")
	hub.awaitCondition(codeList, "")
}
