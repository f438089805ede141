package localapi

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// TestStatusShowsNothingAsItCame has an agent, maybe one of before, answer with evil texts in all that is text.
func TestStatusShowsNothingAsItCame(t *testing.T) {
	t.Parallel()
	for what, text := range testtools.EvilTexts {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if len(text) > 1000 {
				text = text[:1000] // the agent bounds it
			}
			job := status.Job{State: text, Details: text}
			sent := status.Snapshot{
				Thing: text, Version: text, Time: time.Now(), Started: time.Now(),
				Agent:   []status.Condition{{Condition: health.Condition{Text: text, Code: text}, Job: text}},
				Streams: []status.Stream{{Name: text, Recorder: status.Recorder{Job: job}, Uploader: status.Uploader{Job: job}}},
			}
			path := filepath.Join(t.TempDir(), "s")
			server, err := NewServer(options(path, func() status.Snapshot { return sent }))
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- server.Run(ctx) }()
			t.Cleanup(func() { stop(); <-ended })
			got, err := NewClient(path).Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			asJSON, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			var table bytes.Buffer
			if err := status.WriteTable(&table, got); err != nil {
				t.Fatal(err)
			}
			for _, line := range append(strings.Split(table.String(), "\n"), string(asJSON)) {
				if why := testtools.Harm(line, 100_000); why != "" {
					t.Errorf("%.300q %s", line, why)
				}
			}
		})
	}
}
