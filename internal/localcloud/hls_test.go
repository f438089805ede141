package localcloud

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	archived "github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// films are what a producer sends in these tests: arguments of ffmpeg.
var films = map[string][]string{
	"H.264":               {"-c:v", "libx264", "-preset", "ultrafast", "-bf", "0"},
	"H.264 with B-frames": {"-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-x264-params", "open-gop=0"},
	"H.264 and AAC": {"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=6", "-c:v", "libx264", "-preset",
		"ultrafast", "-bf", "0", "-c:a", "aac"},
	"H.265": {"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=0:keyint=50:min-keyint=50"},
}

// filmOf makes 6 s with a key frame every 2 s.
func filmOf(t *testing.T, dir, name string) []byte {
	t.Helper()
	return filmMade(t, dir, films[name]...)
}

// filmMade is a film of ffmpeg's arguments.
func filmMade(t *testing.T, dir string, encoders ...string) []byte {
	t.Helper()
	args := append([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=6"}, encoders...)
	return foreign(t, nil, dir, "ffmpeg", append(args, "-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-f", "matroska", "-live", "1",
		"-cluster_time_limit", "9000", "-cluster_size_limit", "5M", "pipe:1")...)
}

// put sends a film that begins at a time.
func put(t *testing.T, c *Cloud, film []byte, at time.Time) {
	t.Helper()
	putTo(t, c, "cam", film, at)
}

func putTo(t *testing.T, c *Cloud, stream string, film []byte, at time.Time) {
	t.Helper()
	answer := curl(t, bytes.NewReader(film), c, t.TempDir(), "--request", "POST", "--upload-file", "-", "--header",
		"x-amzn-stream-name: "+stream,
		"--header", "x-amzn-fragment-timecode-type: RELATIVE",
		"--header", fmt.Sprintf("x-amzn-producer-start-timestamp: %d.%03d", at.Unix(), at.UnixMilli()%1000), c.Endpoint()+"/putMedia")
	if bytes.Contains(answer, []byte("ERROR")) {
		t.Fatalf("the film of %s is answered with %s", stream, answer)
	}
}

// player asks for sessions as the SDK does, and for what they have as players do.
type player struct {
	*Cloud
	t   *testing.T
	api *archived.Client
	web *http.Client
}

func newPlayer(t *testing.T, c *Cloud) *player {
	t.Helper()
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.pki.Pool()}}}
	t.Cleanup(web.CloseIdleConnections)
	return &player{Cloud: c, t: t, api: archived.NewFromConfig(userConfig(t, c)), web: web}
}

type hlsInput = archived.GetHLSStreamingSessionURLInput

// session begins a session.
func (p *player) session(in hlsInput) string {
	p.t.Helper()
	in.StreamName = aws.String("cam")
	out, err := p.api.GetHLSStreamingSessionURL(p.t.Context(), &in)
	must(p.t, err)
	return *out.HLSStreamingSessionURL
}

// get returns what is at an address, which may be relative to a URL.
func (p *player) get(url, relative string) (status int, body []byte, header http.Header) {
	p.t.Helper()
	if relative != "" {
		url = url[:strings.LastIndex(url, "/")+1] + relative
	}
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, url, nil)
	must(p.t, err)
	answer, err := p.web.Do(r)
	must(p.t, err)
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	must(p.t, err)
	return answer.StatusCode, body, answer.Header
}

// media returns the media playlist of a session, with numbers in place of tokens and fragment numbers.
func (p *player) media(url string) string {
	p.t.Helper()
	status, master, _ := p.get(url, "")
	if status != 200 {
		p.t.Fatalf("the master playlist is answered %d: %s", status, master)
	}
	lines := strings.Split(strings.TrimSpace(string(master)), "\n")
	status, text, _ := p.get(url, lines[len(lines)-1])
	if status != 200 {
		p.t.Fatalf("the media playlist is answered %d: %s", status, text)
	}
	return p.named(string(text))
}

var sessionToken = regexp.MustCompile(`SessionToken=[A-Za-z0-9_-]+`)

