package archivedmedia

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia/playable"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia/still"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
)

// imagesRequest is the body of GetImages (API reference).
type imagesRequest struct {
	StreamName, StreamARN        string
	ImageSelectorType            string
	StartTimestamp, EndTimestamp awsapi.Epoch
	SamplingInterval             int // ms
	Format                       string
	FormatConfig                 map[string]string
	WidthPixels, HeightPixels    int
	MaxResults                   int
	NextToken                    string
}

// The limits of GetImages (API reference; Service quotas).
const (
	mostImages       = 25
	imageRange       = 300 * time.Second
	leastInterval    = 200
	longestImage     = 6_291_456   // characters in base64
	mostOfImages     = 100_000_000 // bytes of an answer
	imagesMetadata   = 400         // points of the fragment-metadata quota, beside the number of images
	defaultQuality   = 80
	formatPNG        = "PNG"
	keyJPEGQuality   = "JPEGQuality"
	noMedia          = "NO_MEDIA"
	mediaError       = "MEDIA_ERROR"
	validationFailed = "ValidationException"
)

// image is one of the answer: its content or why there is none.
type image struct {
	TimeStamp    awsapi.Epoch
	Error        string `json:",omitempty"`
	ImageContent string `json:",omitempty"`
}

type imagesAnswer struct {
	Images    []image
	NextToken string `json:",omitempty"`
}

// form checks what the model does not say, and returns how the images are to be.
func (in imagesRequest) form() (form still.Form, err error) {
	form = still.Form{PNG: in.Format == formatPNG, Quality: defaultQuality, Width: in.WidthPixels, Height: in.HeightPixels}
	length := in.EndTimestamp.Sub(in.StartTimestamp.Time)
	if text, given := in.FormatConfig[keyJPEGQuality]; given {
		if form.Quality, err = strconv.Atoi(text); err != nil || form.Quality < 1 || form.Quality > 100 {
			return form, invalid("member FormatConfig", "JPEGQuality must be a whole number from 1 to 100")
		}
	}
	switch {
	case length < 0:
		return form, invalid("member EndTimestamp", "EndTimestamp must not be before StartTimestamp")
	case length > imageRange:
		return form, invalid("member EndTimestamp", "EndTimestamp must be within 300 seconds of StartTimestamp")
	case in.SamplingInterval < leastInterval:
		return form, invalid("member SamplingInterval", "SamplingInterval must be at least %d ms", leastInterval)
	case (in.WidthPixels == 0) != (in.HeightPixels == 0):
		return form, awsapi.Errorf(http.StatusBadRequest, validationFailed, "member WidthPixels",
			"WidthPixels and HeightPixels go together: both or not at all")
	}
	return form, nil
}

