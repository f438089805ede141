package hls_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hls"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/filmed"
)

// TestATornRecordingHidesNoOther has recordings without media before, behind and between others: those are played.
func TestATornRecordingHidesNoOther(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dir := t.TempDir()
	film := filmed.Read(t, filmed.Encode(t, 2, h264))
	store, err := segment.Open(segment.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Duration{10 * time.Second, 30 * time.Second} {
		film.Record(t, store, "door", begin.Add(at), 1)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Duration{0, 20 * time.Second, 40 * time.Second} {
		name := layout.FinishedName(layout.ID{Start: begin.Add(at).UnixMilli()}, 2000, layout.UploadedSuffix)
		if err := os.WriteFile(filepath.Join(dir, "door", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if s.store, err = segment.Open(segment.Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.store.Close() })
	s.player = hls.New(s.store, func() time.Time { return begin.Add(42 * time.Second) })
	for _, query := range []string{span(0, time.Minute), "?stream=door"} {
		if master := s.want(hls.NameMaster + query); !strings.Contains(master, "avc1.") {
			t.Errorf("%s: %s", query, master)
		}
	}
	if list := s.want(hls.NameMedia + span(0, time.Minute)); strings.Count(list, "#EXTINF") != 2 {
		t.Errorf("the playlist has\n%s", list)
	}
	if live := s.want(hls.NameMedia + "?stream=door"); strings.Count(live, "#EXTINF") < 2 || !strings.Contains(live, "20261121T042118.123Z") ||
		!strings.Contains(live, "20261121T042058.123Z") {
		t.Errorf("the live playlist has\n%s", live)
	}
	if status, text, _ := s.get(hls.NameMaster + span(0, 5*time.Second)); status == http.StatusOK {
		t.Errorf("a torn recording alone is answered %s", text)
	}
}
