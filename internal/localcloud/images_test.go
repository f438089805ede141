package localcloud

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	archived "github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// pixelsOf are those of an image, three bytes each.
func pixelsOf(img image.Image) (out []byte) {
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y++ {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x++ {
			r, g, b, _ := img.At(x, y).RGBA()
			out = append(out, byte(r>>8), byte(g>>8), byte(b>>8))
		}
	}
	return out
}

// imagesOf asks for images from a time after the start of the films to another one.
func imagesOf(from, to time.Duration, interval int32) *archived.GetImagesInput {
	start, end := foreignStart.Add(from), foreignStart.Add(to)
	return &archived.GetImagesInput{StreamName: aws.String("cam"), ImageSelectorType: types.ImageSelectorTypeProducerTimestamp,
		StartTimestamp: &start, EndTimestamp: &end, SamplingInterval: &interval, Format: types.FormatPng}
}

// TestImagesShowWhatWasSent compares each pixel of images with the picture that ffmpeg decodes of the film at that time.
func TestImagesShowWhatWasSent(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg")
	for _, name := range []string{"H.264", "H.264 with B-frames", "H.265"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, dir := newHLS(t, Options{}), t.TempDir()
			film := filmOf(t, dir, name)
			put(t, p.Cloud, film, foreignStart)
			put(t, p.Cloud, film, foreignStart.Add(8*time.Second))
			pictures := picturesOf(t, dir, film, "rgb24")
			const size = 320 * 240 * 3
			out, err := p.api.GetImages(t.Context(), imagesOf(-1500*time.Millisecond, 9*time.Second, 1500))
			must(t, err)
			if len(out.Images) != 8 || out.NextToken != nil {
				t.Fatalf("there are %d images", len(out.Images))
			}
			for i, one := range out.Images {
				at := time.Duration(i-1) * 1500 * time.Millisecond
				if !one.TimeStamp.Equal(foreignStart.Add(at)) {
					t.Errorf("image %d is of %s", i, one.TimeStamp)
				}
				if at < 0 || at >= 6*time.Second && at < 8*time.Second {
					if one.Error != types.ImageErrorNoMedia || one.ImageContent != nil {
						t.Errorf("image %d, where nothing was sent, is %q", i, one.Error)
					}
					continue
				}
				if one.Error != "" {
					t.Fatalf("image %d is %s", i, one.Error)
				}
				data, err := base64.StdEncoding.DecodeString(aws.ToString(one.ImageContent))
				must(t, err)
				img, err := png.Decode(bytes.NewReader(data))
				must(t, err)
				shown := int(at%(8*time.Second)) / int(40*time.Millisecond)
				if !bytes.Equal(pixelsOf(img), pictures[shown*size:(shown+1)*size]) {
					t.Errorf("image %d is not picture %d of the film", i, shown)
				}
			}
		})
	}
}

// TestPagesOfImages: pages, server timestamps, form and size.
func TestPagesOfImages(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg")
	p := newHLS(t, Options{})
	put(t, p.Cloud, filmOf(t, t.TempDir(), "H.264"), foreignStart)
	in := imagesOf(0, 4*time.Second, 1000)
	in.Format, in.MaxResults = types.FormatJpeg, aws.Int64(2)
	in.WidthPixels, in.HeightPixels = aws.Int32(160), aws.Int32(90)
	var at []string
	var token string
	for pages := 0; pages == 0 || in.NextToken != nil; pages++ {
		out, err := p.api.GetImages(t.Context(), in)
		must(t, err)
		for _, one := range out.Images {
			data, err := base64.StdEncoding.DecodeString(aws.ToString(one.ImageContent))
			must(t, err)
			img, err := jpeg.Decode(bytes.NewReader(data))
			must(t, err)
			at = append(at, fmt.Sprint(one.TimeStamp.Sub(foreignStart), img.Bounds().Size()))
		}
		if in.NextToken = out.NextToken; in.NextToken != nil {
			token = *in.NextToken
		}
	}
	if want := "0s(160,90) 1s(160,90) 2s(160,90) 3s(160,90) 4s(160,90)"; strings.ReplaceAll(strings.Join(at, " "), "s (", "s(") != want {
		t.Errorf("the pages have %v, want %s", at, want)
	}
	other := imagesOf(0, 4*time.Second, 1001)
	other.NextToken = &token
	_, err := p.api.GetImages(t.Context(), other)
	wantError(t, err, "InvalidArgumentException", 400)

	quality := func(value string) int {
		in := imagesOf(0, 0, 3000)
		in.Format, in.FormatConfig = types.FormatJpeg, map[string]string{"JPEGQuality": value}
		out, err := p.api.GetImages(t.Context(), in)
		must(t, err)
		return len(aws.ToString(out.Images[0].ImageContent))
	}
	if worst, best := quality("1"), quality("100"); worst*2 > best {
		t.Errorf("images of quality 1 have %d characters, those of 100 %d", worst, best)
	}

	first := p.Media().Fragments("cam")[0].Server
	byServer := imagesOf(0, 0, 3000)
	byServer.ImageSelectorType, byServer.StartTimestamp, byServer.EndTimestamp = types.ImageSelectorTypeServerTimestamp, &first, &first
	out, err := p.api.GetImages(t.Context(), byServer)
	must(t, err)
	if len(out.Images) != 1 || out.Images[0].ImageContent == nil {
		t.Errorf("by server timestamps there are %d images, the first of them with %s", len(out.Images), out.Images[0].Error)
	}
	many, err := p.api.GetImages(t.Context(), imagesOf(10*time.Minute, 15*time.Minute, 200))
	must(t, err)
	if len(many.Images) != 25 || many.NextToken == nil {
		t.Errorf("a page has %d images, want 25 and a further page", len(many.Images))
	}
}

