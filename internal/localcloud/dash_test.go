package localcloud

import (
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	archived "github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

type dashInput = archived.GetDASHStreamingSessionURLInput

// dashSession begins a session of DASH.
func (p *player) dashSession(in dashInput) string {
	p.t.Helper()
	in.StreamName = aws.String("cam")
	out, err := p.api.GetDASHStreamingSessionURL(p.t.Context(), &in)
	must(p.t, err)
	return *out.DASHStreamingSessionURL
}

func dashBetween(kind types.DASHFragmentSelectorType, from, to time.Time) *types.DASHFragmentSelector {
	return &types.DASHFragmentSelector{FragmentSelectorType: kind,
		TimestampRange: &types.DASHTimestampRange{StartTimestamp: &from, EndTimestamp: &to}}
}

// dashOnDemand is a session of an hour around the films.
func dashOnDemand() dashInput {
	return dashInput{PlaybackMode: types.DASHPlaybackModeOnDemand,
		DASHFragmentSelector: dashBetween(types.DASHFragmentSelectorTypeProducerTimestamp, foreignStart, foreignStart.Add(time.Hour))}
}

// TestDASHPlayersSeeWhatWasSent compares what ffmpeg and GStreamer decode of a session of DASH with the film that was sent.
func TestDASHPlayersSeeWhatWasSent(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg", "ffprobe", "gst-launch-1.0")
	for name := range films {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, dir := newHLS(t, Options{}), t.TempDir()
			film := filmOf(t, dir, name)
			put(t, p.Cloud, film, foreignStart)
			url := p.dashSession(dashOnDemand())
			want := decodedFrames(t, dir, bytes.NewReader(film), "pipe:0")
			if got := decodedFrames(t, dir, nil, url); got != want {
				t.Errorf("ffmpeg sees\n%s\nwant\n%s", got, want)
			}
			count := string(foreign(t, nil, dir, "ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=codec_name,nb_read_packets",
				"-of", "csv=p=0", url))
			if !strings.Contains(count, ",150") || strings.Contains(name, "AAC") != strings.Contains(count, "aac,28") {
				t.Errorf("ffprobe finds %s", count)
			}
			if !strings.HasPrefix(name, "H.264") {
				return
			}
			if throughGStreamer(t, dir, url, "dashdemux ! qtdemux", "h264") != sha256.Sum256(picturesOf(t, dir, film, "yuv420p")) {
				t.Error("GStreamer decodes other pictures than were sent")
			}
		})
	}
}

// mpd is what a player reads of a manifest.
type mpd struct {
	Type     string `xml:"type,attr"`
	Length   string `xml:"mediaPresentationDuration,attr"`
	Begins   string `xml:"availabilityStartTime,attr"`
	Update   string `xml:"minimumUpdatePeriod,attr"`
	Template []struct {
		Start int `xml:"startNumber,attr"`
		S     []struct {
			T  int64  `xml:"t,attr"`
			D  int64  `xml:"d,attr"`
			TS string `xml:"urn:aws:kinesisvideo ts,attr"`
			FN string `xml:"urn:aws:kinesisvideo fn,attr"`
		} `xml:"SegmentTimeline>S"`
	} `xml:"Period>AdaptationSet>Representation>SegmentTemplate"`
}

// manifest loads the manifest of a session.
func (p *player) manifest(url string) (m mpd) {
	p.t.Helper()
	status, text, header := p.get(url, "")
	if status != 200 || header.Get("Content-Type") != "application/dash+xml" || header.Get("Access-Control-Allow-Origin") != "*" {
		p.t.Fatalf("the manifest is answered %d with %v: %s", status, header, text)
	}
	must(p.t, xml.Unmarshal(text, &m))
	return m
}

// shown lists the fragments of a manifest by the order in which they arrived, behind their sequence numbers.
func (p *player) shownByDASH(url string) string {
	p.t.Helper()
	m := p.manifest(url)
	text := fmt.Sprintf("%s from %d:", m.Type, m.Template[0].Start)
	var numbers []string
	for _, f := range p.Media().Fragments("cam") {
		numbers = append(numbers, f.Number)
	}
	for _, s := range m.Template[0].S {
		text += fmt.Sprintf(" %d", slices.Index(numbers, s.FN))
	}
	return text
}

