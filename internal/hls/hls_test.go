package hls_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kvs-edge/kvs-edge-agent/internal/hls"
	"github.com/kvs-edge/kvs-edge-agent/internal/hls/hlshttp"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/filmed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var begin = time.Date(2026, 11, 21, 4, 20, 48, 123e6, time.UTC)

// Arguments of ffmpeg: a GOP a second, and sound.
const (
	h264 = "-c:v libx264 -preset ultrafast -g 25 -keyint_min 25 -sc_threshold 0"
	h265 = "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25:min-keyint=25:scenecut=0"
	aac  = " -map 1:a -c:a aac"
)

// site is a store, and a server of HTTP that plays it.
type site struct {
	*testing.T
	store  *segment.Store
	player *hls.Player
	url    string
}

func newSite(t *testing.T) *site {
	t.Helper()
	testtools.Need(t, "ffmpeg", "ffprobe")
	store, err := segment.Open(segment.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s := &site{t, store, hls.New(store, func() time.Time { return begin.Add(time.Hour) }), ""}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL + "/"
	return s
}

// ServeHTTP serves the stream door, as the local API does.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	at := func(name string) time.Time {
		t, _ := time.Parse(time.RFC3339, values.Get(name))
		if ms := values.Get(name); len(ms) == 13 {
			_, _ = fmt.Sscan(ms, new(int64))
			var n int64
			_, _ = fmt.Sscan(ms, &n)
			t = time.UnixMilli(n)
		}
		return t
	}
	id, _ := layout.ParseID(values.Get("segment"))
	q := hlshttp.Request{Stream: values.Get("stream"), From: at("from"), To: at("to"), At: at("at"), Segment: id, Values: values}
	for _, route := range hlshttp.Routes() {
		if r.URL.Path != "/"+route.Name {
			continue
		}
		if err := route.Serve(r.Context(), s.player, q, w); err != nil {
			status := http.StatusInternalServerError
			if refusal := new(hls.Refusal); errors.As(err, &refusal) {
				status = map[bool]int{true: http.StatusNotFound, false: http.StatusBadRequest}[refusal.Missing]
			}
			http.Error(w, err.Error(), status)
		}
		return
	}
	http.NotFound(w, r)
}

// get returns the answer to a request of the stream door.
func (s *site) get(path string) (status int, body string, header http.Header) {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		s.Fatal(err)
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var b strings.Builder
	if _, err := fmt.Fprint(&b, readAll(s.T, answer)); err != nil {
		s.Fatal(err)
	}
	return answer.StatusCode, b.String(), answer.Header
}

// want is get of something that there is.
func (s *site) want(path string) string {
	s.Helper()
	status, body, _ := s.get(path)
	if status != http.StatusOK {
		s.Fatalf("%s: %d %s", path, status, body)
	}
	return body
}

// span is the query of a time range since begin.
func span(from, to time.Duration) string {
	return fmt.Sprintf("?stream=door&from=%d&to=%d", begin.Add(from).UnixMilli(), begin.Add(to).UnixMilli())
}

// frames are the checksums of decoded pictures.
func frames(t *testing.T, url string) []string {
	t.Helper()
	out := filmed.Run(t, "ffmpeg", "-v", "error", "-i", url, "-map", "0:v", "-fps_mode", "passthrough", "-autoscale", "0",
		"-f", "framemd5", "-")
	var sums []string
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "#") {
			fields := strings.Split(line, ",")
			sums = append(sums, strings.TrimSpace(fields[len(fields)-1]))
		}
	}
	return sums
}

