package recorder

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/clip"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Repeated attempts to reach a camera are one wait, and another URL ends it.
func TestTheWaitForACameraKeepsItsTimeAndEndsWithAnotherURL(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		writeClip(t, filepath.Join(dir, "clip.mkv"))
		part := health.NewRegistry(time.Now).Component("door", health.JobRecorder)
		var url atomic.Pointer[string]
		set := func(s string) { url.Store(&s) }
		const missing = "file:///missing.mkv?loop=true"
		set(missing)
		var tries, failures, served atomic.Int64
		changed := make(chan struct{})
		r := New(Options{
			Stream: "door", Store: openStore(t, segment.Options{Dir: filepath.Join(dir, "recordings")}), Health: part,
			Source: clip.NewSource(clip.Options{
				Directory: dir,
				URL:       func(context.Context) (secret.String, error) { tries.Add(1); return secret.New(*url.Load()), nil },
			}),
			Failed: func(*health.Fault) { failures.Add(1) }, Served: func() { served.Add(1) }, Changed: func() <-chan struct{} {
				if *url.Load() == missing {
					return changed
				}
				return nil
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { _ = r.Run(ctx) })
		synctest.Wait()
		began := part.Snapshot().StateSince
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		now := part.Snapshot()
		if now.State != stateWaiting || !now.StateSince.Equal(began) || !now.Conditions[0].Since.Equal(began) {
			t.Errorf("after 30 min and %d tries it is %q since %s, with %+v; want since %s",
				tries.Load(), now.State, now.StateSince, now.Conditions, began)
		}
		if n := tries.Load(); n < 60 || failures.Load() != n || served.Load() != 0 {
			t.Errorf("%d tries, %d failures, %d sessions with video", n, failures.Load(), served.Load())
		}
		set("file:///clip.mkv?loop=true")
		close(changed)
		synctest.Wait()
		if now := part.Snapshot(); now.State != stateRecording || len(now.Conditions) > 0 || served.Load() != 1 {
			t.Errorf("at once after the change: %q, %+v", now.State, now.Conditions)
		}
		cancel()
		group.Wait()
	})
}