// TestManifests: what is in them, also across a gap, which DASH has none of.
func TestManifests(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg", "ffprobe")
	p := newHLS(t, Options{})
	film := filmOf(t, t.TempDir(), "H.264")
	put(t, p.Cloud, film, foreignStart)
	put(t, p.Cloud, film, foreignStart.Add(time.Minute))
	in := dashOnDemand()
	in.MaxManifestFragmentResults = aws.Int64(4)
	url := p.dashSession(in)
	if want := p.Endpoint() + "/dash/v1/getDASHManifest.mpd?SessionToken="; !strings.HasPrefix(url, want) {
		t.Errorf("the URL is %s, want %s…", url, want)
	}
	_, text, _ := p.get(url, "")
	got := regexp.MustCompile(`bandwidth="\d+"`).ReplaceAllString(p.named(string(text)), `bandwidth="B"`)
	got = regexp.MustCompile(`avc1\.[0-9a-f]{6}`).ReplaceAllString(got, "avc1.P")
	want := `<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="static" ` +
		`mediaPresentationDuration="PT8S" maxSegmentDuration="PT2S" minBufferTime="PT2S">
  <Period id="0" start="PT0S">
    <AdaptationSet id="1" contentType="video" mimeType="video/mp4" segmentAlignment="true" startWithSAP="1">
      <Representation id="1" codecs="avc1.P" bandwidth="B" width="320" height="240" frameRate="25">
        <SegmentTemplate timescale="90000" ` +
		`initialization="getMP4InitFragment.mp4?SessionToken=T&amp;TrackNumber=1&amp;SequenceNumber=0" ` +
		`media="getMP4MediaFragment.mp4?SessionToken=T&amp;TrackNumber=1&amp;SequenceNumber=$Number$" startNumber="1">
          <SegmentTimeline>
            <S t="0" d="180000"></S>
            <S t="180000" d="180000"></S>
            <S t="360000" d="180000"></S>
            <S t="540000" d="180000"></S>
          </SegmentTimeline>
        </SegmentTemplate>
      </Representation>
    </AdaptationSet>
  </Period>
</MPD>
`
	if got != want {
		t.Errorf("the manifest is\n%s\nwant\n%s", got, want)
	}

	in = dashOnDemand()
	in.DisplayFragmentNumber, in.DisplayFragmentTimestamp = types.DASHDisplayFragmentNumberAlways, types.DASHDisplayFragmentTimestampAlways
	url = p.dashSession(in)
	stored := p.Media().Fragments("cam")
	for _, template := range p.manifest(url).Template {
		for i, s := range template.S {
			at := foreignStart.Add(time.Duration(i) * 2 * time.Second)
			if i >= 3 { // behind the gap
				at = at.Add(time.Minute - 6*time.Second)
			}
			if s.FN != stored[i].Number || s.TS != at.Format("2006-01-02T15:04:05.000Z") {
				t.Errorf("fragment %d is %s of %s, want %s of %s", i, s.FN, s.TS, stored[i].Number, at)
			}
		}
	}
	// The media is as the manifest says: without the gap.
	length := string(foreign(t, nil, t.TempDir(), "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time", "-of",
		"csv=p=0", url))
	lines := strings.Fields(length)
	if n := len(lines); n != 300 || !strings.HasPrefix(lines[0], "0.0000") || !strings.HasPrefix(lines[n-1], "11.96") {
		t.Errorf("ffprobe finds %d pictures: %v", n, lines)
	}
}

// TestManifestsOfAudio: audio has a set of its own, with the same fragments.
func TestManifestsOfAudio(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg")
	p := newHLS(t, Options{})
	put(t, p.Cloud, filmOf(t, t.TempDir(), "H.264 and AAC"), foreignStart)
	url := p.dashSession(dashOnDemand())
	_, text, _ := p.get(url, "")
	for _, want := range []string{
		`<AdaptationSet id="2" contentType="audio" mimeType="audio/mp4" segmentAlignment="true" startWithSAP="1">`,
		`codecs="mp4a.40.2"`, `audioSamplingRate="48000"`, `:audio_channel_configuration:2011" value="1">`,
		"TrackNumber=2&amp;SequenceNumber=$Number$",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the manifest has no %s:\n%s", want, text)
		}
	}
	m := p.manifest(url)
	if len(m.Template) != 2 || len(m.Template[0].S) != 3 || !slices.Equal(m.Template[0].S, m.Template[1].S) {
		t.Errorf("the timelines are %v", m.Template)
	}
}

