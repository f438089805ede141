package iotconfig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/configtest"
)

// online returns a running hub that is connected and at rest: its first listings are done.
func online(t *testing.T, b testBroker, ca *iottest.Authority) (*testHubSource, *cloudSide) {
	t.Helper()
	return onlineAt(t, b.address(), b, ca)
}

func onlineAt(t *testing.T, endpoint string, b testBroker, ca *iottest.Authority) (*testHubSource, *cloudSide) {
	t.Helper()
	cloud := newCloudSide(t, b, ca)
	hub := newTestHub(t, endpoint, t.TempDir(), ca.Device(testThing))
	hub.run()
	cloud.awaitAgent("online")
	hub.awaitApply()
	hub.awaitListing(2) // at start and after the connection
	return hub, cloud
}

// soonAfterPush confirms what came by a message soon.
func soonAfterPush(o *hubOptions) { o.timing.AfterPush = 20 * time.Millisecond }

func TestTheWholeConversationWithEitherBroker(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T, *iottest.Authority) testBroker{
		"embedded":  func(t *testing.T, ca *iottest.Authority) testBroker { return newEmbedded(t, ca) },
		"mosquitto": func(t *testing.T, ca *iottest.Authority) testBroker { return newMosquitto(t, ca) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := iottest.NewAuthority(t)
			b := start(t, ca)
			internet := testtools.NewLink(t, b.address())
			hub, cloud := onlineAt(t, internet.Address(), b, ca)

			cloud.send("update", updateOf("cam", 1_700_000_000.123))
			if s := cloud.awaitSync("cam", kvsconfig.Acknowledged); !s.LastUpdatedTime.Equal(time.UnixMilli(1_700_000_000_123)) ||
				s.StreamARN != streamARN("cam") {
				t.Errorf("acknowledged %+v", s)
			}
			applied := hub.awaitApply("cam")
			if applied["cam"].Media.SecretARN != testSecret || !applied["cam"].Version.Time().Equal(time.UnixMilli(1_700_000_000_123)) {
				t.Errorf("applied %+v", applied)
			}
			cloud.awaitSync("cam", kvsconfig.InSync)
			if url, err := hub.cameras.URL(t.Context(), testSecret); err != nil || url.Reveal() != cameraURL {
				t.Errorf("the camera's URL: %q, %v", url.Reveal(), err)
			}

			// Redelivered: answered, not applied. Newer with the same content: applied.
			cloud.send("update", updateOf("cam", 1_700_000_000.123))
			cloud.awaitSync("cam", kvsconfig.InSync)
			hub.applier.None(t)
			cloud.send("update", updateOf("cam", 1_700_000_009))
			cloud.awaitSync("cam", kvsconfig.Acknowledged)
			hub.awaitApply("cam")
			cloud.awaitSync("cam", kvsconfig.InSync)

			// Stale: ignored, and told how it stands.
			cloud.send("update", updateOf("cam", 1_600_000_000))
			if s := cloud.awaitSync("cam", kvsconfig.InSync); !s.LastUpdatedTime.Equal(time.Unix(1_700_000_009, 0)) {
				t.Errorf("a stale message is answered with %+v", s)
			}
			hub.applier.None(t)

			// Jobs.
			hub.setJobs(JobStatus{StreamName: "cam", Jobs: []JobState{
				{Key: "Recorder", Status: health.UserError, Details: "The camera is off.", Updated: time.Unix(1_700_000_010, 0),
					Collected: time.UnixMilli(1_700_000_007_250)},
				{Key: "Uploader", Status: health.Success, Updated: time.Unix(1_700_000_010, 0)},
			}})
			cloud.await("the jobs' status", "jobs/status", func(payload []byte) bool {
				var s struct {
					Streams []struct {
						StreamName         string
						Recorder, Uploader *jobDoc
					}
				}
				return json.Unmarshal(payload, &s) == nil && len(s.Streams) == 1 && s.Streams[0].Recorder != nil &&
					s.Streams[0].Recorder.Status == "USER_ERROR" && s.Streams[0].Recorder.Details == "The camera is off." &&
					s.Streams[0].Recorder.LastUpdatedTime.Equal(time.Unix(1_700_000_010, 0)) &&
					s.Streams[0].Recorder.LastCollectedTime.Equal(time.UnixMilli(1_700_000_007_250)) &&
					s.Streams[0].Uploader.LastCollectedTime.IsZero() && !strings.Contains(string(payload), `"LastCollectedTime":0`)
			})

			// Cut off, and back: listed again, and told what was missed meanwhile.
			internet.Cut()
			cloud.awaitAgent("offline")
			hub.awaitCondition(CodeMQTT, "IoT")
			hub.kvs.Set(configtest.Listed(t, "cam", 1_700_000_020, configtest.Syncing))
			hub.syncer.RequestListing()
			hub.awaitApply("cam") // the listing does not need the broker
			cloud.send("update", updateOf("cam-3", 1_700_000_021))
			hub.kvs.Set(configtest.Listed(t, "cam", 1_700_000_020, configtest.Syncing), configtest.Listed(t, "cam-3", 1_700_000_021,
				configtest.Syncing))
			internet.Restore()
			cloud.awaitSync("cam", kvsconfig.InSync)
			hub.awaitApply("cam", "cam-3")
			cloud.awaitSync("cam-3", kvsconfig.InSync)
			hub.awaitCondition(CodeMQTT, "")

			// Refresh.
			cam3 := configtest.Listed(t, "cam-3", 1_700_000_021, kvsconfig.InSync)
			hub.kvs.Set(configtest.Listed(t, "cam", 1_700_000_020, kvsconfig.InSync), configtest.Listed(t, "cam-2", 1_700_000_030,
				configtest.Syncing), cam3)
			cloud.send("refresh", []byte("{}"))
			hub.awaitApply("cam", "cam-2", "cam-3")
			cloud.awaitSync("cam-2", kvsconfig.InSync)

			// Delete.
			hub.kvs.Set(configtest.Listed(t, "cam-2", 1_700_000_030, kvsconfig.InSync), cam3)
			cloud.send("delete", deleteOf("cam", 1_700_000_040))
			cloud.awaitSync("cam", kvsconfig.DeletingAcknowledged)
			hub.applier.AwaitRemove(t, "cam")
			cloud.awaitSync("cam", kvsconfig.Deleted)
			cloud.send("delete", deleteOf("cam", 1_700_000_040))
			cloud.awaitSync("cam", kvsconfig.Deleted)

			hub.stop()
			cloud.awaitAgent("offline")
		})
	}
}

