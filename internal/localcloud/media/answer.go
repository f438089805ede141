package media

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
)

// sendMedia writes the stream's fragments from where the request starts, and continues as they arrive.
func (s *Service) sendMedia(
	ctx context.Context, w http.ResponseWriter, rc *http.ResponseController, st *streamState, request getMediaRequest,
) error {
	files := s.archive.Reader()
	defer files.Close()
	st.mu.Lock()
	at := request.first(st.fragments)
	st.mu.Unlock()
	idle := time.NewTimer(s.o.Limits.GetMediaIdle)
	defer idle.Stop()
	for {
		st.mu.Lock()
		list, changed, live := st.fragments, st.changed, st.session != nil
		st.mu.Unlock()
		if at < len(list) {
			if err := s.sendFragment(w, files, list[at]); err != nil {
				return err
			}
			at++
			if err := rc.Flush(); err != nil {
				return err
			}
			idle.Reset(s.o.Limits.GetMediaIdle)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-idle.C:
			if !live {
				return nil
			}
			idle.Reset(s.o.Limits.GetMediaIdle)
		}
	}
}

// sendFragment writes a fragment, and the Tags with the place in the stream.
func (s *Service) sendFragment(w io.Writer, files *archive.Reader, f Fragment) error {
	if err := s.WriteFragment(w, files, f); err != nil {
		return err
	}
	behind := max(0, s.o.Now().Sub(f.Server).Milliseconds())
	_, err := w.Write(archive.AppendTags(nil,
		"AWS_KINESISVIDEO_MILLIS_BEHIND_NOW", strconv.FormatInt(behind, 10),
		"AWS_KINESISVIDEO_CONTINUATION_TOKEN", f.Number,
	))
	return err
}

// WriteFragment writes a fragment as KVS does: the head of its producer's session, the Tags that
// say which fragment it is, the Cluster and what the producer sent behind it, both byte by byte.
func (s *Service) WriteFragment(w io.Writer, files *archive.Reader, f Fragment) error {
	if err := files.Open(f); err != nil {
		return err
	}
	head, tail := []byte(nil), f.Tail
	if f.Head == "" { // of a version that kept neither the head nor the tags as they were sent
		head = archive.AppendHeader(nil, f.Stream, files.Header())
		tail = appendProducerTags(nil, f.Tags)
	} else if kept, err := s.archive.Head(f.Head); err != nil {
		return err
	} else {
		head = kept
	}
	head = archive.AppendTags(head,
		"AWS_KINESISVIDEO_FRAGMENT_NUMBER", f.Number,
		"AWS_KINESISVIDEO_SERVER_TIMESTAMP", seconds(f.Server),
		"AWS_KINESISVIDEO_PRODUCER_TIMESTAMP", seconds(f.Producer),
	)
	head = append(append(head, f.Lead...), f.ClusterHead...)
	if _, err := w.Write(head); err != nil {
		return err
	}
	if _, err := io.Copy(w, files.ClusterAsSent(f)); err != nil {
		return err
	}
	_, err := w.Write(tail)
	return err
}

// appendProducerTags writes tags whose element was not kept.
func appendProducerTags(b []byte, tags []Tag) []byte {
	if len(tags) == 0 {
		return b
	}
	var pairs []string
	for _, t := range tags {
		pairs = append(pairs, t.Name, t.Value)
	}
	return archive.AppendTags(b, pairs...)
}

// seconds is a time as the tags have it: seconds since 1970 with milliseconds.
func seconds(t time.Time) string {
	ms := t.UnixMilli()
	return fmt.Sprintf("%d.%03d", ms/1000, ms%1000)
}