// TestLiveManifests moves the clock: what a live session shows, and one that replays.
func TestLiveManifests(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg")
	now := newClock()
	now.now = foreignStart
	p := newHLS(t, Options{Now: now.Now})
	film := filmOf(t, t.TempDir(), "H.264")
	put(t, p.Cloud, film, foreignStart)
	put(t, p.Cloud, film, foreignStart.Add(6*time.Second))
	now.advance(29 * time.Second)
	want := func(what, url, want string) {
		t.Helper()
		if got := p.shownByDASH(url); got != want {
			t.Errorf("%s shows %q, want %q", what, got, want)
		}
	}
	producer, server := types.DASHFragmentSelectorTypeProducerTimestamp, types.DASHFragmentSelectorTypeServerTimestamp
	numbered := func(mode types.DASHPlaybackMode, most int64, selector *types.DASHFragmentSelector) string {
		return p.dashSession(dashInput{PlaybackMode: mode, DisplayFragmentNumber: types.DASHDisplayFragmentNumberAlways,
			MaxManifestFragmentResults: &most, DASHFragmentSelector: selector})
	}
	live := numbered(types.DASHPlaybackModeLive, 3, &types.DASHFragmentSelector{FragmentSelectorType: producer})
	open := dashBetween(producer, foreignStart, foreignStart)
	open.TimestampRange.EndTimestamp = nil
	replay := numbered(types.DASHPlaybackModeLiveReplay, 2, open)
	bounded := numbered(types.DASHPlaybackModeLiveReplay, 5, dashBetween(producer, foreignStart, foreignStart.Add(4*time.Second)))
	// All arrived at the same moment of this clock.
	byServer := numbered(types.DASHPlaybackModeOnDemand, 100, dashBetween(server, foreignStart, foreignStart.Add(time.Second)))
	want("live", live, "dynamic from 1: 3 4 5")
	want("replay", replay, "dynamic from 1: 0 1")
	want("by server time", byServer, "static from 1: 0 1 2 3 4 5")
	m := p.manifest(replay)
	if begins := foreignStart.Add(25 * time.Second).Format("2006-01-02T15:04:05.000Z"); m.Begins != begins || m.Update != "PT1S" {
		t.Errorf("a replay begins at %s, updated each %s; want %s, PT1S", m.Begins, m.Update, begins)
	}
	now.advance(1999 * time.Millisecond)
	want("replay before the length of the next one", replay, "dynamic from 1: 0 1")
	now.advance(time.Millisecond)
	want("replay after it", replay, "dynamic from 2: 1 2")
	put(t, p.Cloud, film, foreignStart.Add(12*time.Second))
	put(t, p.Cloud, film, foreignStart) // late: it is not added, and changes no number
	want("live", live, "dynamic from 4: 6 7 8")
	hls := p.session(onDemand())
	for _, wrong := range []string{strings.Replace(hls, "/hls/v1/getHLSMasterPlaylist.m3u8", "/dash/v1/getDASHManifest.mpd", 1),
		strings.Replace(live, "/dash/v1/getDASHManifest.mpd", "/hls/v1/getHLSMasterPlaylist.m3u8", 1)} {
		if status, body, _ := p.get(wrong, ""); status != 403 || !strings.Contains(string(body), "Streaming session token is invalid") {
			t.Errorf("a token of the other protocol is answered %d: %s", status, body)
		}
	}
	want("replay", replay, "dynamic from 2: 1 2")
	// Where a fragment was not yet shown, the newer one with its time is played.
	put(t, p.Cloud, film, foreignStart.Add(6*time.Second))
	now.advance(time.Minute)
	want("replay", replay, "dynamic from 8: 7 8")
	want("bounded replay", bounded, "static from 1: 0 1 2")
	all := p.manifest(numbered(types.DASHPlaybackModeOnDemand, 100, dashBetween(producer, foreignStart, foreignStart.Add(time.Hour))))
	if n := len(all.Template[0].S); n != 9 || all.Length != "PT18S" {
		t.Errorf("there are %d fragments in %s, want 9 in PT18S", n, all.Length)
	}
	segment := func(number string) int {
		status, _, _ := p.get(replay, "getMP4MediaFragment.mp4?TrackNumber=1&SequenceNumber="+number+"&"+sessionToken.FindString(replay))
		return status
	}
	for number, status := range map[string]int{"0": 404, "1": 200, "9": 200, "10": 404, "-1": 404, "x": 404, "": 404} {
		if got := segment(number); got != status {
			t.Errorf("fragment %q is answered %d, want %d", number, got, status)
		}
	}
	now.advance(5 * time.Minute)
	if status, body, _ := p.get(live, ""); status != 403 || !strings.Contains(string(body), "Streaming session token is expired") {
		t.Errorf("an expired session is answered %d: %s", status, body)
	}
	if got := segment("1"); got != 403 {
		t.Errorf("a fragment of an expired session is answered %d", got)
	}
}

