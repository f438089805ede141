package archivedmedia

import (
	"bytes"
	"cmp"
	"context"
	"net/http"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia/playable"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
)

// What a clip holds at most (Service quotas, GetClip). No page says what AWS answers above: the stand-in refuses.
const (
	clipFragments = 200
	clipBytes     = 100_000_000
)

// clipRequest is the body of GetClip (API reference).
type clipRequest struct {
	StreamName, StreamARN string
	ClipFragmentSelector  struct {
		FragmentSelectorType string
		TimestampRange       *timestampRange
	}
}

// getClip returns a file of MP4.
func (s *Service) getClip(body []byte) ([]byte, error) {
	var in clipRequest
	operation := kvsmodel.GetClip
	if err := operation.Decode(body, &in); err != nil {
		return nil, err
	}
	now := s.o.Now()
	of := session{Mode: modeOnDemand, By: in.ClipFragmentSelector.FragmentSelectorType}
	if err := of.setRange(in.ClipFragmentSelector.TimestampRange, "member ClipFragmentSelector.TimestampRange", now); err != nil {
		return nil, err
	}
	info, err := s.stream(operation, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	stored := s.retained(info, now)
	if err := of.begin(stored, now); err != nil {
		return nil, err
	}
	list := of.archived(stored)
	if err := list.fitsClip(); err != nil {
		return nil, err
	}
	if err := cmp.Or(s.quotas.lookUp(info.Name, len(list)), s.quotas.read(info.Name, len(list))); err != nil {
		return nil, err
	}
	tracks, err := s.tracks(stored, of.First)
	if err != nil {
		return nil, err
	}
	if err := tracks.PlayedBy(playable.ByClip); err != nil {
		return nil, err
	}
	files := s.o.Store.Reader()
	defer files.Close()
	return s.clip(of, list, tracks, files)
}

// fitsClip checks the limits of clips.
func (l selection) fitsClip() error {
	total := int64(0)
	for _, f := range l {
		total += f.Bytes
	}
	const where = "member ClipFragmentSelector.TimestampRange"
	switch {
	case len(l) > clipFragments:
		return invalid(where, "the range has %d fragments; a clip has at most %d", len(l), clipFragments)
	case total > clipBytes:
		return invalid(where, "the fragments of the range have %d bytes; a clip has at most %d", total, clipBytes)
	}
	return nil
}

// clip makes the file of a selection.
func (s *Service) clip(of session, list selection, tracks playable.Tracks, files *archive.Reader) ([]byte, error) {
	clip := playable.NewClip(tracks)
	lengths := list.lengths()
	for i, f := range list {
		if err := files.Open(f); err != nil {
			return nil, err
		}
		if here, err := playable.TracksOf(files.Header()); err != nil {
			return nil, err
		} else if !here.Same(tracks) {
			return nil, awsapi.Errorf(http.StatusBadRequest, kvsmodel.InvalidCodecPrivate, "the media",
				"The fragment %s has other tracks or other codec private data than the first fragment of the clip.", f.Number)
		}
		if err := clip.Add(files, f, of.at(f).Sub(of.at(list[0])), lengths[i]); err != nil {
			return nil, err
		}
	}
	return clip.File()
}

// listRequest is the body of GetMediaForFragmentList (API reference).
type listRequest struct {
	StreamName, StreamARN string
	Fragments             []string
}

// notFound is the code of a fragment that is not there (API reference, GetMedia).
const notFound = "4000"

// getMediaForFragmentList returns the fragments of a list, each complete in itself. Where one is not there, tags say so, and the
// media ends.
func (s *Service) getMediaForFragmentList(body []byte) ([]byte, error) {
	var in listRequest
	operation := kvsmodel.GetMediaForFragmentList
	if err := operation.Decode(body, &in); err != nil {
		return nil, err
	}
	info, err := s.stream(operation, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if err := s.quotas.read(info.Name, len(in.Fragments)); err != nil {
		return nil, err
	}
	stored := map[string]Fragment{}
	for _, f := range s.retained(info, s.o.Now()) {
		stored[f.Number] = f
	}
	files := s.o.Store.Reader()
	defer files.Close()
	var out bytes.Buffer
	for _, number := range in.Fragments {
		f, found := stored[number]
		if !found {
			out.Write(archive.AppendTags(nil, "AWS_KINESISVIDEO_FRAGMENT_NUMBER", number,
				"AWS_KINESISVIDEO_EXCEPTION_ERROR_CODE", notFound, "AWS_KINESISVIDEO_EXCEPTION_MESSAGE", "The requested fragment is not found."))
			break
		}
		if err := s.o.Store.WriteFragment(&out, files, f); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// answers are the operations, with the types of their answers.
var answers = map[string]struct {
	kind string
	do   func(*Service, context.Context, []byte) ([]byte, error)
}{
	kvsmodel.GetHLSStreamingSessionURL.Name:  {"", atOnce((*Service).getHLSStreamingSessionURL)},
	kvsmodel.GetDASHStreamingSessionURL.Name: {"", atOnce((*Service).getDASHStreamingSessionURL)},
	kvsmodel.GetClip.Name:                    {typeMP4, atOnce((*Service).getClip)},
	kvsmodel.GetMediaForFragmentList.Name:    {"video/webm", atOnce((*Service).getMediaForFragmentList)},
	kvsmodel.GetImages.Name:                  {"", (*Service).getImages},
}

// atOnce is an operation that waits for nobody.
func atOnce(do func(*Service, []byte) ([]byte, error)) func(*Service, context.Context, []byte) ([]byte, error) {
	return func(s *Service, _ context.Context, body []byte) ([]byte, error) { return do(s, body) }
}

// ProtocolOf is how an operation answers: with JSON or with media.
func ProtocolOf(operation string) awsapi.Protocol {
	json := awsapi.REST
	return awsapi.Protocol{ContentType: cmp.Or(answers[operation].kind, json.ContentType),
		Refuse: func(h http.Header, e *awsapi.Error, id string) []byte {
			h.Set("Content-Type", json.ContentType)
			return json.Refuse(h, e, id)
		}}
}
