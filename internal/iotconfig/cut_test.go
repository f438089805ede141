package iotconfig

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// configure starts an update of the stream of that name.
func (a *account) configure(stream, secretARN string) {
	a.t.Helper()
	_, err := a.user.StartEdgeConfigurationUpdate(a.t.Context(), &kinesisvideo.StartEdgeConfigurationUpdateInput{
		StreamName: &stream, EdgeConfig: &types.EdgeConfig{
			HubDeviceArn: aws.String(edgeconfig.HubARN(localcloud.Region, localcloud.Account, testThing)),
			RecorderConfig: &types.RecorderConfig{MediaSourceConfig: &types.MediaSourceConfig{
				MediaUriSecretArn: &secretARN, MediaUriType: types.MediaUriTypeRtspUri,
			}},
		},
	})
	if err != nil {
		a.t.Fatal(err)
	}
}

// bootTime is what a hub may take from its start until its known cameras record.
const bootTime = 2 * time.Second

// TestWhateverIsCutTheKnownStreamsGoOn boots a hub while any of broker, control plane, secrets and
// credentials are cut off or swallow everything, and restores them while it runs.
func TestWhateverIsCutTheKnownStreamsGoOn(t *testing.T) {
	t.Parallel()
	names := []string{"broker", "control plane", "secrets", "credentials"}
	for mask := range 1 << len(names) {
		for mode, cut := range map[string]func(*testtools.Link){"refused": (*testtools.Link).Cut, "silent": (*testtools.Link).Swallow} {
			name := mode
			for i := range names {
				if mask>>i&1 == 1 {
					name += " " + names[i]
				}
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				a := newAccount(t)
				dir := t.TempDir()
				known, later := a.camera("known"), a.camera("later")
				hub := a.hub(dir)
				hub.run()
				a.configure("known", known)
				a.awaitSync("known", "IN_SYNC")
				hub.awaitURL(known)
				hub.stop()

				for i, service := range a.services() {
					if mask>>i&1 == 1 {
						cut(service)
					}
				}
				hub = a.hub(dir)
				watch := testtools.Stopwatch(t)
				hub.run()
				hub.awaitApply("known")
				if url, err := hub.cameras.URL(t.Context(), known); err != nil || url.Reveal() != cameraURL {
					t.Errorf("the camera's URL: %q, %v", url.Reveal(), err)
				}
				if took := watch(); took > bootTime {
					t.Errorf("the known camera could record only after %v", took)
				}

				a.configure("later", later)
				const broker, controlPlane, credentials = 1, 2, 8
				if mask&broker == 0 || mask&(controlPlane|credentials) == 0 && mode == "refused" {
					hub.syncer.RequestListing() // as the next 15 minutes would
					hub.awaitApply("known", "later")
				}
				for i, service := range a.services() {
					if mask>>i&1 == 1 {
						service.Restore()
					}
				}
				a.awaitSync("later", "IN_SYNC")
				hub.awaitURL(later)
				hub.stop()
				hub.neverDropped("known")
			})
		}
	}
}

// awaitURL waits until the camera's URL is known and on disk.
func (h *testHubSource) awaitURL(secretARN string) {
	h.t.Helper()
	testtools.Eventually(h.t, patience, func() error { // Secrets Manager is asked again
		url, err := h.cameras.URL(h.t.Context(), secretARN)
		if err != nil || url.Empty() {
			return fmt.Errorf("the camera's URL is not found: %v", err)
		}
		return nil
	})
}

// neverDropped checks the calls of the applier that no test has read.
func (h *testHubSource) neverDropped(stream string) {
	h.t.Helper()
	for len(h.applier.Applied) > 0 {
		if got := (<-h.applier.Applied).Names(); !slices.Contains(got, stream) {
			h.t.Errorf("stream %s was dropped: applied [%s]", stream, strings.Join(got, " "))
		}
	}
	for len(h.applier.Removed) > 0 {
		h.t.Errorf("stream %s was removed", <-h.applier.Removed)
	}
}