// TestOtherClientsBeginSessionsOfDASH: Debian's AWS CLI and boto3, whose models others wrote; ffprobe plays what they get.
func TestOtherClientsBeginSessionsOfDASH(t *testing.T) {
	t.Parallel()
	needBoto3(t)
	testtools.Need(t, "curl", "ffmpeg", "ffprobe")
	p, dir := newHLS(t, Options{}), t.TempDir()
	put(t, p.Cloud, filmOf(t, dir, "H.264"), foreignStart)
	run := func(name string, args ...string) string {
		t.Helper()
		command := slices.Concat([]string{"-i"}, userEnv(t, p.Cloud), []string{name}, args)
		return strings.TrimSpace(string(foreign(t, nil, dir, "env", command...)))
	}
	from, to := foreignStart.Format(time.RFC3339), foreignStart.Add(time.Hour).Format(time.RFC3339)
	endpoint := run("/usr/bin/aws", "kinesisvideo", "get-data-endpoint", "--endpoint-url", p.Endpoint(), "--stream-name", "cam", "--api-name",
		"GET_DASH_STREAMING_SESSION_URL", "--query", "DataEndpoint", "--output", "text")
	for client, url := range map[string]string{
		"the AWS CLI": run("/usr/bin/aws", "kinesis-video-archived-media", "get-dash-streaming-session-url", "--endpoint-url", endpoint,
			"--stream-name", "cam", "--playback-mode", "ON_DEMAND", "--display-fragment-number", "ALWAYS", "--expires", "43200",
			"--max-manifest-fragment-results", "5000", "--dash-fragment-selector", "FragmentSelectorType=PRODUCER_TIMESTAMP,TimestampRange={"+
				"StartTimestamp="+from+",EndTimestamp="+to+"}", "--query", "DASHStreamingSessionURL", "--output", "text"),
		"boto3": run(python, "-c", `import boto3, sys
print(boto3.client("kinesis-video-archived-media", endpoint_url=sys.argv[1]).get_dash_streaming_session_url(
    StreamName="cam", PlaybackMode="LIVE_REPLAY", DisplayFragmentTimestamp="ALWAYS", DASHFragmentSelector={
        "FragmentSelectorType": "PRODUCER_TIMESTAMP", "TimestampRange": {"StartTimestamp": sys.argv[2], "EndTimestamp": sys.argv[3]},
    })["DASHStreamingSessionURL"])`, endpoint, from, to),
	} {
		if m := p.manifest(url); len(m.Template) != 1 || len(m.Template[0].S) != 3 || m.Template[0].S[0].TS+m.Template[0].S[0].FN == "" {
			t.Errorf("%s gets %+v", client, m)
		}
		count := foreign(t, nil, dir, "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts", "-read_intervals",
			"%+#150", "-of", "csv=p=0", url)
		if n := len(strings.Fields(string(count))); n != 150 {
			t.Errorf("ffprobe finds %d pictures in what %s gets, want 150", n, client)
		}
	}
}