// getImages returns a picture of each sampling interval of a range.
func (s *Service) getImages(ctx context.Context, body []byte) ([]byte, error) {
	var in imagesRequest
	operation := kvsmodel.GetImages
	if err := operation.Decode(body, &in); err != nil {
		return nil, err
	}
	form, err := in.form()
	if err != nil {
		return nil, err
	}
	info, err := s.stream(operation, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	first, err := s.firstImage(in, info.ARN)
	if err != nil {
		return nil, err
	}
	program, err := still.Program()
	if err != nil {
		return nil, awsapi.Errorf(http.StatusNotImplemented, "UnsupportedOperationException", "this machine",
			"localcloud makes images with ffmpeg, which is not installed here.")
	}
	page := min(cmp.Or(in.MaxResults, mostImages), mostImages)
	if err := cmp.Or(s.quotas.lookUp(info.Name, imagesMetadata+page), s.quotas.read(info.Name, page)); err != nil {
		return nil, err
	}
	select { // one request at a time: decoding takes all of a small machine
	case s.images <- struct{}{}:
		defer func() { <-s.images }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w := newImager(in, s.retained(info, s.o.Now()), s.o.Store.Reader())
	defer w.files.Close()
	w.program, w.form = program, form
	return s.imagePage(ctx, w, in, info.ARN, first, page)
}

// imagePage makes the images of a page, and the token of the next one.
func (s *Service) imagePage(ctx context.Context, w *imager, in imagesRequest, arn string, first, page int) ([]byte, error) {
	interval := time.Duration(in.SamplingInterval) * time.Millisecond
	total := int(in.EndTimestamp.Sub(in.StartTimestamp.Time)/interval) + 1
	answer, size := imagesAnswer{Images: []image{}}, 0
	n := first
	for ; n < min(total, first+page); n++ {
		at := in.StartTimestamp.Add(time.Duration(n) * interval)
		one := image{TimeStamp: awsapi.EpochOf(at)}
		var err error
		if one.ImageContent, one.Error, err = w.at(ctx, at); err != nil {
			return nil, awsapi.Errorf(http.StatusInternalServerError, "InternalFailure", "this machine", "An image is not made: %s.", err)
		}
		if size += len(one.ImageContent); size > mostOfImages && n > first {
			break
		}
		answer.Images = append(answer.Images, one)
	}
	if n < total {
		answer.NextToken = s.imageToken(in, arn, n)
	}
	return json.Marshal(answer)
}

// imageList says which images a token continues.
type imageList struct {
	Of   [sha256.Size]byte `json:"of"`
	Next int               `json:"n"`
}

func (in imagesRequest) of(arn string) [sha256.Size]byte {
	return sha256.Sum256([]byte(fmt.Sprint(arn, in.ImageSelectorType, in.StartTimestamp.UnixMilli(), in.EndTimestamp.UnixMilli(),
		in.SamplingInterval, in.Format, in.FormatConfig, in.WidthPixels, in.HeightPixels)))
}

func (s *Service) imageToken(in imagesRequest, arn string, next int) string {
	return base64.StdEncoding.EncodeToString(s.sealed(imageList{in.of(arn), next}))
}

// firstImage is the index of the first image of a page.
func (s *Service) firstImage(in imagesRequest, arn string) (int, error) {
	if in.NextToken == "" {
		return 0, nil
	}
	var list imageList
	sealed, err := base64.StdEncoding.DecodeString(in.NextToken)
	if err != nil || !s.unseal(sealed, &list) || list.Of != in.of(arn) {
		return 0, invalid("member NextToken", "NextToken is not one that an earlier answer to this request returned")
	}
	return list.Next, nil
}

// imager makes images of the fragments of a stream.
type imager struct {
	of      session // by which timestamps
	list    selection
	lengths []time.Duration
	files   *archive.Reader
	program string
	form    still.Form
}

func newImager(in imagesRequest, stored []Fragment, files *archive.Reader) *imager {
	w := &imager{files: files, of: session{Mode: modeOnDemand, By: in.ImageSelectorType,
		Start: in.StartTimestamp.Add(-2 * longestFragment).UnixMilli(), End: in.EndTimestamp.UnixMilli()}}
	if n := len(stored); n > 0 {
		w.of.Last = stored[n-1].Number
		w.list = w.of.archived(stored)
	}
	w.lengths = w.list.lengths()
	return w
}

// at makes the image that is shown at a time, in base64, or says why there is none. An error is not one of the media.
func (w *imager) at(ctx context.Context, at time.Time) (content, why string, err error) {
	i, _ := slices.BinarySearchFunc(w.list, at, func(f Fragment, at time.Time) int {
		return cmp.Or(w.of.at(f).Compare(at), -1) // behind those that begin at the time
	})
	if i--; i < 0 || at.Sub(w.of.at(w.list[i])) >= w.lengths[i] {
		return "", noMedia, nil
	}
	data, err := w.picture(ctx, w.list[i], at.Sub(w.of.at(w.list[i])), w.lengths[i])
	var unread *fs.PathError
	if errors.Is(err, still.ErrMachine) || errors.As(err, &unread) {
		return "", "", err
	}
	if content = base64.StdEncoding.EncodeToString(data); err != nil || len(content) > longestImage {
		return "", mediaError, nil
	}
	return content, "", nil
}

// picture makes the image that a fragment shows some time after its start.
func (w *imager) picture(ctx context.Context, f Fragment, after, length time.Duration) ([]byte, error) {
	if err := w.files.Open(f); err != nil {
		return nil, err
	}
	tracks, err := playable.TracksOf(w.files.Header())
	if err != nil {
		return nil, err
	}
	track := &tracks[0]
	if !track.Video {
		return nil, errors.New("the first track is not video")
	}
	samples, err := track.Samples(w.files, f)
	if err != nil {
		return nil, err
	}
	shown := 0
	for _, s := range samples {
		if s.PTS <= after {
			shown++
		}
	}
	head, err := track.Init()
	if err != nil {
		return nil, err
	}
	part, err := track.Part(samples, 1, 0, length)
	if err != nil {
		return nil, err
	}
	return still.Make(ctx, w.program, append(head, part...), max(0, shown-1), w.form)
}