// TestPlayersPlayWhatWasRecorded plays a stream of three segments with ffmpeg, and compares each picture with that of the camera's file.
func TestPlayersPlayWhatWasRecorded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ args, codecs string }{
		"H.264 with B-frames and AAC":           {h264 + " -bf 2 -profile:v main" + aac, `"avc1.4D400D,mp4a.40.2"`},
		"H.264 without audio":                   {h264 + " -bf 0 -profile:v baseline", `"avc1.42C00D"`},
		"H.265 with leading pictures":           {h265 + aac, `"hvc1.1.6.L60.90,mp4a.40.2"`},
		"Opus":                                  {h264 + " -bf 0 -profile:v baseline -map 1:a -c:a libopus", `"avc1.42C00D,opus"`},
		"G.711, which browsers do not":          {h264 + " -bf 0 -profile:v baseline -map 1:a -c:a pcm_alaw -ar 8000 -ac 1", `"avc1.42C00D"`},
		"each picture a keyframe (MJPEG's way)": {"-c:v libx264 -preset ultrafast -g 1 -bf 0 -profile:v baseline", `"avc1.42C00D"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			path := filmed.Encode(t, 6, c.args)
			film := filmed.Read(t, path)
			for i := range 3 {
				film.Record(t, s.store, "door", begin.Add(time.Duration(i)*6100*time.Millisecond), 1+i) // fragments of 1, 2 and 3 GOPs
			}
			master := s.want(hls.NameMaster + span(0, time.Minute))
			if !strings.Contains(master, "CODECS="+c.codecs+",RESOLUTION=320x240\n") {
				t.Errorf("%s\nwant %s", master, c.codecs)
			}
			if silent := strings.Contains(c.args, "pcm_alaw"); strings.Contains(master, "G.711") != silent {
				t.Errorf("what is silent: %s", master)
			}
			want := frames(t, path)
			got := frames(t, s.url+hls.NameMaster+span(0, time.Minute))
			if len(want) != 150 || strings.Join(got, " ") != strings.Join(slices.Repeat(want, 3), " ") {
				t.Errorf("%d frames, want thrice %d", len(got), len(want))
			}
			playlist := s.want(hls.NameMedia + span(0, time.Minute))
			if n := strings.Count(playlist, "#EXT-X-MAP"); n != 1 || strings.Contains(playlist, "DISCONTINUITY") {
				t.Errorf("%d descriptions of tracks in\n%s", n, playlist)
			}
			if sound := strings.Contains(c.codecs, ","); sound {
				out := filmed.Run(t, "ffprobe", "-v", "error", "-show_entries", "stream=codec_type,start_time,duration", "-of", "csv=p=0",
					s.url+hls.NameMaster+span(0, time.Minute))
				if !strings.Contains(out, "audio") {
					t.Error(out)
				}
			}
		})
	}
}

// movies loads what a playlist lists, a file for what is between two discontinuities.
func (s *site) movies(playlist string) (paths []string) {
	s.Helper()
	var head, movie string
	end := func() {
		if movie != "" {
			paths, movie = append(paths, write(s.T, head+movie)), ""
		}
	}
	for line := range strings.Lines(playlist) {
		line = strings.TrimSpace(line)
		if uri, ok := strings.CutPrefix(line, "#EXT-X-MAP:URI="); ok {
			end()
			head = s.want(strings.Trim(uri, `"`))
		} else if line == "#EXT-X-DISCONTINUITY" {
			end()
		} else if !strings.HasPrefix(line, "#") {
			movie += s.want(line)
		}
	}
	end()
	return paths
}

var lengths = regexp.MustCompile(`#EXTINF:([0-9.]+),`)

// TestAMediaSegmentIsWholeGOPs joins short ones up to 2 s, and leaves long ones whole.
func TestAMediaSegmentIsWholeGOPs(t *testing.T) {
	t.Parallel()
	for gop, want := range map[int][]string{
		25: {"2.000", "2.000", "2.000"}, 15: {"1.800", "1.800", "1.800", "0.600"}, 75: {"3.000", "3.000"},
	} {
		t.Run(fmt.Sprint(gop, " frames"), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			args := fmt.Sprintf("-c:v libx264 -preset ultrafast -bf 0 -g %d -keyint_min %d -sc_threshold 0", gop, gop)
			filmed.Read(t, filmed.Encode(t, 6, args)).Record(t, s.store, "door", begin, 1)
			playlist := s.want(hls.NameMedia + span(0, time.Minute))
			var got []string
			for _, m := range lengths.FindAllStringSubmatch(playlist, -1) {
				got = append(got, m[1])
			}
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("%v, want %v", got, want)
			}
			if !strings.Contains(playlist, "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T04:20:48.123Z") || !strings.HasSuffix(playlist, "#EXT-X-ENDLIST\n") {
				t.Error(playlist)
			}
		})
	}
}