func TestBadMessagesOverTheWireAreAnsweredAndHarmNothing(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	hub, cloud := online(t, newEmbedded(t, ca), ca)
	cloud.send("update", updateOf("cam", 1_600_000_000))
	hub.awaitApply("cam")
	cloud.awaitSync("cam", kvsconfig.InSync)
	for _, row := range badMessages() {
		cloud.send("update", []byte(row.payload))
		if row.stream == "" {
			continue
		}
		if s := cloud.awaitSync("cam", kvsconfig.SyncFailed); !s.LastUpdatedTime.Equal(row.at) && !row.at.IsZero() {
			t.Errorf("%s: answered %+v", row.name, s)
		}
	}
	for _, garbage := range []string{"", "[]", `{"StreamName":"cam"}`, `{"StreamName":"cam","LastUpdatedTime":"x"}`} {
		cloud.send("delete", []byte(garbage))
	}
	cloud.awaitSync("cam", kvsconfig.DeleteFailed)
	cloud.send("refresh", []byte("garbage is as good as {}"))
	hub.awaitListing(1)
	hub.applier.None(t)
	cloud.send("update", updateOf("cam", 1_700_000_100))
	hub.awaitApply("cam")
	cloud.awaitSync("cam", kvsconfig.InSync)
	hub.awaitCondition(codeMessage, "")
	hub.awaitCondition(refusedCode("cam"), "")
	if len(hub.applier.Removed) > 0 {
		t.Error("garbage removed a stream")
	}
}