func (p *player) named(text string) string {
	text = sessionToken.ReplaceAllString(text, "SessionToken=T")
	for i, f := range p.Media().Fragments("cam") {
		text = strings.ReplaceAll(text, "FragmentNumber="+f.Number, fmt.Sprintf("FragmentNumber=%d", i))
	}
	return text
}

// between selects fragments by a kind of timestamp.
func between(kind types.HLSFragmentSelectorType, from, to time.Time) *types.HLSFragmentSelector {
	return &types.HLSFragmentSelector{FragmentSelectorType: kind,
		TimestampRange: &types.HLSTimestampRange{StartTimestamp: &from, EndTimestamp: &to}}
}

const (
	byProducer = types.HLSFragmentSelectorTypeProducerTimestamp
	byServer   = types.HLSFragmentSelectorTypeServerTimestamp
)

// onDemand is a session of an hour around the films.
func onDemand() hlsInput {
	return hlsInput{PlaybackMode: types.HLSPlaybackModeOnDemand,
		HLSFragmentSelector: between(byProducer, foreignStart, foreignStart.Add(time.Hour))}
}

// newHLS starts a local cloud with a stream.
func newHLS(t *testing.T, o Options) *player {
	t.Helper()
	o.StreamDelay = -1
	c := start(t, o)
	_, err := c.CreateStream("cam", 24)
	must(t, err)
	return newPlayer(t, c)
}

// TestPlayersSeeWhatWasSent compares each frame that ffmpeg decodes of a session, and its time, with those of the film that was sent.
func TestPlayersSeeWhatWasSent(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg", "ffprobe")
	for name := range films {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, dir := newHLS(t, Options{}), t.TempDir()
			film := filmOf(t, dir, name)
			put(t, p.Cloud, film, foreignStart)
			want := decodedFrames(t, dir, bytes.NewReader(film), "pipe:0")
			if n := strings.Count(want, "\n"); n < 150 {
				t.Fatalf("the film has %d frames", n)
			}
			for _, format := range []types.ContainerFormat{types.ContainerFormatFragmentedMp4, types.ContainerFormatMpegTs} {
				if name == "H.265" && format == types.ContainerFormatMpegTs {
					continue // which AWS does not play
				}
				in := onDemand()
				in.ContainerFormat = format
				if got := decodedFrames(t, dir, nil, p.session(in)); got != want {
					t.Errorf("%s: ffmpeg sees\n%s\nwant\n%s", format, got, want)
				}
			}
		})
	}
}

// decodedFrames lists the time and the hash of each picture, from 0 on, and for audio the number of frames.
func decodedFrames(t *testing.T, dir string, stdin io.Reader, url string) string {
	t.Helper()
	text := foreign(t, stdin, dir, "ffmpeg", "-v", "error", "-i", url, "-map", "0:v", "-vsync", "passthrough", "-f", "framemd5", "-")
	var first, at int64
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(line, ",")
		if strings.HasPrefix(line, "#") || len(fields) < 6 {
			continue
		}
		if _, err := fmt.Sscan(strings.TrimSpace(fields[2]), &at); err != nil {
			t.Fatal(err)
		}
		if out.Len() == 0 {
			first = at
		}
		fmt.Fprintf(&out, "%d %s\n", at-first, strings.TrimSpace(fields[5]))
	}
	return out.String()
}

