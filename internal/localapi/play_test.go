package localapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/lost"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/filmed"
)

// TestAPlayerPlaysThroughTheSocket what was recorded, from the playlist to the last frame.
func TestAPlayerPlaysThroughTheSocket(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "ffprobe")
	store := openStore(t)
	film := filmed.Read(t, filmed.Encode(t, 3, "-c:v libx264 -preset ultrafast -g 25 -bf 0 -map 1:a -c:a aac"))
	film.Record(t, store, "door", begin, 1)
	api := serveOptions(t, Options{Store: store})
	fetch := func(path string) string {
		t.Helper()
		status, body := api.get(pathPlay + path)
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, status, body)
		}
		return body
	}
	refersTo := func(playlist string) (list []string) {
		for line := range strings.Lines(playlist) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
				list = append(list, line)
			}
		}
		return list
	}
	for _, query := range []string{"", "&from=2026-11-21T04:00:00Z", "&from=2026-11-21T04:00:00Z&to=2026-11-21T05:00:00Z"} {
		if strings.HasSuffix(query, "04:00:00Z") {
			api.server.now = func() time.Time { return begin.Add(time.Hour) }
		}
		media := fetch(refersTo(fetch("master.m3u8?stream=door" + query))[0])
		_, init, _ := strings.Cut(media, `#EXT-X-MAP:URI="`)
		init, _, _ = strings.Cut(init, `"`)
		movie := fetch(init)
		for _, part := range refersTo(media) {
			movie += fetch(part)
		}
		path := filepath.Join(t.TempDir(), "movie.mp4")
		if err := os.WriteFile(path, []byte(movie), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-count_packets", "-select_streams", "v", "-show_entries",
			"stream=nb_read_packets", "-of", "csv=p=0", path).Output()
		if err != nil || strings.Trim(string(out), ",\n") != "75" {
			t.Errorf("%q: %s frames: %v", query, bytes.TrimSpace(out), err)
		}
	}
	for path, want := range map[string]int{
		"master.m3u8":                                                   http.StatusBadRequest,
		"master.m3u8?stream=shed":                                       http.StatusNotFound,
		"media.m3u8?stream=door&after=1":                                http.StatusBadRequest,
		"media.mp4?stream=door&segment=../../passwd&start=0":            http.StatusBadRequest,
		"media.mp4?stream=..%2F..&segment=20261121T042048.123Z&start=0": http.StatusNotFound,
		"media.mp4?stream=door&segment=20261121T042048.123Z&start=-1":   http.StatusBadRequest,
		"media.mp4?stream=door&segment=20251121T042048.123Z&start=0":    http.StatusNotFound,
		"../../../etc/passwd":                                           http.StatusNotFound,
	} {
		if status, body := api.get(pathPlay + path); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
}

// TestAnOverviewHasEventsAndCauses in addition to what the store has.
func TestAnOverviewHasEventsAndCauses(t *testing.T) {
	t.Parallel()
	store := door(t, 0, time.Minute)
	api := serveOptions(t, Options{Store: store, Agent: Agent{
		Events: func(stream string, from, to time.Time, most int) []Event {
			return []Event{{ID: stream, From: from, To: to, Triggers: most}}
		},
		Lost: func(string, time.Time, time.Time) []lost.Range {
			return []lost.Range{{From: begin.Add(20 * time.Second), To: begin.Add(50 * time.Second), Reason: "it is too old"}}
		},
	}})
	var got Overview
	api.decode("/v1/overview?stream=door&columns=7&from=2026-11-21T04:20:48.123Z&to=2026-11-21T04:21:58.123Z", &got)
	if want := []int{100, 0, 0, 0, 0, 0, 100}; got.ColumnMS != 10_000 || !slices.Equal(got.Recorded, want) {
		t.Errorf("%+v", got)
	}
	if e := got.Events; len(got.Gaps) != 1 || len(e) != 1 || e[0].ID != "door" || e[0].Triggers != 200 || !e[0].From.Equal(begin) {
		t.Errorf("%+v", got)
	}
	if got.Gaps[0].Cause != CauseDeleted || len(got.Lost) != 1 || got.Lost[0].Reason != "it is too old" {
		t.Errorf("what was lost: %+v, %+v", got.Lost, got.Gaps)
	}
	var gaps GapPage
	api.decode("/v1/gaps?stream=door", &gaps)
	if len(gaps.Gaps) != 1 || gaps.Gaps[0].Cause != CauseDeleted || gaps.Gaps[0].Text != "Deleted before the upload, because it is too old." {
		t.Errorf("gaps: %+v", gaps)
	}
	for query, want := range map[string]int{
		"stream=door&from=2100-01-01T00:00:00Z": 200, "stream=door&from=253402300799999": 200,
		"stream=door&columns=0": 400, "stream=door&columns=2001": 400, "stream=shed": 404, "": 400,
	} {
		if status, body := api.get("/v1/overview?" + query); status != want {
			t.Errorf("%s: %d %s", query, status, body)
		} else if status == 200 && !json.Valid([]byte(body)) {
			t.Errorf("%s: the answer is %q", query, body)
		}
	}
}