func TestAConfigurationOfAnotherHubIsRefused(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	hub, cloud := online(t, newEmbedded(t, ca), ca)
	for i, foreign := range []string{"arn:aws:iot:us-west-2:123456789012:thing/hub-2", "arn:aws:iot:us-west-2:999999999999:thing/hub-1",
		"arn:aws:iot:eu-west-1:123456789012:thing/hub-1"} {
		cloud.send("update", []byte(strings.Replace(string(updateOf("cam", 1_700_000_000+float64(i))), testHub, foreign, 1)))
		if s := cloud.awaitSync("cam", kvsconfig.SyncFailed); !strings.Contains(s.FailedStatusDetails, foreign) ||
			!strings.Contains(s.FailedStatusDetails, testHub) {
			t.Errorf("details: %s", s.FailedStatusDetails)
		}
	}
	hub.applier.None(t)
	hub.awaitCondition(refusedCode("cam"), "thing/hub-1")
}

func TestAnInvalidConfigurationLeavesTheOneBeforeInForce(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	hub, cloud := online(t, newEmbedded(t, ca), ca)
	cloud.send("update", updateOf("cam", 1_700_000_000))
	hub.awaitApply("cam")
	cloud.awaitSync("cam", kvsconfig.InSync)
	bad := strings.Replace(string(updateOf("cam", 1_700_000_005)), `"EdgeConfig":{`,
		`"EdgeConfig":{"DeletionConfig":{"EdgeRetentionInHours":0,"LocalSizeConfig":{"MaxLocalMediaSizeInMB":1}},`, 1)
	cloud.send("update", []byte(bad))
	s := cloud.awaitSync("cam", kvsconfig.SyncFailed)
	for _, part := range []string{"DeletionConfig.EdgeRetentionInHours is 0", "DeletionConfig.LocalSizeConfig.MaxLocalMediaSizeInMB is 1"} {
		if !strings.Contains(s.FailedStatusDetails, part) {
			t.Errorf("the details lack %q: %s", part, s.FailedStatusDetails)
		}
	}
	hub.applier.None(t)
	// A later, good one of another stream applies both, the old version of the first.
	cloud.send("update", updateOf("cam-2", 1_700_000_006))
	if applied := hub.awaitApply("cam", "cam-2"); !applied["cam"].Version.Time().Equal(time.Unix(1_700_000_000, 0)) {
		t.Errorf("applied version %v", applied["cam"].Version.Time())
	}
}

func TestAFailedApplicationIsToldAndTriedAgain(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	hub, cloud := online(t, newEmbedded(t, ca), ca)
	hub.applier.Answer("cam", errors.New("The disk is full."))
	cloud.send("update", updateOf("cam", 1_700_000_000))
	if s := cloud.awaitSync("cam", kvsconfig.SyncFailed); s.FailedStatusDetails != "The disk is full." {
		t.Errorf("details: %s", s.FailedStatusDetails)
	}
	hub.awaitCondition(applyCode("cam"), "The disk is full.")
	hub.applier.Answer("cam", nil)
	cloud.awaitSync("cam", kvsconfig.InSync)
	hub.awaitCondition(applyCode("cam"), "")
}

func TestAFailedDeletionIsToldAndTriedAgain(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	hub, cloud := online(t, newEmbedded(t, ca), ca)
	cloud.send("update", updateOf("cam", 1_700_000_000))
	cloud.awaitSync("cam", kvsconfig.InSync)
	hub.applier.AnswerRemove(errors.New("A file is busy."))
	cloud.send("delete", deleteOf("cam", 1_700_000_001))
	cloud.awaitSync("cam", kvsconfig.DeletingAcknowledged)
	if s := cloud.awaitSync("cam", kvsconfig.DeleteFailed); s.FailedStatusDetails != "A file is busy." {
		t.Errorf("details: %s", s.FailedStatusDetails)
	}
	hub.applier.AnswerRemove(nil)
	cloud.awaitSync("cam", kvsconfig.Deleted)
}

