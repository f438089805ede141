package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// tagBoard is a stream's tags as the control plane has them.
type tagBoard struct {
	mu   sync.Mutex
	tags map[string]string
	err  error
}

func (b *tagBoard) set(value string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tags, b.err = map[string]string{desired.TagUpload: value}, err
}

func (b *tagBoard) Tags(context.Context, string) (map[string]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tags, b.err
}

func TestTheTagDecidesTheUploadMode(t *testing.T) {
	t.Parallel()
	board := &tagBoard{}
	began := make(chan settings.UploadMode)
	running := 0 // the race detector reports when two run at once
	run := func(mode settings.UploadMode) func(context.Context) error {
		return func(ctx context.Context) error {
			running++
			began <- mode
			<-ctx.Done()
			running--
			return nil
		}
	}
	common := newHubMode(settings.UploadScheduled)
	var told atomic.Value // what the fragments' tags are made of
	m := &uploadModes{
		component: health.NewRegistry(time.Now).Component("door", health.JobUploader),
		stream:    "door", common: common, tags: board, pace: tagPace{every: 5 * time.Millisecond, retry: 5 * time.Millisecond},
		log:    zap.NewNop(),
		tagged: func(tags desired.Tags) { told.Store(tags.Upload) },
		run: map[settings.UploadMode]func(context.Context) error{settings.UploadScheduled: run(settings.UploadScheduled),
			settings.UploadLive: run(settings.UploadLive)},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	expect := func(want settings.UploadMode) {
		t.Helper()
		select {
		case got := <-began:
			if got != want {
				t.Errorf("it runs %s, want %s", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("%s does not begin", want)
		}
	}
	expect(settings.UploadScheduled)
	board.set("live", nil)
	expect(settings.UploadLive)
	if got := told.Load(); got != "live" {
		t.Errorf("the mode follows the tags, but the fragments' tags are made of %v", got)
	}
	board.set("scheduled", errors.New("no network")) // changes nothing
	board.set("of another program", nil)
	expect(settings.UploadScheduled)
	board.set(" LIVE ", nil)
	expect(settings.UploadLive)
	common.set(settings.UploadLive) // as the tag says
	board.set("", nil)
	common.set(settings.UploadScheduled)
	expect(settings.UploadScheduled)
	board.set("", errors.New("no network")) // does not keep the hub's setting back
	common.set(settings.UploadLive)
	expect(settings.UploadLive)
	cancel()
	if err := <-done; err != nil || running != 0 {
		t.Errorf("at the end: %v, %d still run", err, running)
	}
}

// countedTags is a control plane that counts how often it is asked.
type countedTags struct {
	mu    sync.Mutex
	count int
	err   error
	tags  map[string]string
}

func (c *countedTags) Tags(context.Context, string) (map[string]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	return c.tags, c.err
}

func (c *countedTags) set(tags map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tags = tags
}

func (c *countedTags) asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

func (c *countedTags) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// TestTagsAreAskedForRarely as all hubs of an account share 50 calls/s.
func TestTagsAreAskedForRarely(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		board, nudged := &countedTags{}, make(chan nudge, 1)
		core, logged := observer.New(zap.WarnLevel)
		m := &uploadModes{
			component: health.NewRegistry(time.Now).Component("door", health.JobUploader),
			stream:    "door", common: newHubMode(settings.UploadLive), tags: board, pace: defaultTagPace(), nudged: nudged, log: zap.New(core),
			run: map[settings.UploadMode]func(context.Context) error{
				settings.UploadLive: func(ctx context.Context) error { <-ctx.Done(); return nil },
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		want := func(what string, least, most int) {
			t.Helper()
			synctest.Wait()
			if n := board.asked(); n < least || n > most {
				t.Errorf("%s: asked %d times, want %d to %d", what, n, least, most)
			}
		}
		want("at the start", 1, 1)
		time.Sleep(24 * time.Hour)
		want("in a day", 21, 25)
		before := board.asked()
		time.Sleep(10 * time.Minute)
		for range 100 {
			nudged <- nudgeChanged
			time.Sleep(100 * time.Millisecond)
		}
		want("after a hundred changes within 10 s", before+1, before+3)

		board.fail(&kvs.RequestError{Meaning: awserr.Classify(403, "AccessDeniedException", "")})
		time.Sleep(2 * time.Hour)
		before = board.asked()
		nudged <- nudgeChanged
		time.Sleep(time.Minute)
		want("a change after a denial", before, before+1) // its hour may just be over
		before = board.asked()
		nudged <- nudgeRights
		time.Sleep(time.Minute)
		want("rights that were granted", before+1, before+1)
		time.Sleep(24 * time.Hour)
		want("a day of denials", before+20, before+26)
		if all := logged.All(); len(all) != 1 || !strings.Contains(fmt.Sprint(all[0].ContextMap()), "allow kinesisvideo:ListTagsForStream") {
			t.Errorf("the missing right is not named once: %v", all)
		}

		board.fail(errors.New("no network"))
		time.Sleep(2 * time.Hour)
		before = board.asked()
		time.Sleep(time.Hour)
		want("an hour without a network", before+10, before+60)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
