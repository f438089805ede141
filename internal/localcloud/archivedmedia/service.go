// Package archivedmedia owns how what was uploaded is played: the operations of archived media that return sessions, and what
// players get in these. It must not know how fragments are stored, nor what signatures are.
// Sources: API reference, Archived Media; developer guide, "Video playback" and "Service quotas"; playlists of the service that
// users published in issues.
package archivedmedia

import (
	"context"
	"crypto/cipher"
	"io"
	"net/http"
	"slices"
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

// Options of a Service; all but AsAWS are required.
type Options struct {
	Store    Store
	Streams  media.StreamLookup
	Now      func() time.Time
	Key      []byte           // 32 bytes that session tokens are sealed with; a service with the same key opens them
	Endpoint func() string    // the URL of the data plane
	Log      *calls.Log       // gets the lines about what a session is refused
	Metadata *callrate.Points // the quota of looking up fragments, which ListFragments has too
	AsAWS    bool             // players have AWS's quotas too, not their callers alone
}

// Service answers the operations of archived media.
type Service struct {
	o      Options
	seal   cipher.AEAD
	quotas quotas
	images chan struct{} // holds what makes images now
}

// New returns a Service.
func New(o Options) (*Service, error) {
	seal, err := newSeal(o.Key)
	if err != nil {
		return nil, err
	}
	return &Service{o: o, seal: seal, images: make(chan struct{}, 1), quotas: quotas{
		metadata: o.Metadata, media: &callrate.Points{N: fragmentMedia, Now: o.Now}, calls: rates{now: o.Now}, sessions: rates{now: o.Now},
	}}, nil
}

// Has reports whether an operation is one of this package.
func Has(operation string) bool { return answers[operation].do != nil }

// Call does an operation, whose caller may do it.
func (s *Service) Call(ctx context.Context, operation string, body []byte) ([]byte, error) {
	return answers[operation].do(s, ctx, body)
}

// stream finds the stream of a request, which must retain media where the operation says so, and counts the call.
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
	case info.RetentionHours == 0 && o.Declares(kvsmodel.NoDataRetention):
		return info, awsapi.Errorf(http.StatusBadRequest, kvsmodel.NoDataRetention, "the stream",
			"The stream %s does not retain data: its DataRetentionInHours is 0.", info.Name)
	}
	return info, s.quotas.admit(o, info)
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