// TestPlaylists compares playlists with what users of the service published.
func TestPlaylists(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg")
	p := newHLS(t, Options{})
	film := filmOf(t, t.TempDir(), "H.264")
	put(t, p.Cloud, film, foreignStart)
	url := p.session(onDemand())
	if want := p.Endpoint() + "/hls/v1/getHLSMasterPlaylist.m3u8?SessionToken="; !strings.HasPrefix(url, want) {
		t.Errorf("the URL is %s, want %s…", url, want)
	}
	_, master, header := p.get(url, "")
	got := regexp.MustCompile(`BANDWIDTH=\d+`).ReplaceAllString(p.named(string(master)), "BANDWIDTH=B")
	media := func(track int) string {
		return fmt.Sprintf("getHLSMediaPlaylist.m3u8?SessionToken=T&TrackNumber=%d", track)
	}
	got = regexp.MustCompile(`avc1\.[0-9a-f]{6}`).ReplaceAllString(got, "avc1.P")
	if want := `#EXTM3U
#EXT-X-VERSION:1
#EXT-X-STREAM-INF:CODECS="avc1.P",RESOLUTION=320x240,FRAME-RATE=25,BANDWIDTH=B
` + media(1) + `
`; got != want {
		t.Errorf("the master playlist is\n%s\nwant\n%s", got, want)
	}
	if header.Get("Content-Type") != "application/x-mpegURL" || header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("the master playlist comes with %v", header)
	}
	const entry = "#EXTINF:2,\ngetMP4MediaFragment.mp4?FragmentNumber=%d&SessionToken=T&TrackNumber=1\n"
	const head = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n" +
		"#EXT-X-INDEPENDENT-SEGMENTS\n"
	const mapping = "#EXT-X-MAP:URI=\"getMP4InitFragment.mp4?SessionToken=T&TrackNumber=1&SequenceNumber=0\"\n"
	entries := func(n ...int) (text string) {
		for _, i := range n {
			text += fmt.Sprintf(entry, i)
		}
		return text
	}
	want := head + mapping + entries(0, 1, 2) + "#EXT-X-ENDLIST\n"
	if got := p.media(url); got != want {
		t.Errorf("the media playlist is\n%s\nwant\n%s", got, want)
	}
	in := onDemand()
	in.MaxMediaPlaylistFragmentResults = aws.Int64(2)
	in.DisplayFragmentTimestamp, in.DiscontinuityMode = types.HLSDisplayFragmentTimestampAlways, types.HLSDiscontinuityModeAlways
	want = head + "#EXT-X-DISCONTINUITY\n" + mapping + "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T04:00:00.123Z\n" + entries(0) +
		"#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2026-11-21T04:00:02.123Z\n" + entries(1) + "#EXT-X-ENDLIST\n"
	if got := p.media(p.session(in)); got != want {
		t.Errorf("the media playlist with dates is\n%s\nwant\n%s", got, want)
	}

	// After a gap, and again with what was sent twice: the newer one is played.
	put(t, p.Cloud, film, foreignStart.Add(time.Minute))
	put(t, p.Cloud, film, foreignStart)
	if got := p.media(url); !strings.Contains(got, entries(0, 1, 2)+"#EXT-X-ENDLIST") {
		t.Errorf("a session that has begun shows\n%s", got)
	}
	in = onDemand()
	in.DiscontinuityMode = types.HLSDiscontinuityModeOnDiscontinuity
	want = mapping + entries(6, 7, 8) + "#EXT-X-DISCONTINUITY\n" + entries(3, 4, 5) + "#EXT-X-ENDLIST\n"
	if got := p.media(p.session(in)); !strings.HasSuffix(got, want) {
		t.Errorf("with a gap and repeated fragments it is\n%s\nwant\n%s", got, want)
	}
}

// TestPlaylistsOfAudio: audio has a playlist of its own, and transport streams have one for all.
func TestPlaylistsOfAudio(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg", "ffprobe")
	p := newHLS(t, Options{})
	put(t, p.Cloud, filmOf(t, t.TempDir(), "H.264 and AAC"), foreignStart)
	ts := onDemand()
	ts.ContainerFormat = types.ContainerFormatMpegTs
	for _, row := range []struct {
		in    hlsInput
		wants []string
	}{
		{onDemand(), []string{`TYPE=AUDIO,URI="getHLSMediaPlaylist.m3u8?SessionToken=T&TrackNumber=2",GROUP-ID="audio",`,
			`,mp4a.40.2",RESOLUTION=320x240,`, `,AUDIO="audio"`, "getHLSMediaPlaylist.m3u8?SessionToken=T&TrackNumber=1\n"}},
		{ts, []string{`,mp4a.40.2",RESOLUTION=320x240,`, "getHLSMediaPlaylist.m3u8?SessionToken=T\n"}},
	} {
		url := p.session(row.in)
		_, master, _ := p.get(url, "")
		for _, want := range row.wants {
			if !strings.Contains(p.named(string(master)), want) {
				t.Errorf("the master playlist has no %s:\n%s", want, master)
			}
		}
		count := foreign(t, nil, t.TempDir(), "ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=codec_name,nb_read_packets",
			"-of", "csv=p=0", url)
		for _, want := range []string{"h264,150", "aac,28"} {
			if !strings.Contains(string(count), want) {
				t.Errorf("ffprobe finds %s, want %s…", count, want)
			}
		}
	}
}