func TestAStreamMissingFromCompleteListingsStopsAndKeepsItsMedia(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	hub, cloud := online(t, newEmbedded(t, ca), ca)
	hub.kvs.Set(configtest.Listed(t, "a", 1_700_000_000, configtest.Syncing), configtest.Listed(t, "b", 1_700_000_000, configtest.Syncing))
	cloud.send("refresh", nil)
	hub.awaitApply("a", "b")
	cloud.send("update", updateOf("pushed", 1_700_000_000)) // the control plane does not know it
	hub.awaitApply("a", "b", "pushed")

	hub.kvs.FailWith(health.UserFault("denied", nil, "The hub's role may not list."))
	cloud.send("refresh", nil)
	hub.awaitCondition(codeList, "may not list")
	hub.awaitListing(3)
	// A record that nobody can tell the stream of: what this listing lacks says nothing.
	hub.kvs.Set(configtest.Listed(t, "b", 1_700_000_000, kvsconfig.InSync), kvsconfig.ListedConfig{SyncStatus: kvsconfig.InSync})
	for len(hub.kvs.Listed) > 0 {
		<-hub.kvs.Listed
	}
	for range 4 {
		cloud.send("refresh", nil)
		hub.awaitListing(1)
	}
	hub.applier.None(t)
	hub.kvs.Set(configtest.Listed(t, "b", 1_700_000_000, kvsconfig.InSync))
	cloud.send("refresh", nil)
	hub.awaitCondition(codeList, "")
	hub.awaitApply("b")
	hub.kvs.Set()
	cloud.send("refresh", nil)
	hub.awaitApply()
	if len(hub.applier.Removed) > 0 {
		t.Error("the media of a stream was removed that is not listed")
	}
}

// TestAPushIsConfirmedByAListing has a stream that is sent to this hub by mistake, and then to another:
// this one is not notified, and no listing has ever shown it.
func TestAPushIsConfirmedByAListing(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	b := newEmbedded(t, ca)
	cloud := newCloudSide(t, b, ca)
	dir := t.TempDir()
	hub := newTestHub(t, b.address(), dir, ca.Device(testThing), soonAfterPush)
	hub.run()
	cloud.awaitAgent("online")
	hub.kvs.Set(configtest.Listed(t, "right", 1_700_000_000, configtest.Syncing))
	cloud.send("update", updateOf("right", 1_700_000_000))
	cloud.awaitSync("right", kvsconfig.InSync)
	cloud.send("update", updateOf("mistyped", 1_700_000_000))
	cloud.awaitSync("mistyped", kvsconfig.InSync)
	hub.awaitApply("mistyped", "right")
	hub.awaitApply("right")
	hub.stop()
	if len(hub.applier.Removed) > 0 {
		t.Error("its media was removed")
	}
	hub = newTestHub(t, b.address(), dir, ca.Device(testThing))
	hub.run()
	hub.awaitApply("right") // it does not come back with the next start
}

// TestWithoutTheRightToListMessagesAndTheDiskCount as with the role of AWS's guide.
func TestWithoutTheRightToListMessagesAndTheDiskCount(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	b := newEmbedded(t, ca)
	cloud := newCloudSide(t, b, ca)
	dir := t.TempDir()
	for _, first := range []bool{true, false} {
		hub := newTestHub(t, b.address(), dir, ca.Device(testThing), soonAfterPush)
		hub.kvs.FailWith(health.UserFault("cloud", nil, "Kinesis Video Streams does not let the hub ask: allow the hub's role "+
			"kinesisvideo:ListEdgeAgentConfigurations."))
		hub.run()
		if first {
			cloud.awaitAgent("online")
			cloud.send("update", updateOf("cam", 1_700_000_000))
			cloud.awaitSync("cam", kvsconfig.InSync)
		}
		hub.awaitApply("cam")
		hub.awaitCondition(codeList, "allow the hub's role kinesisvideo:ListEdgeAgentConfigurations")
		hub.awaitListing(4)
		hub.applier.None(t)
		hub.stop()
	}
}