// TestWhatGetImagesRefuses asks with Debian's boto3 and AWS CLI, and with the SDK for what these have no members for.
func TestWhatGetImagesRefuses(t *testing.T) {
	t.Parallel()
	needBoto3(t)
	testtools.Need(t, "curl", "ffmpeg")
	c := start(t, Options{StreamDelay: -1, Strictness: media.AsStored})
	dir := t.TempDir()
	broken := brokenFilms(t, dir)
	tone := []string{"-f", "lavfi", "-i", "sine=frequency=440:duration=6", "-map", "1:a", "-c:a", "aac", "-cluster_time_limit", "2000"}
	films := map[string][]byte{"cam": filmOf(t, dir, "H.264"), "audio": filmMade(t, dir, tone...), "frame-broken": broken["frame-broken"],
		"private-broken": broken["private-broken"]}
	for name, film := range films {
		_, err := c.CreateStream(name, 24)
		must(t, err)
		putTo(t, c, name, film, foreignStart)
	}
	_, err := c.CreateStream("fleeting", 0)
	must(t, err)
	body := func(stream string, edits ...any) map[string]any {
		b := map[string]any{"StreamName": stream, "ImageSelectorType": "PRODUCER_TIMESTAMP", "StartTimestamp": foreignStart.Unix() + 1,
			"EndTimestamp": foreignStart.Unix() + 2, "SamplingInterval": 3000, "Format": "JPEG"}
		for i := 0; i < len(edits); i += 2 {
			b[edits[i].(string)] = edits[i+1]
		}
		return b
	}
	const argument = "InvalidArgumentException"
	var requests []*sent
	for _, row := range []struct {
		body       map[string]any
		code, says string
	}{
		{body("cam"), "", ""},
		{body("none"), "ResourceNotFoundException", "none is not found"},
		{body("fleeting"), "NoDataRetentionException", "does not retain data"},
		{body("cam", "EndTimestamp", foreignStart.Unix()), argument, "must not be before"},
		{body("cam", "EndTimestamp", foreignStart.Unix()+302), argument, "within 300 seconds"},
		{body("cam", "SamplingInterval", 199), argument, "at least 200 ms"},
		{body("cam", "WidthPixels", 100), "ValidationException", "both or not at all"},
		{body("cam", "HeightPixels", 100), "ValidationException", "both or not at all"},
		{body("cam", "FormatConfig", map[string]any{"JPEGQuality": "101"}), argument, "from 1 to 100"},
		{body("cam", "FormatConfig", map[string]any{"JPEGQuality": "x"}), argument, "from 1 to 100"},
		{body("cam", "NextToken", "AAAA"), argument, "NextToken is not one"},
		{body("cam", "MaxResults", 101), argument, "less than or equal to 100"},
	} {
		requests = append(requests, &sent{row: &modelRow{Operation: "GetImages", WantError: row.code, WantText: row.says}, body: row.body,
			bad: true})
	}
	for _, client := range []string{"boto3", "cli"} {
		runPython(t, c, client, requests)
		for _, s := range requests {
			if a := s.answer; a.Unsent != "" || a.Code != s.row.WantError || !strings.Contains(a.Message, s.row.WantText) {
				t.Errorf("%v by %s is answered with %s%s %s, want %s %s", s.body, client, a.Unsent, a.Code, a.Message, s.row.WantError,
					s.row.WantText)
			}
		}
	}
	for stream, want := range map[string]string{"audio": "MEDIA_ERROR", "frame-broken": "MEDIA_ERROR", "private-broken": "MEDIA_ERROR",
		"cam": ""} {
		text, err := json.Marshal(body(stream, "StartTimestamp", foreignStart.Unix()+1))
		must(t, err)
		response := post(t, c, "/getImages", text)
		var out struct {
			Images []struct {
				TimeStamp           float64
				Error, ImageContent string
			}
		}
		must(t, json.NewDecoder(response.Body).Decode(&out))
		must(t, response.Body.Close())
		if len(out.Images) != 1 || out.Images[0].Error != want || (out.Images[0].ImageContent == "") != (want != "") {
			t.Errorf("the images of %s are %.300v, want %q", stream, out, want)
		}
	}
}

// TestImagesWithoutFFmpeg says what is missing.
func TestImagesWithoutFFmpeg(t *testing.T) {
	testtools.Need(t, "curl", "ffmpeg")
	p := newHLS(t, Options{})
	put(t, p.Cloud, filmOf(t, t.TempDir(), "H.264"), foreignStart)
	t.Setenv("PATH", t.TempDir())
	_, err := p.api.GetImages(t.Context(), imagesOf(0, time.Second, 3000))
	wantError(t, err, "UnsupportedOperationException", 501)
	if err == nil || !strings.Contains(err.Error(), "ffmpeg, which is not installed") {
		t.Errorf("without ffmpeg the answer is %v", err)
	}
}
