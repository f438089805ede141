package iotconfig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploadrequest"
)

// What the package uploadrequest allows.
const (
	maxUploads   = 16
	maxRequestID = 128
)

// uploadAnswer is the payload of upload/status.
type uploadAnswer struct {
	RequestID  string `json:"RequestId"`
	StreamName string `json:"StreamName"`
	Status     string `json:"Status"`
	Details    string `json:"Details"`
	Done       int    `json:"FragmentsDone"`
	Total      int    `json:"FragmentsTotal"`
}

// uploadAsked is an upload that was asked for.
type uploadAsked struct {
	Stream   string
	From, To time.Time
}

// awaitUpload waits for an answer to a request.
func (c *cloudSide) awaitUpload(id, status string) uploadAnswer {
	c.t.Helper()
	var got uploadAnswer
	c.await("upload "+id+" "+status, "upload/status", func(payload []byte) bool {
		got = uploadAnswer{}
		return json.Unmarshal(payload, &got) == nil && got.RequestID == id && got.Status == status
	})
	return got
}

func (c *cloudSide) request(payload string) {
	c.t.Helper()
	c.must(c.client.Publish("kvs-edge/"+testThing+"/upload/request", 1, false, payload))
}

// nextUpload waits for the next answer to a request, whatever it says.
func (c *cloudSide) nextUpload(id string) (got uploadAnswer) {
	c.t.Helper()
	c.await("an answer to upload "+id, "upload/status", func(payload []byte) bool {
		got = uploadAnswer{}
		return json.Unmarshal(payload, &got) == nil && got.RequestID == id
	})
	return got
}

// demandedUpload is an upload as a test sees it.
type demandedUpload struct {
	asked chan uploadAsked // receives when it begins
	goOn  chan struct{}    // lets it end
}

func newDemandedUpload() *demandedUpload {
	return &demandedUpload{asked: make(chan uploadAsked, 100), goOn: make(chan struct{})}
}

func (d *demandedUpload) option(o *hubOptions) {
	o.upload = func(ctx context.Context, stream string, from, to time.Time, each func(done, total int)) error {
		d.asked <- uploadAsked{stream, from, to}
		if stream == "none" {
			return errors.New("there is no such stream")
		}
		each(1, 3)
		select {
		case <-d.goOn:
		case <-ctx.Done():
			return ctx.Err()
		}
		each(3, 3)
		return nil
	}
}

func (d *demandedUpload) expect(t *testing.T, stream string) uploadAsked {
	t.Helper()
	select {
	case r := <-d.asked:
		if r.Stream != stream {
			t.Fatalf("it was asked for %+v, want stream %s", r, stream)
		}
		return r
	case <-time.After(patience):
		t.Fatalf("no upload of stream %s was asked for", stream)
		return uploadAsked{}
	}
}

// expectNoMore looks for uploads that were asked for beside those that a test knows of.
func (d *demandedUpload) expectNoMore(t *testing.T) {
	t.Helper()
	if n := len(d.asked); n > 0 {
		t.Errorf("it was asked for %d uploads more", n)
	}
}

// uploadingHub is a hub that the cloud sees online, with uploads that the test sees.
func uploadingHub(t *testing.T, b testBroker, ca *iottest.Authority) (*cloudSide, *demandedUpload, *testHubSource) {
	t.Helper()
	cloud := newCloudSide(t, b, ca)
	upload := newDemandedUpload()
	h := newTestHub(t, b.address(), t.TempDir(), ca.Device(testThing), upload.option)
	h.run()
	cloud.awaitAgent("online")
	return cloud, upload, h
}

// eitherBroker runs a test with the embedded broker and with one that nobody here wrote, both over TLS.
func eitherBroker(t *testing.T, test func(t *testing.T, b testBroker, ca *iottest.Authority)) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		ca := iottest.NewAuthority(t)
		test(t, newEmbedded(t, ca), ca)
	})
	t.Run("mosquitto", func(t *testing.T) {
		t.Parallel()
		ca := iottest.NewAuthority(t)
		test(t, newMosquitto(t, ca), ca)
	})
}

func TestTheCloudAsksForUploads(t *testing.T) {
	t.Parallel()
	eitherBroker(t, func(t *testing.T, b testBroker, ca *iottest.Authority) {
		cloud, upload, h := uploadingHub(t, b, ca)

		request := `{"RequestId":"one","StreamName":"door","From":1795233600.5,"To":1795233660}`
		cloud.request(request)
		if got := cloud.awaitUpload("one", uploadrequest.Running); got.Done != 1 || got.Total != 3 || got.StreamName != "door" {
			t.Errorf("it reports %+v", got)
		}
		want := uploadAsked{Stream: "door", From: time.UnixMilli(1795233600500).UTC(), To: time.Unix(1795233660, 0).UTC()}
		if got := upload.expect(t, "door"); got != want {
			t.Errorf("it was asked for %+v, want %+v", got, want)
		}
		// It comes twice, as with QoS 1 it may: while it runs, and when it is done.
		cloud.request(request)
		if got := cloud.awaitUpload("one", uploadrequest.Running); got.Done != 1 || got.Total != 3 {
			t.Errorf("asked again it reports %+v", got)
		}
		upload.goOn <- struct{}{}
		if got := cloud.awaitUpload("one", uploadrequest.Done); got.Done != 3 || got.Details != "" {
			t.Errorf("it reports %+v", got)
		}
		cloud.request(request)
		if got := cloud.awaitUpload("one", uploadrequest.Done); got.Done != 3 || got.Total != 3 {
			t.Errorf("asked again it reports %+v", got)
		}

		cloud.request(`{"RequestId":"two","StreamName":"none","From":1,"To":2}`)
		if got := cloud.awaitUpload("two", uploadrequest.Failed); got.Details != "there is no such stream" {
			t.Errorf("it reports %+v", got)
		}
		upload.expect(t, "none")
		h.stop()
		upload.expectNoMore(t)
	})
}