// TestLivePlaylists moves the clock: what a live session shows, and one that replays.
func TestLivePlaylists(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg")
	now := newClock()
	now.now = foreignStart
	p := newHLS(t, Options{Now: now.Now})
	film := filmOf(t, t.TempDir(), "H.264")
	put(t, p.Cloud, film, foreignStart)
	put(t, p.Cloud, film, foreignStart.Add(6*time.Second))
	now.advance(29 * time.Second)
	shown := func(url string) string {
		text := p.media(url)
		got := regexp.MustCompile(`SEQUENCE:\d+`).FindString(text)
		for _, m := range regexp.MustCompile(`FragmentNumber=(\d+)`).FindAllStringSubmatch(text, -1) {
			got += " " + m[1]
		}
		if strings.Contains(text, "ENDLIST") {
			got += " end"
		}
		return got
	}
	want := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s shows %q, want %q", what, got, want)
		}
	}
	live := p.session(hlsInput{HLSFragmentSelector: &types.HLSFragmentSelector{FragmentSelectorType: byProducer},
		MaxMediaPlaylistFragmentResults: aws.Int64(3)})
	from := foreignStart
	replay := p.session(hlsInput{PlaybackMode: types.HLSPlaybackModeLiveReplay, MaxMediaPlaylistFragmentResults: aws.Int64(2),
		HLSFragmentSelector: &types.HLSFragmentSelector{FragmentSelectorType: byProducer,
			TimestampRange: &types.HLSTimestampRange{StartTimestamp: &from}}})
	bounded := p.session(hlsInput{PlaybackMode: types.HLSPlaybackModeLiveReplay,
		HLSFragmentSelector: between(byProducer, from, from.Add(4*time.Second))})
	want("live", shown(live), "SEQUENCE:0 3 4 5")
	want("replay", shown(replay), "SEQUENCE:0 0 1")
	now.advance(1999 * time.Millisecond)
	want("replay before the length of the next one", shown(replay), "SEQUENCE:0 0 1")
	now.advance(time.Millisecond)
	want("replay after it", shown(replay), "SEQUENCE:1 1 2")
	_, err := p.api.GetHLSStreamingSessionURL(t.Context(), &hlsInput{StreamName: aws.String("cam")})
	wantError(t, err, "ResourceNotFoundException", 404) // the newest is of 31 s ago
	put(t, p.Cloud, film, foreignStart.Add(12*time.Second))
	put(t, p.Cloud, film, foreignStart) // late: it is not added
	want("live", shown(live), "SEQUENCE:3 6 7 8")
	now.advance(time.Minute)
	want("replay", shown(replay), "SEQUENCE:7 7 8")
	want("bounded replay", shown(bounded), "SEQUENCE:0 0 1 2 end")
	now.advance(5 * time.Minute)
	if status, body, _ := p.get(live, ""); status != 403 || !strings.Contains(string(body), "Streaming session token is expired") {
		t.Errorf("an expired session is answered %d: %s", status, body)
	}
}

