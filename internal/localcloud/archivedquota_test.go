package localcloud

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	archived "github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// admitted is how many calls are admitted before the first that exceeds a limit, at most a number.
func admitted(t *testing.T, most int, call func() error) int {
	t.Helper()
	for n := range most {
		if err := call(); err != nil {
			wantError(t, err, "ClientLimitExceededException", 400)
			return n
		}
	}
	return most
}

// TestQuotasOfArchivedMedia: calls a second, and the fragments that operations may look up and read a second, together.
func TestQuotasOfArchivedMedia(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg")
	now := newClock()
	p := newHLS(t, Options{Now: now.Now})
	put(t, p.Cloud, filmOf(t, t.TempDir(), "H.264"), foreignStart)
	ctx, cam := t.Context(), aws.String("cam")
	hls := func() error {
		in := onDemand()
		in.StreamName = cam
		_, err := p.api.GetHLSStreamingSessionURL(ctx, &in)
		return err
	}
	dash := func() error {
		in := dashOnDemand()
		in.StreamName = cam
		_, err := p.api.GetDASHStreamingSessionURL(ctx, &in)
		return err
	}
	clip := func() error {
		_, err := p.api.GetClip(ctx, clipOf("cam", types.ClipFragmentSelectorTypeProducerTimestamp, foreignStart, foreignStart.Add(time.Hour)))
		return err
	}
	list := func() error {
		_, err := p.api.ListFragments(ctx, &archived.ListFragmentsInput{StreamName: cam, MaxResults: aws.Int64(1000)})
		return err
	}
	read := func(n int) func() error {
		return func() error {
			_, err := p.api.GetMediaForFragmentList(ctx, &archived.GetMediaForFragmentListInput{StreamName: cam,
				Fragments: strings.Split(strings.TrimSuffix(strings.Repeat("1,", n), ","), ",")})
			return err
		}
	}
	want := func(what string, most, want int, call func() error) {
		t.Helper()
		if got := admitted(t, most, call); got != want {
			t.Errorf("%s: %d calls are admitted, want %d", what, got, want)
		}
	}
	want("HLS", 30, 25, hls)
	want("DASH in the same second", 30, 25, dash)
	now.advance(time.Second)
	want("HLS in the next second", 30, 25, hls)
	want("listing", 20, 10, list)
	want("a clip, whose fragments cannot be looked up", 1, 0, clip)
	now.advance(time.Second)
	want("a clip in the next second", 1, 1, clip)
	want("reading what is left", 10, 5, read(100)) // of 497 points
	want("a clip, whose fragments cannot be read", 1, 0, clip)
	now.advance(10 * time.Second)
	want("a list of a thousand", 3, 1, read(1000))
	now.advance(time.Second)
	want("a clip, as the quota is still owed", 1, 0, clip)
	now.advance(time.Millisecond)
	want("a clip", 1, 1, clip)
}

// TestOtherClientsMeetTheQuotas: boto3 is refused the call after the last that a second has, by name.
func TestOtherClientsMeetTheQuotas(t *testing.T) {
	t.Parallel()
	needBoto3(t)
	testtools.Need(t, "curl", "ffmpeg")
	now := newClock()
	p := newHLS(t, Options{Now: now.Now})
	put(t, p.Cloud, filmOf(t, t.TempDir(), "H.264"), foreignStart)
	from, to := foreignStart.Unix()-1, foreignStart.Unix()+60
	for _, row := range []struct {
		operation string
		admitted  int
		edit      func(body map[string]any)
	}{
		{"GetHLSStreamingSessionURL", 25, nil},
		{"GetDASHStreamingSessionURL", 25, nil},
		{"ListFragments", 10, func(body map[string]any) { body["MaxResults"] = 1000 }},
	} {
		now.advance(10 * time.Second)
		var requests []*sent
		for range row.admitted + 1 {
			body := archivedCall(row.operation, "cam", from, to)
			if row.edit != nil {
				row.edit(body)
			}
			requests = append(requests, &sent{row: &modelRow{Operation: row.operation}, body: body})
		}
		runPython(t, p.Cloud, "boto3", requests)
		for i, s := range requests {
			want := ""
			if i == row.admitted {
				want = "ClientLimitExceededException"
			}
			if s.answer.Code != want {
				t.Errorf("call %d of %s is answered with %q %s, want %q", i+1, row.operation, s.answer.Code, s.answer.Message, want)
			}
		}
	}
}

// TestPlayersHaveQuotasAsAWSHasThem: sessions in the mode as AWS, and none otherwise.
func TestPlayersHaveQuotasAsAWSHasThem(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg")
	for _, as := range []bool{false, true} {
		now := newClock()
		p := newHLS(t, Options{Now: now.Now, AsAWS: as})
		put(t, p.Cloud, filmOf(t, t.TempDir(), "H.264"), foreignStart)
		number := p.Media().Fragments("cam")[0].Number
		hls, other, dash := p.session(onDemand()), p.session(onDemand()), p.dashSession(dashOnDemand())
		for what, row := range map[string]struct {
			url, relative string
			most          int
		}{
			"GetHLSMasterPlaylist": {hls, "", 5},
			"GetHLSMediaPlaylist":  {hls, "getHLSMediaPlaylist.m3u8?TrackNumber=1&", 5},
			"GetMP4InitFragment":   {hls, "getMP4InitFragment.mp4?TrackNumber=1&", 5},
			"GetMP4MediaFragment":  {hls, "getMP4MediaFragment.mp4?TrackNumber=1&FragmentNumber=" + number + "&", 20},
			"GetTSFragment":        {hls, "getTSFragment.ts?FragmentNumber=" + number + "&", 20},
			"GetDASHManifest":      {dash, "", 5},
		} {
			if row.relative != "" {
				row.relative += sessionToken.FindString(row.url)
			}
			got := 0
			for range 25 {
				status, body, _ := p.get(row.url, row.relative)
				if status != 200 {
					if status != 400 || !strings.Contains(string(body), "more than") {
						t.Errorf("%s is answered %d: %s", what, status, body)
					}
					break
				}
				got++
			}
			if want := map[bool]int{false: 25, true: row.most}[as]; got != want {
				t.Errorf("%s, as AWS %v: %d requests are admitted, want %d", what, as, got, want)
			}
		}
		if status, _, _ := p.get(other, ""); status != 200 {
			t.Errorf("another session is answered %d", status)
		}
		now.advance(time.Second)
		if status, _, _ := p.get(hls, ""); status != 200 {
			t.Errorf("the session is answered %d in the next second", status)
		}
	}
}