func TestAnUploadRequestThatCannotBeFollowedIsAnswered(t *testing.T) {
	t.Parallel()
	eitherBroker(t, func(t *testing.T, b testBroker, ca *iottest.Authority) {
		cloud, upload, h := uploadingHub(t, b, ca)
		long := strings.Repeat("x", maxRequestID+1)
		for _, row := range []struct{ payload, id, says string }{
			{"", "", "not a JSON object"},
			{"upload please", "", "not a JSON object"},
			{"[]", "", "not a JSON object"},
			{`{"StreamName":"door","From":1,"To":2}`, "", "RequestId is missing"},
			{`{"RequestId":7,"StreamName":"door","From":1,"To":2}`, "", "RequestId is missing or not a string"},
			{`{"RequestId":"` + long + `","StreamName":"door","From":1,"To":2}`, long[1:], "RequestId has 129 bytes; at most 128"},
			{`{"RequestId":"big","Filler":"` + strings.Repeat("x", kvslimit.MessageBytes) + `"}`, "", "at most 131072 are allowed"},
			{`{"RequestId":"a","From":1,"To":2}`, "a", "StreamName is missing"},
			{`{"RequestId":"b","StreamName":"../door","From":1,"To":2}`, "b", "StreamName"},
			{`{"RequestId":"c","StreamName":"door","From":"yesterday","To":2}`, "c", "From is missing or wrong: it must be a time in seconds " +
				"since 1970"},
			{`{"RequestId":"d","StreamName":"door","From":1}`, "d", "To is missing"},
			{`{"RequestId":"e","StreamName":"door","From":1,"To":1795233600000}`, "e", "To is missing or wrong"}, // milliseconds
			{`{"RequestId":"f","StreamName":"door","From":2,"To":1}`, "f", "To must be after From"},
			{`{"RequestId":"g","StreamName":"door","From":2,"To":2}`, "g", "To must be after From"},
		} {
			cloud.request(row.payload)
			if got := cloud.awaitUpload(row.id, uploadrequest.Failed); !strings.Contains(got.Details, row.says) {
				t.Errorf("%.80s is answered with %+v, want %q", row.payload, got, row.says)
			}
		}
		h.awaitCondition(codeMessage, "upload request is invalid")

		// None of them is in the way of a good one, up to as many as may be open.
		for i := range maxUploads {
			cloud.request(fmt.Sprintf(`{"RequestId":"good %d","StreamName":"door","From":1,"To":2}`, i))
			upload.expect(t, "door")
		}
		cloud.request(`{"RequestId":"too many","StreamName":"door","From":1,"To":2}`)
		if got := cloud.awaitUpload("too many", uploadrequest.Failed); !strings.Contains(got.Details, "Too many uploads") {
			t.Errorf("it reports %+v", got)
		}
		upload.goOn <- struct{}{}
		for range maxUploads - 1 {
			upload.goOn <- struct{}{}
		}
		h.stop()
		upload.expectNoMore(t)
	})
}

// The asker hears RUNNING again and then how it ended, never an end that is none.
func TestAnUploadGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	eitherBroker(t, func(t *testing.T, b testBroker, ca *iottest.Authority) {
		cloud := newCloudSide(t, b, ca)
		dir, device, upload := t.TempDir(), ca.Device(testThing), newDemandedUpload()
		h := newTestHub(t, b.address(), dir, device, upload.option)
		h.run()
		cloud.awaitAgent("online")
		cloud.request(`{"RequestId":"one","StreamName":"door","From":1795233600.5,"To":1795233660}`)
		cloud.awaitUpload("one", uploadrequest.Running)
		first := upload.expect(t, "door")
		h.stop()

		h = newTestHub(t, b.address(), dir, device, upload.option)
		h.run()
		if again := upload.expect(t, "door"); again != first {
			t.Errorf("after the restart it was asked for %+v, want %+v", again, first)
		}
		if got := cloud.nextUpload("one"); got.Status != uploadrequest.Running || got.Total != 3 {
			t.Errorf("after the restart it reports %+v", got)
		}
		upload.goOn <- struct{}{}
		if got := cloud.nextUpload("one"); got.Status != uploadrequest.Done || got.Done != 3 {
			t.Errorf("at the end it reports %+v", got)
		}
		// Once the last answer is delivered, nothing is left of it for the next start.
		awaitFile(t, dir, uploadsFile, func(kept []any) bool { return len(kept) == 0 })
		h.stop()
		h = newTestHub(t, b.address(), dir, device, upload.option)
		h.run()
		cloud.awaitAgent("online")
		h.stop()
		upload.expectNoMore(t)
	})
}

// awaitFile waits until a state file has what fits.
func awaitFile[T any](t *testing.T, dir, name string, fits func(T) bool) {
	t.Helper()
	testtools.Eventually(t, patience, func() error { // files have no event for this
		var state T
		if err := statefile.At(dir, atomicfile.OS{}).Read(name, &state); err != nil || !fits(state) {
			return fmt.Errorf("%s does not become what it must: %v", name, err)
		}
		return nil
	})
}
