package localcloud

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// tone has the arguments for films with audio in the second track.
var tone = []string{"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=8000:duration=6", "-c:v", "libx264", "-preset", "ultrafast",
	"-bf", "0"}

// played asks each way of playing for the films, and returns the URLs and the clip, or the names of the errors.
func (p *player) played() (urls, refused map[string]string) {
	p.t.Helper()
	urls, refused = map[string]string{}, map[string]string{}
	note := func(use, url string, err error) {
		if err == nil {
			urls[use] = url
			return
		}
		refused[use] = regexp.MustCompile(`\w+Exception`).FindString(err.Error())
	}
	for use, format := range map[string]types.ContainerFormat{"HLS": types.ContainerFormatFragmentedMp4, "TS": types.ContainerFormatMpegTs} {
		in := onDemand()
		in.StreamName, in.ContainerFormat = aws.String("cam"), format
		out, err := p.api.GetHLSStreamingSessionURL(p.t.Context(), &in)
		if err != nil {
			note(use, "", err)
			continue
		}
		note(use, *out.HLSStreamingSessionURL, nil)
	}
	in := dashOnDemand()
	in.StreamName = aws.String("cam")
	dash, err := p.api.GetDASHStreamingSessionURL(p.t.Context(), &in)
	if err == nil {
		note("DASH", *dash.DASHStreamingSessionURL, nil)
	} else {
		note("DASH", "", err)
	}
	producer := types.ClipFragmentSelectorTypeProducerTimestamp
	clip, err := p.api.GetClip(p.t.Context(), clipOf("cam", producer, foreignStart, foreignStart.Add(time.Hour)))
	if err != nil {
		note("clip", "", err)
		return urls, refused
	}
	defer clip.Payload.Close()
	path := filepath.Join(p.t.TempDir(), "clip.mp4")
	var data bytes.Buffer
	_, err = data.ReadFrom(clip.Payload)
	must(p.t, err)
	must(p.t, os.WriteFile(path, data.Bytes(), 0o600))
	note("clip", path, nil)
	return urls, refused
}

// soundOf is the hash of what ffmpeg decodes of the audio.
func soundOf(t *testing.T, dir string, stdin []byte, url string) [32]byte {
	t.Helper()
	return sha256.Sum256(foreign(t, bytes.NewReader(stdin), dir, "ffmpeg", "-v", "error", "-i", url, "-map", "0:a", "-f", "s16le", "-"))
}

// TestEachWayOfPlayingHasItsTracks asks each for films of each kind: it plays them, with the tone that was sent, or refuses them by
// name, as the tables of the developer guide have it.
func TestEachWayOfPlayingHasItsTracks(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg", "ffprobe")
	for name, row := range map[string]struct {
		film  []string
		plays string
		codec string // of the audio
	}{
		"H.264":           {films["H.264"], "HLS TS DASH clip", ""},
		"H.264 and AAC":   {append(tone, "-c:a", "aac"), "HLS TS DASH clip", "aac"},
		"H.264 and A-law": {append(tone, "-c:a", "pcm_alaw"), "DASH clip", "pcm_alaw"},
		"H.264 and µ-law": {append(tone, "-c:a", "pcm_mulaw"), "DASH", "pcm_mulaw"},
		"H.265":           {films["H.265"], "HLS DASH clip", ""},
		"H.265 and A-law": {append(append([]string{"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=8000:duration=6"}, films["H.265"]...),
			"-c:a", "pcm_alaw"), "", "pcm_alaw"},
		"AAC": {[]string{"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=8000:duration=6", "-map", "1:a", "-c:a", "aac",
			"-cluster_time_limit",
			"2000"}, "HLS TS DASH", "aac"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, dir := newHLS(t, Options{}), t.TempDir()
			film := filmMade(t, dir, row.film...)
			put(t, p.Cloud, film, foreignStart)
			urls, refused := p.played()
			for _, use := range []string{"HLS", "TS", "DASH", "clip"} {
				switch url, plays := urls[use], strings.Contains(row.plays, use); {
				case !plays && refused[use] != "UnsupportedStreamMediaTypeException":
					t.Errorf("%s refuses it with %q, want UnsupportedStreamMediaTypeException", use, refused[use])
				case plays && url == "":
					t.Errorf("%s does not play it: %s", use, refused[use])
				case plays && row.codec != "":
					codec := foreign(t, nil, dir, "ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "stream=codec_name", "-of",
						"csv=p=0", url)
					if got := strings.Fields(string(codec)); len(got) == 0 || strings.Trim(got[0], ",") != row.codec {
						t.Errorf("%s has the audio %s, want %s", use, codec, row.codec)
					}
					if row.codec != "aac" && soundOf(t, dir, nil, url) != soundOf(t, dir, film, "pipe:0") {
						t.Errorf("%s sounds in another way than what was sent", use)
					}
				}
			}
		})
	}
}