// TestWhatDoesNotFollowIsADiscontinuity records a second film after the first one.
func TestWhatDoesNotFollowIsADiscontinuity(t *testing.T) {
	t.Parallel()
	baseline := h264 + " -bf 0"
	for name, c := range map[string]struct {
		second        string
		after         time.Duration
		epoch         bool
		breaks, inits int
	}{
		"nothing happened":         {baseline, 0, false, 0, 1},
		"a gap":                    {baseline, 10 * time.Second, false, 1, 1},
		"a short pause":            {baseline, time.Second, false, 0, 1},
		"an epoch":                 {baseline, -3 * time.Second, true, 1, 1},
		"another resolution":       {baseline + " -s 640x360", 0, false, 1, 2},
		"another codec":            {h265, 0, false, 1, 2},
		"sound from then on":       {baseline + aac, 0, false, 1, 2},
		"another profile and more": {"-c:v libx264 -preset fast -profile:v high -bf 3 -g 25" + aac, time.Minute, false, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			paths := []string{filmed.Encode(t, 2, baseline), filmed.Encode(t, 2, c.second)}
			filmed.Read(t, paths[0]).Record(t, s.store, "door", begin, 1)
			if c.epoch {
				if err := s.store.BeginEpoch("door", begin, time.Time{}, -time.Hour, begin.Add(-time.Minute)); err != nil {
					t.Fatal(err)
				}
			}
			filmed.Read(t, paths[1]).Record(t, s.store, "door", begin.Add(2*time.Second+c.after), 1)
			all := span(-2*time.Hour, 2*time.Minute)
			playlist := s.want(hls.NameMedia + all)
			breaks, inits := strings.Count(playlist, "#EXT-X-DISCONTINUITY\n"), strings.Count(playlist, "#EXT-X-MAP:")
			if breaks != c.breaks || inits != c.inits {
				t.Errorf("%d discontinuities, %d descriptions, want %d and %d:\n%s", breaks, inits, c.breaks, c.inits, playlist)
			}
			if n := strings.Count(playlist, "#EXT-X-PROGRAM-DATE-TIME:"); n != 2 {
				t.Errorf("%d times of recording", n)
			}
			var got []string
			for _, movie := range s.movies(playlist) { // ffmpeg 5.1 decodes all with the first description, and drops times that go back
				got = append(got, frames(t, movie)...)
			}
			want := append(frames(t, paths[0]), frames(t, paths[1])...)
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("%d frames, want %d, or others", len(got), len(want))
			}
		})
	}
}

// TestAGapWithinASegmentIsADiscontinuity: the camera was away for 5 s, and the recording continued in the same file.
func TestAGapWithinASegmentIsADiscontinuity(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	film := filmed.Read(t, filmed.Encode(t, 4, h264+" -bf 0"))
	for i := range film.Frames {
		if film.Frames[i].At >= 2*time.Second {
			film.Frames[i].At += 5 * time.Second
		}
	}
	film.Record(t, s.store, "door", begin, 1)
	playlist := s.want(hls.NameMedia + span(0, time.Minute))
	want := "#EXTINF:2.000,\nmedia.mp4?end=7000&segment=20261121T042048.123Z&start=0&stream=door\n#EXT-X-DISCONTINUITY\n" +
		"#EXT-X-PROGRAM-DATE-TIME:2026-11-21T04:20:55.123Z\n#EXTINF:2.000,\n"
	if !strings.Contains(playlist, want) {
		t.Errorf("%s\nwant %s", playlist, want)
	}
}

// TestTheTimesAreThoseOfTheRecording, since 1970 in the media.
func TestTheTimesAreThoseOfTheRecording(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	film := filmed.Read(t, filmed.Encode(t, 4, h264+" -bf 2"+aac))
	key := film.Record(t, s.store, "door", begin, 4)
	late := film.Frames[0].At // sound begins a little earlier
	query := "?stream=door&segment=" + key.ID().String()
	data := s.want(hls.NameInit+query) + s.want(hls.NamePart+query+"&start=2000&end=3000")
	path := write(t, data)
	out := filmed.Run(t, "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0", path)
	var got []string
	for line := range strings.Lines(out) {
		got = append(got, strings.Trim(line, ",\n"))
	}
	first := 1e9
	for _, text := range got {
		var at float64
		_, _ = fmt.Sscan(text, &at)
		first = min(first, at-float64(begin.Unix())-2.123-late.Seconds())
	}
	if first < -0.0011 || first > 0.0011 || len(got) != 25 {
		t.Errorf("%d frames, the first one %f s from its time: %v", len(got), first, got)
	}
	_, _, header := s.get(hls.NamePart + query + "&start=2000&end=3000")
	if at := header.Get(hlshttp.HeaderRecorded); at != begin.Add(2*time.Second+late).Format(time.RFC3339Nano) {
		t.Error(at)
	}
}