// lookup finds one stream.
type lookup media.StreamInfo

func (l lookup) Stream(string) (media.StreamInfo, bool) { return media.StreamInfo(l), true }

// storedFast stores a film for the stream cam of a local cloud that does not run, without the limits of pace, from 2026-11-21 on, and
// waits for its fragments.
func storedFast(t *testing.T, o Options, film []byte, fragments int) {
	t.Helper()
	c := start(t, o)
	_, err := c.CreateStream("cam", 24)
	must(t, err)
	must(t, c.Close())
	service, err := media.New(media.Options{Dir: o.Dir, Streams: lookup{Name: "cam", RetentionHours: 24},
		Limits: media.Limits{FragmentsPerSecond: 1e6, PutMediaPerSecond: 1e6, BytesPerSecond: 1e12}})
	must(t, err)
	server := httptest.NewServer(service)
	path := filepath.Join(o.Dir, "film.mkv")
	must(t, os.WriteFile(path, film, 0o600))
	body, err := os.Open(path)
	must(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/putMedia", body)
	must(t, err)
	for name, value := range map[string]string{"x-amzn-stream-name": "cam", "x-amzn-fragment-timecode-type": "RELATIVE",
		"x-amzn-producer-start-timestamp": "1795233600.000"} {
		r.Header.Set(name, value)
	}
	answer, err := server.Client().Do(r)
	must(t, err)
	must(t, service.AwaitFragments(waiting(t), "cam", fragments))
	must(t, answer.Body.Close())
	server.Close()
	must(t, service.Close())
}

// TestHowMuchIsPlayedAtOnce: a clip has 200 fragments and 100 MB, a session as many fragments as are asked for, or a thousand.
func TestHowMuchIsPlayedAtOnce(t *testing.T) {
	t.Parallel()
	needBoto3(t)
	testtools.Need(t, "ffmpeg", "ffprobe")
	const fragments = 1100
	dir := t.TempDir()
	o := Options{Dir: dir, StreamDelay: -1}
	storedFast(t, o, foreign(t, nil, dir, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", fmt.Sprintf(
		"testsrc2=size=64x64:rate=1:duration=%d", fragments), "-c:v", "libx264", "-preset", "ultrafast", "-g", "1", "-f", "matroska",
		"-live", "1", "-cluster_time_limit", "900", "pipe:1"), fragments)

	p := newPlayer(t, start(t, o))
	from := time.Unix(1795233600, 0)
	clip := filepath.Join(dir, "clip.mp4")
	must(t, os.WriteFile(clip, p.clip(from, from.Add(199*time.Second)), 0o600))
	count := foreign(t, nil, dir, "ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0",
		clip)
	if got := strings.TrimSpace(string(count)); got != "200" {
		t.Errorf("a clip of 200 fragments has %s pictures", got)
	}
	ask := func(operation string, seconds int64, most any) *sent {
		body := archivedCall(operation, "cam", from.Unix(), from.Unix()+seconds)
		if most != nil {
			body["MaxMediaPlaylistFragmentResults"] = most
		}
		return &sent{row: &modelRow{Operation: operation}, body: body}
	}
	requests := []*sent{ask("GetClip", 200, nil), ask("GetHLSStreamingSessionURL", 2000, 5001)}
	runPython(t, p.Cloud, "boto3", requests)
	if a := requests[0].answer; a.Code != "InvalidArgumentException" || !strings.Contains(a.Message,
		"has 201 fragments; a clip has at most 200") {
		t.Errorf("201 fragments are answered with %s %s", a.Code, a.Message)
	}
	if a := requests[1].answer; a.Code != "InvalidArgumentException" && a.Unsent == "" {
		t.Errorf("a session of 5,001 fragments is answered with %s %s", a.Code, a.Message)
	}
	for most, want := range map[int64]int{0: 1000, 7: 7, 5000: fragments} {
		in := onDemand()
		in.HLSFragmentSelector = between(byProducer, from, from.Add(2000*time.Second))
		if most > 0 {
			in.MaxMediaPlaylistFragmentResults = aws.Int64(most)
		}
		url := p.session(in)
		_, playlist, _ := p.get(url, "getHLSMediaPlaylist.m3u8?TrackNumber=1&"+sessionToken.FindString(url))
		if got := strings.Count(string(playlist), "#EXTINF"); got != want {
			t.Errorf("of %d fragments a session that asks for %d has %d", fragments, most, got)
		}
	}
}