// TestWhatSessionsRefuse: each rule of the API's pages that is not in the service model.
func TestWhatSessionsRefuse(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg")
	p := newHLS(t, Options{Deny: []string{"kinesisvideo:GetHLSStreamingSessionURL"}})
	put(t, p.Cloud, filmOf(t, t.TempDir(), "H.264"), foreignStart)
	_, err := p.CreateStream("fleeting", 0)
	must(t, err)
	_, err = p.CreateStream("empty", 1)
	must(t, err)
	s := foreignStart
	mode := func(m types.HLSPlaybackMode, selector *types.HLSFragmentSelector) hlsInput {
		return hlsInput{StreamName: aws.String("cam"), PlaybackMode: m, HLSFragmentSelector: selector}
	}
	archive, replay := types.HLSPlaybackModeOnDemand, types.HLSPlaybackModeLiveReplay
	half := between(byProducer, s, s)
	half.TimestampRange.EndTimestamp = nil
	open := between(byProducer, s, s)
	open.TimestampRange.StartTimestamp = nil
	rangeless := &types.HLSFragmentSelector{FragmentSelectorType: byServer}
	named := func(name string) hlsInput {
		in := mode(archive, between(byProducer, s, s.Add(time.Hour)))
		in.StreamName = &name
		return in
	}
	const argument, nothing = "InvalidArgumentException", "ResourceNotFoundException"
	for name, row := range map[string]struct {
		in     hlsInput
		code   string
		status int
		says   string
	}{
		"no stream":         {hlsInput{}, argument, 400, "exactly one of StreamName and StreamARN"},
		"an unknown stream": {named("none"), nothing, 404, "none is not found"},
		"no retention":      {named("fleeting"), "NoDataRetentionException", 400, "does not retain data"},
		"an empty stream":   {named("empty"), nothing, 404, "No fragments found"},
		"no selector":       {mode(archive, nil), argument, 400, "TimestampRange is required"},
		"no range":          {mode(replay, rangeless), argument, 400, "TimestampRange is required"},
		"no kind":           {mode(archive, between("", s, s.Add(1))), argument, 400, "FragmentSelectorType is required"},
		"no start":          {mode(archive, open), argument, 400, "StartTimestamp is required"},
		"no end":            {mode(archive, half), argument, 400, "EndTimestamp is required"},
		"an empty range":    {mode(archive, between(byProducer, s, s)), argument, 400, "later than StartTimestamp"},
		"more than a day":   {mode(archive, between(byProducer, s, s.Add(24*time.Hour+time.Millisecond))), argument, 400, "within 24 hours"},
		"an end in future":  {mode(archive, between(byServer, time.Now(), time.Now().Add(time.Hour))), argument, 400, "in the past"},
		"nothing in it":     {mode(archive, between(byProducer, s.Add(time.Hour), s.Add(2*time.Hour))), nothing, 404, "No fragments found"},
		"a range live":      {mode(types.HLSPlaybackModeLive, between(byProducer, s, s.Add(time.Hour))), argument, 400, "LIVE"},
	} {
		_, err := p.api.GetHLSStreamingSessionURL(t.Context(), &row.in)
		wantError(t, err, row.code, row.status)
		if err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s is refused with %v, want %s", name, err, row.says)
		}
	}
	cam := named("cam")
	_, err = archived.NewFromConfig(deviceConfig(t, p.Cloud, hub)).GetHLSStreamingSessionURL(t.Context(), &cam)
	wantError(t, err, "AccessDeniedException", 403)
	url := p.session(onDemand())
	other := p.session(onDemand())
	for what, row := range map[string]struct {
		relative string
		status   int
		says     string
	}{
		"a changed token": {"getHLSMasterPlaylist.m3u8?SessionToken=" + strings.Repeat("A", 200), 403, "Streaming session token is invalid"},
		"no token":        {"getHLSMediaPlaylist.m3u8", 403, "Streaming session token is invalid"},
		"another track":   {"getMP4InitFragment.mp4?TrackNumber=7&" + sessionToken.FindString(other), 400, "no track 7"},
		"another fragment": {"getMP4MediaFragment.mp4?TrackNumber=1&FragmentNumber=1&" + sessionToken.FindString(other), 404,
			"not one of the session"},
		"another resource":  {"getDASHManifest.mpd?" + sessionToken.FindString(other), 404, "no operation"},
		"a directory above": {"../../etc", 404, ""},
	} {
		if status, body, _ := p.get(url, row.relative); status != row.status || !strings.Contains(string(body), row.says) {
			t.Errorf("%s is answered %d %s, want %d %s", what, status, body, row.status, row.says)
		}
	}
	lost, err := p.Media().Lose("cam", func(media.Fragment) bool { return true })
	if err != nil || lost != 3 {
		t.Fatal(lost, err)
	}
	if status, body, _ := p.get(url, ""); status != 404 {
		t.Errorf("a session whose fragments are gone is answered %d: %s", status, body)
	}
}