func TestADeletionThatIsListedIsCarriedOut(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	hub, cloud := online(t, newEmbedded(t, ca), ca)
	hub.kvs.Set(configtest.Listed(t, "a", 1_700_000_000, configtest.Syncing))
	cloud.send("refresh", nil)
	hub.awaitApply("a")
	hub.kvs.Set(configtest.Listed(t, "a", 1_700_000_000, configtest.Deleting))
	cloud.send("refresh", nil)
	hub.applier.AwaitRemove(t, "a")
	cloud.awaitSync("a", kvsconfig.Deleted)
	// AWS keeps the record: it must not be removed over and over.
	cloud.send("refresh", nil)
	cloud.awaitSync("a", kvsconfig.Deleted)
	if len(hub.applier.Removed) > 0 {
		t.Error("removed twice")
	}
}

func TestStatusesMadeOfflineReachTheCloudWithTheNextConnection(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	b := newEmbedded(t, ca)
	internet := testtools.NewLink(t, b.address())
	hub, cloud := onlineAt(t, internet.Address(), b, ca)
	internet.Cut()
	hub.awaitCondition(CodeMQTT, "IoT")
	hub.kvs.Set(configtest.Listed(t, "a", 1_700_000_000, configtest.Syncing))
	hub.syncer.RequestListing()
	hub.awaitApply("a")
	internet.Restore()
	cloud.awaitSync("a", kvsconfig.InSync)
}

func TestAHubBootsOfflineWithWhatItKnew(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	b := newEmbedded(t, ca)
	cloud := newCloudSide(t, b, ca)
	dir, device := t.TempDir(), ca.Device(testThing)
	hub := newTestHub(t, b.address(), dir, device)
	hub.run()
	cloud.awaitAgent("online")
	cloud.send("update", updateOf("cam", 1_700_000_000))
	cloud.awaitSync("cam", kvsconfig.InSync)
	if _, err := hub.cameras.URL(t.Context(), testSecret); err != nil {
		t.Fatal(err)
	}
	hub.stop()
	for _, name := range []string{lastGoodFile, camerasFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}

	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, answers nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	hub = newTestHub(t, silent.Addr().String(), dir, device)
	hub.kvs.Silence()
	hub.secrets.block = make(chan struct{})
	watch := testtools.Stopwatch(t)
	hub.run()
	if applied := hub.awaitApply("cam"); !applied["cam"].Version.Time().Equal(time.Unix(1_700_000_000, 0)) {
		t.Errorf("applied %+v", applied)
	}
	if url, err := hub.cameras.URL(t.Context(), testSecret); err != nil || url.Reveal() != cameraURL {
		t.Errorf("the camera's URL: %q, %v", url.Reveal(), err)
	}
	if took := watch(); took > time.Second {
		t.Errorf("with everything black-holed it took %v", took)
	}
	hub.stop()
}

