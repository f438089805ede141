package agent

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
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
	b.tags, b.err = map[string]string{tagUpload: value}, err
}

func (b *tagBoard) Tags(context.Context, string) (map[string]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tags, b.err
}

func TestTheTagDecidesTheUploadMode(t *testing.T) {
	t.Parallel()
	board := &tagBoard{}
	began := make(chan UploadMode)
	running := 0 // the race detector tells when two run at once
	run := func(mode UploadMode) func(context.Context) error {
		return func(ctx context.Context) error {
			running++
			began <- mode
			<-ctx.Done()
			running--
			return nil
		}
	}
	usual := newUsualMode(UploadScheduled)
	var told atomic.Value // what the fragments' tags are made of
	m := &uploadModes{
		part:   health.NewRegistry(time.Now).Part("door", health.JobUploader),
		stream: "door", usual: usual, tags: board, every: 5 * time.Millisecond, log: zap.NewNop(),
		tagged: func(tags map[string]string) { told.Store(tags[tagUpload]) },
		run:    map[UploadMode]func(context.Context) error{UploadScheduled: run(UploadScheduled), UploadLive: run(UploadLive)},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	expect := func(want UploadMode) {
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
	expect(UploadScheduled)
	board.set("live", nil)
	expect(UploadLive)
	if got := told.Load(); got != "live" {
		t.Errorf("the mode follows the tags, but the fragments' tags are made of %v", got)
	}
	board.set("scheduled", errors.New("no network")) // changes nothing
	board.set("of another program", nil)
	expect(UploadScheduled)
	board.set(" LIVE ", nil)
	expect(UploadLive)
	usual.set(UploadLive) // as the tag says
	board.set("", nil)
	usual.set(UploadScheduled)
	expect(UploadScheduled)
	board.set("", errors.New("no network")) // does not keep the hub's setting back
	usual.set(UploadLive)
	expect(UploadLive)
	cancel()
	if err := <-done; err != nil || running != 0 {
		t.Errorf("at the end: %v, %d still run", err, running)
	}
}
