// Package archivedmedia owns how what was uploaded is played: the operations of archived media that return sessions, and what
// players get in these. It must not know how fragments are stored, nor what signatures are.
// Sources: API reference, Archived Media; developer guide, "Video playback" and "Service quotas"; playlists of the service that
// users published in issues.
package archivedmedia

import (
	"crypto/cipher"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/callrate"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/calls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// Fragment is a stored fragment.
type Fragment = archive.Fragment

// Store has the fragments.
type Store interface {
	// Fragments lists what was stored of a stream, in the order of arrival.
	Fragments(stream string) []Fragment
	Reader() *archive.Reader
	// WriteFragment writes a fragment complete in itself: with the head of its producer.
	WriteFragment(io.Writer, *archive.Reader, Fragment) error
}

// Options of a Service; all are required.
type Options struct {
	Store    Store
	Streams  media.StreamLookup
	Now      func() time.Time
	Key      []byte        // 32 bytes that session tokens are sealed with; a service with the same key opens them
	Endpoint func() string // the URL of the data plane
	Log      *calls.Log    // gets the lines about what a session is refused
}

// Service answers the operations of archived media.
type Service struct {
	o    Options
	seal cipher.AEAD

	mu    sync.Mutex
	rates map[string]*callrate.Rate // by operation and stream
}

// New returns a Service.
func New(o Options) (*Service, error) {
	seal, err := newSeal(o.Key)
	if err != nil {
		return nil, err
	}
	return &Service{o: o, seal: seal, rates: map[string]*callrate.Rate{}}, nil
}

// perSecond is how many calls a second one stream takes (quotas, archived media).
var perSecond = map[string]int{
	kvsmodel.GetHLSStreamingSessionURL.Name: 25, kvsmodel.GetDASHStreamingSessionURL.Name: 25,
	kvsmodel.GetClip.Name: 5, kvsmodel.GetMediaForFragmentList.Name: 5,
}

// Has reports whether an operation is one of this package.
func Has(operation string) bool { return answers[operation].do != nil }

// Call does an operation, whose caller may do it.
func (s *Service) Call(operation string, body []byte) ([]byte, error) {
	return answers[operation].do(s, body)
}

// stream finds the stream of a request, which must retain media, and counts the call.
func (s *Service) stream(o *kvsmodel.Operation, name, arn string) (media.StreamInfo, error) {
	of, member := name, "member StreamName"
	if arn != "" {
		of, member = arn, "member StreamARN"
	}
	info, found := s.o.Streams.Stream(of)
	switch {
	case !found:
		return info, awsapi.Errorf(http.StatusNotFound, kvsmodel.ResourceNotFound, member,
			"The requested stream %s is not found or not active.", of)
	case !s.rate(o.Name, info.Name).Admit():
		return info, awsapi.Errorf(http.StatusBadRequest, kvsmodel.ClientLimitExceeded, "the stream",
			"more than %d %s requests per second for this stream", perSecond[o.Name], o.Name)
	case info.RetentionHours == 0:
		return info, awsapi.Errorf(http.StatusBadRequest, kvsmodel.NoDataRetention, "the stream",
			"The stream %s does not retain data: its DataRetentionInHours is 0.", info.Name)
	}
	return info, nil
}

func (s *Service) rate(operation, stream string) *callrate.Rate {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := operation + " " + stream
	if s.rates[key] == nil {
		s.rates[key] = &callrate.Rate{N: perSecond[operation]}
	}
	return s.rates[key]
}

// stored lists the fragments of a stream, also those that its retention does not cover any more.
func (s *Service) stored(info media.StreamInfo) []Fragment {
	return slices.DeleteFunc(s.o.Store.Fragments(info.Name), func(f Fragment) bool { return f.Server.Before(info.Created) })
}

// retained lists the fragments of a stream that its retention covers.
func (s *Service) retained(info media.StreamInfo, now time.Time) []Fragment {
	return slices.DeleteFunc(s.stored(info), func(f Fragment) bool { return !info.Retains(f, now) })
}

func invalid(where, format string, args ...any) error {
	return awsapi.Errorf(http.StatusBadRequest, kvsmodel.InvalidArgument, where, format, args...)
}

// noFragments is the answer where there is nothing to play.
func noFragments(where, why string) error {
	return awsapi.Errorf(http.StatusNotFound, kvsmodel.ResourceNotFound, where,
		"No fragments found in the stream for the streaming request: %s.", why)
}
