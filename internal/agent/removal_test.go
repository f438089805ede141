package agent

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"go.uber.org/goleak"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site"
)

// TestADeletionDuringAnUploadLeavesNothing must not be parallel: it checks all goroutines, and
// the SDK reads its endpoints from the process's environment.
func TestADeletionDuringAnUploadLeavesNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	h := newRig(t)
	cloud := h.Cloud
	camera := h.Camera(fakecam.Options{})
	h.Configure("door", h.Secret("door", camera.URL()), site.Always)
	a := h.agent()
	running, stop := context.WithCancel(ctx)
	defer stop()
	stopped := make(chan error, 1)
	go func() { stopped <- a.Run(running) }()

	// The upload stalls in the middle of a segment.
	if err := cloud.AwaitSyncStatus(ctx, "door", "IN_SYNC"); err != nil {
		t.Fatal(err)
	}
	if err := cloud.Media().AwaitFragments(ctx, "door", 1); err != nil {
		t.Fatal(err)
	}
	stuck := cloud.Media().Faults().Inject("door", media.BlackHoleAt(media.MidFragment))
	if err := stuck.Await(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if list := a.store.Segments("door", time.Time{}, time.Time{}); len(list) == 0 {
		t.Fatal("there is no segment to delete")
	}
	if work := streamGoroutines(); work == "" {
		t.Fatal("the test does not see the goroutines of a stream that runs")
	}

	if _, err := h.User.DeleteEdgeConfiguration(ctx, &kinesisvideo.DeleteEdgeConfigurationInput{StreamName: aws.String("door")}); err != nil {
		t.Fatal(err)
	}
	if err := cloud.AwaitSyncStatus(ctx, "door", "DELETED"); err != nil {
		t.Fatal(err)
	}
	if names := a.streams.names(); len(names) > 0 {
		t.Errorf("jobs are left: %v", names)
	}
	if left := h.recordings(); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
	for _, part := range a.health.Snapshot() {
		if part.Stream != "" {
			t.Errorf("the status still has %s of stream %s", part.Job, part.Stream)
		}
	}
	testtools.Eventually(t, patience, func() error { // connections end a moment after their owners
		if left := streamGoroutines(); left != "" {
			return fmt.Errorf("goroutines are left:\n%s", left)
		}
		return nil
	})

	stop()
	if err := <-stopped; err != nil {
		t.Errorf("the agent ended with %v", err)
	}
	stuck.Clear()
	h.Close()
	goleak.VerifyNone(t, before)
}