// TestTheCodecChangesWithinASession: HLS continues with other codec private data, in both containers; DASH and GetClip refuse it, and all
// refuse other tracks.
func TestTheCodecChangesWithinASession(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg", "ffprobe")
	p, dir := newHLS(t, Options{}), t.TempDir()
	large := []string{"-vf", "scale=640:480"}
	put(t, p.Cloud, filmOf(t, dir, "H.264"), foreignStart)
	put(t, p.Cloud, filmMade(t, dir, append(films["H.264"], large...)...), foreignStart.Add(6*time.Second))
	put(t, p.Cloud, filmOf(t, dir, "H.264"), foreignStart.Add(12*time.Second))
	urls, refused := p.played()
	if refused["clip"] != "InvalidCodecPrivateDataException" {
		t.Errorf("GetClip answers %q", refused["clip"])
	}
	media := p.media(urls["HLS"])
	const init = `"(getMP4InitFragment.mp4\?SessionToken=T&TrackNumber=1&SequenceNumber=(\d))"`
	mapping := regexp.MustCompile("(#EXT-X-DISCONTINUITY\n)?#EXT-X-MAP:URI=" + init)
	var marks []string
	for _, m := range mapping.FindAllStringSubmatch(media, -1) {
		marks = append(marks, m[3]+strings.TrimSpace(m[1]))
	}
	if got := strings.Join(marks, " "); got != "0 3#EXT-X-DISCONTINUITY 6#EXT-X-DISCONTINUITY" {
		t.Errorf("the playlist has the initialization fragments %s:\n%s", got, media)
	}
	stored, token := p.Media().Fragments("cam"), sessionToken.FindString(urls["HLS"])
	for i, init := range []string{"0", "0", "0", "3", "3", "3", "6", "6", "6"} {
		_, head, _ := p.get(urls["HLS"], "getMP4InitFragment.mp4?"+token+"&TrackNumber=1&SequenceNumber="+init)
		status, part, _ := p.get(urls["HLS"], "getMP4MediaFragment.mp4?"+token+"&TrackNumber=1&FragmentNumber="+stored[i].Number)
		frames := foreign(t, bytes.NewReader(append(head, part...)), dir, "ffprobe", "-v", "error", "-count_frames", "-show_entries",
			"stream=width,nb_read_frames", "-of", "csv=p=0", "pipe:0")
		want := "320,50"
		if init == "3" {
			want = "640,50"
		}
		if got := strings.TrimSpace(string(frames)); status != 200 || got != want {
			t.Errorf("fragment %d is answered %d, with %s; want %s", i, status, got, want)
		}
	}
	if status, body, _ := p.get(urls["HLS"], "getMP4InitFragment.mp4?"+token+"&TrackNumber=1&SequenceNumber=9"); status != 400 {
		t.Errorf("an initialization fragment of no fragment is answered %d %s", status, body)
	}
	pictures := foreign(t, nil, dir, "ffprobe", "-v", "error", "-show_entries", "frame=width", "-select_streams", "v", "-of", "csv=p=0",
		urls["TS"])
	if n, wide := len(strings.Fields(string(pictures))), strings.Count(string(pictures), "640"); n != 450 || wide != 150 {
		t.Errorf("ffprobe decodes %d pictures in the transport streams, %d of them wide; want 450, 150", n, wide)
	}
	number := func(of, n string) (int, string) {
		status, body, _ := p.get(urls[of], "getMP4MediaFragment.mp4?"+sessionToken.FindString(urls[of])+"&TrackNumber=1&"+n)
		return status, string(body)
	}
	for n, want := range map[string]int{"1": 200, "3": 200, "4": 400, "6": 400, "7": 200} {
		if status, body := number("DASH", "SequenceNumber="+n); status != want || want == 400 && !strings.Contains(body,
			"other codec private data") {
			t.Errorf("fragment %s of DASH is answered %d, want %d", n, status, want)
		}
	}

	put(t, p.Cloud, filmMade(t, dir, append(tone, "-c:a", "aac")...), foreignStart.Add(18*time.Second))
	urls, _ = p.played()
	last := p.Media().Fragments("cam")[9]
	if status, body := number("HLS", "FragmentNumber="+last.Number); status != 400 || !strings.Contains(body, "other tracks") {
		t.Errorf("a fragment with audio behind ones without is answered %d %s", status, body)
	}
}
