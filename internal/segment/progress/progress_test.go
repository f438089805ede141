package progress_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/progress"
)

var key = layout.ID{Start: time.Date(2026, 11, 21, 4, 20, 48, 123e6, time.UTC).UnixMilli()}

func fragment(second int) mkv.Fragment {
	start := time.Duration(second) * time.Second
	return mkv.Fragment{Start: start, Size: 1000, Last: start + 960*time.Millisecond}
}

// What one process notes another one reads, also behind a line that a power cut tore.
func TestASideFileSaysWhatWasNoted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := progress.New(atomicfile.OS{}, dir, key)
	refused := progress.Refusal{Start: fragment(2).Start, Last: fragment(2).Last, Size: 1000, Code: "4006 INVALID_MKV_DATA", At: 1795233600000}
	for _, second := range []int{0, 1, 2} {
		p.Add(fragment(second))
	}
	for _, write := range []func() error{
		func() error { return p.WritePersisted(fragment(0)) },
		func() error { return p.WritePersisted(fragment(1)) },
		func() error { return p.WriteRefused(refused) },
		p.Sync,
		p.End,
	} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, layout.ProgressName(key))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(data, "persisted 30"...), 0o600); err != nil {
		t.Fatal(err)
	}
	again, list, err := progress.Load(atomicfile.OS{}, dir, key, false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]progress.Refusal{refused}, list); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]layout.Span{{From: 0, To: 2960}}, again.Spans()); diff != "" || again.Bytes() != 3000 {
		t.Errorf("%d bytes, spans (-want +got):\n%s", again.Bytes(), diff)
	}
	again.Add(fragment(3))
	if err := again.WritePersisted(fragment(3)); err != nil {
		t.Fatal(err)
	}
	if err := again.End(); err != nil {
		t.Fatal(err)
	}
	if last, _, err := progress.Load(atomicfile.OS{}, dir, key, true); err != nil || !last.Done(fragment(3).Start) {
		t.Errorf("a line behind a torn one is lost: %v", err)
	}
}