// TestAKeyframeIsAPicture of the newest one, and of a time.
func TestAKeyframeIsAPicture(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	path := filmed.Encode(t, 4, h264+" -bf 0")
	all := frames(t, path)
	filmed.Read(t, path).Record(t, s.store, "door", begin, 4)
	for query, want := range map[string]int{
		"": 75, "&at=2026-11-21T04:20:50.200Z": 50, "&at=2026-11-21T04:20:50.123Z": 50, "&at=2026-11-21T05:00:00Z": 75,
	} {
		status, body, header := s.get(hls.NameFrame + "?stream=door" + query)
		if got := frames(t, write(t, body)); status != http.StatusOK || len(got) != 1 || got[0] != all[want] {
			t.Errorf("%q: %d, %d frames, not picture %d", query, status, len(got), want)
		}
		if at := header.Get(hlshttp.HeaderRecorded); at != begin.Add(time.Duration(want)*40*time.Millisecond).Format(time.RFC3339Nano) {
			t.Errorf("%q: recorded %s", query, at)
		}
	}
	if status, body, _ := s.get(hls.NameFrame + "?stream=door&at=2026-11-20T05:00:00Z"); status != http.StatusNotFound {
		t.Errorf("%d %s", status, body)
	}
}

// TestWhatWasDeletedIsAnsweredWithASentence, also while it is read.
func TestWhatWasDeletedIsAnsweredWithASentence(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	film := filmed.Read(t, filmed.Encode(t, 2, h264+" -bf 0"))
	keys := []segment.Key{film.Record(t, s.store, "door", begin, 1), film.Record(t, s.store, "door", begin.Add(2*time.Second), 1)}
	playlist := s.want(hls.NameMedia + span(0, time.Minute))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	held, err := s.player.Part(ctx, hls.Span{Stream: "door"}, keys[0].ID(), 0, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.Delete(keys[0]); !errors.Is(err, segment.ErrBusy) {
		t.Errorf("a recording that is read was deleted: %v", err)
	}
	var b strings.Builder
	if n, err := held.WriteTo(&b); err != nil || n != held.Size || int64(b.Len()) != n {
		t.Errorf("%d of %d bytes: %v", n, held.Size, err)
	}
	if err := errors.Join(held.Close(), s.store.Delete(keys[0])); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(playlist) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, hls.NamePart) {
			continue
		}
		status, body, _ := s.get(line)
		want, sentence := http.StatusOK, ""
		if strings.Contains(line, keys[0].ID().String()) {
			want, sentence = http.StatusNotFound, "was deleted"
		}
		if status != want || !strings.Contains(body, sentence) {
			t.Errorf("%s: %d %s", line, status, body)
		}
	}
	init := regexp.MustCompile(`URI="(.*)"`).FindStringSubmatch(playlist)[1]
	s.want(init) // the next recording has the same tracks
	if status, _, _ := s.get(hls.NameInit + "?stream=door&segment=" + keys[0].ID().String()); status != http.StatusNotFound {
		t.Errorf("the description of a deleted recording: %d", status)
	}
}

func TestWrongRequests(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	film := filmed.Read(t, filmed.Encode(t, 2, h264+" -bf 0"))
	key := film.Record(t, s.store, "door", begin, 1)
	part := hls.NamePart + "?stream=door&segment=" + key.ID().String()
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		hls.NameMedia + span(0, 7*time.Hour):                                       {400, "at most 6 hours"},
		hls.NameMaster + span(0, 7*time.Hour):                                      {400, "at most 6 hours"},
		hls.NameMedia + span(time.Minute, 2*time.Minute):                           {404, "nothing that can be played"},
		hls.NameMedia + "?stream=door&to=2026-11-21T05:00:00Z":                     {400, "from is missing"},
		hls.NameMedia + "?stream=shed":                                             {404, "no recording"},
		hls.NameFrame + "?stream=shed":                                             {404, "no recording"},
		part + "&start=-1":                                                         {400, "milliseconds"},
		part + "&start=x":                                                          {400, "milliseconds"},
		part + "&start=99999999999":                                                {400, "milliseconds"},
		part + "&start=1000&end=1000":                                              {400, "not after"},
		part + "&start=5000":                                                       {404, "no complete media"},
		hls.NamePart + "?stream=door&segment=../../x&start=0":                      {404, "deleted"},
		hls.NamePart + "?stream=../door&segment=" + key.ID().String() + "&start=0": {404, "deleted"},
	} {
		if status, body, _ := s.get(path); status != want.status || !strings.Contains(body, want.text) {
			t.Errorf("%s: %d %s, want %d %q", path, status, body, want.status, want.text)
		}
	}
}