func TestDamagedStateIsReportedAndNeverFatal(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	dir := t.TempDir()
	for _, name := range []string{lastGoodFile, camerasFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{"SHA256":"x","State":{}}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hub := newTestHub(t, "127.0.0.1:1", dir, ca.Device(testThing))
	hub.awaitCondition(codeState, lastGoodFile+statefile.CorruptSuffix)
	hub.awaitCondition(codeCameraStore, "set aside")
	hub.kvs.Set(configtest.Listed(t, "cam", 1_700_000_000, configtest.Syncing))
	hub.run()
	hub.awaitApply("cam")
	hub.awaitCondition(codeState, "")
}

func TestAStateDirectoryThatCannotBeWrittenStopsNothing(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	dir := t.TempDir()
	hub := newTestHub(t, "127.0.0.1:1", dir, ca.Device(testThing))
	if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil { // root writes anywhere else
		t.Fatal(err)
	}
	hub.kvs.Set(configtest.Listed(t, "cam", 1_700_000_000, configtest.Syncing))
	hub.run()
	hub.awaitApply("cam")
	hub.awaitCondition(codeState, "in the place of "+dir)
}

func TestTheHubsARNIsLearntFromItsFirstConfiguration(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	b := newEmbedded(t, ca)
	cloud := newCloudSide(t, b, ca)
	hub := newTestHub(t, b.address(), t.TempDir(), ca.Device(testThing), func(o *hubOptions) { o.hubARN = "" })
	hub.run()
	cloud.awaitAgent("online")
	cloud.send("update", []byte(strings.Replace(string(updateOf("cam", 1_700_000_000)), "thing/hub-1", "thing/hub-2", 1)))
	cloud.awaitSync("cam", kvsconfig.SyncFailed)
	cloud.send("update", updateOf("cam", 1_700_000_001))
	cloud.awaitSync("cam", kvsconfig.InSync)
	hub.awaitListing(1)
	if got := hub.kvs.AskedFor(); got != testHub {
		t.Errorf("the listing was of %q", got)
	}
}

func TestAHubThatMovedToAnotherAccountDropsTheOldConfigurationsButNotTheirMedia(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	dir := t.TempDir()
	hub := newTestHub(t, "127.0.0.1:1", dir, ca.Device(testThing))
	hub.kvs.Set(configtest.Listed(t, "cam", 1_700_000_000, configtest.Syncing))
	hub.run()
	hub.awaitApply("cam")
	hub.awaitListing(1)
	hub.stop()
	moved := strings.Replace(testHub, "123456789012", "999999999999", 1)
	hub = newTestHub(t, "127.0.0.1:1", dir, ca.Device(testThing), func(o *hubOptions) {
		o.hubARN = ""
		o.findHubARN = func(ctx context.Context) (string, error) { return moved, nil }
	})
	hub.run()
	hub.awaitApply("cam") // what it knew
	hub.awaitApply()      // what it found
	hub.awaitCondition(codeHub, moved)
	hub.awaitListing(1)
	if len(hub.applier.Removed) > 0 {
		t.Error("media was removed")
	}
}

func TestARefusedDeviceCertificateIsOneSentence(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	b := newEmbedded(t, ca)
	stranger := iottest.NewAuthority(t).Device(testThing)
	stranger.RootCAs = ca.Pool()
	hub := newTestHub(t, b.address(), t.TempDir(), stranger)
	hub.run()
	hub.awaitCondition(CodeMQTT, "certificate")
}

func TestTheLastWillSaysOfflineWhenTheAgentDies(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	b := newEmbedded(t, ca)
	_, cloud := online(t, b, ca)
	b.kick(testThing)
	cloud.awaitAgent("offline")
	cloud.awaitAgent("online")
}

func TestManyMessagesAtOnceAreAppliedTogether(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	hub, cloud := online(t, newEmbedded(t, ca), ca)
	const n = 64 // far above the 16 streams of AWS's agent
	for i := range n {
		cloud.send("update", updateOf(fmt.Sprintf("cam-%02d", i), 1_700_000_000))
	}
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("cam-%02d", i))
	}
	hub.awaitApply(want...)
	inSync := make(map[string]bool)
	for len(inSync) < n {
		cloud.await("all in sync", "config/status", func(payload []byte) bool {
			var s syncStatus
			if json.Unmarshal(payload, &s) == nil && s.SyncStatus == kvsconfig.InSync {
				inSync[s.StreamName] = true
			}
			return true
		})
	}
}
