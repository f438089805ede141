package media

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"
)

// reader is one GetMedia connection.
type reader struct {
	cancel context.CancelCauseFunc
}

// getMediaRequest is the body of GetMedia (API reference).
type getMediaRequest struct {
	StreamName    string
	StreamARN     string
	StartSelector struct {
		StartSelectorType   string
		AfterFragmentNumber string
		StartTimestamp      *timestamp
		ContinuationToken   string
	}
}

// timestamp is seconds since 1970 as a number, as SDKs send it, or a text of RFC 3339.
type timestamp struct{ time.Time }

func (t *timestamp) UnmarshalJSON(b []byte) error {
	var seconds float64
	if err := json.Unmarshal(b, &seconds); err == nil {
		t.Time = time.UnixMilli(int64(seconds*1000 + 0.5))
		return nil
	}
	return json.Unmarshal(b, &t.Time)
}

// getMedia answers with one Matroska stream: a header, then per fragment the Tags of KVS, its Cluster
// as it was stored, and its own Tags behind it, where the producer had them. A new codec configuration
// begins with an EBML head of its own, as in KVS. The answer follows the stream; it ends when the
// client goes, or when there was nothing new for a while and no producer is connected.
func (s *Service) getMedia(w http.ResponseWriter, r *http.Request) {
	st, request, err := s.admitReader(r)
	if err != nil {
		refuse(w, err)
		return
	}
	if s.faults.isDown(st.name) {
		reset(w)
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(errClosed) })()
	me := &reader{cancel: cancel}
	st.mu.Lock()
	full := len(st.readers) >= s.o.Limits.GetMediaConnections
	if !full {
		st.readers[me] = struct{}{}
	}
	st.mu.Unlock()
	if full {
		refuse(w, &HTTPError{
			Status: http.StatusBadRequest, Name: ConnectionLimitExceeded,
			Message: fmt.Sprintf("more than %d GetMedia connections for this stream", s.o.Limits.GetMediaConnections),
		})
		return
	}
	defer func() {
		st.mu.Lock()
		delete(st.readers, me)
		st.mu.Unlock()
	}()
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Time{})
	w.Header().Set("Content-Type", "video/webm")
	w.WriteHeader(http.StatusOK)
	if err := rc.Flush(); err != nil {
		return
	}
	err = s.sendMedia(ctx, w, rc, st, request)
	if cause := context.Cause(ctx); cause == errCut || cause == errClosed {
		reset(w)
		return
	}
	if err != nil {
		s.log.Info("GetMedia ended", zap.String("stream", st.name), zap.Error(err))
	}
}

func (s *Service) admitReader(r *http.Request) (*streamState, getMediaRequest, error) {
	var request getMediaRequest
	if s.o.Verify != nil {
		if err := s.o.Verify(r); err != nil {
			return nil, request, err
		}
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&request); err != nil {
		return nil, request, badRequest("the request is not the JSON of GetMedia: %v", err)
	}
	// The body is read to its end so that the server notices when the client goes.
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 64<<10))
	if (request.StreamName == "") == (request.StreamARN == "") {
		return nil, request, badRequest("exactly one of StreamName and StreamARN must be given")
	}
	info, ok := s.o.Streams.Stream(cmp.Or(request.StreamARN, request.StreamName))
	if !ok {
		return nil, request, &HTTPError{
			Status: http.StatusNotFound, Name: ResourceNotFound,
			Message: "the stream " + cmp.Or(request.StreamARN, request.StreamName) + " does not exist in this account and region",
		}
	}
	selector := request.StartSelector
	missing := ""
	switch selector.StartSelectorType {
	case "NOW", "EARLIEST":
	case "FRAGMENT_NUMBER":
		if !decimal(selector.AfterFragmentNumber) {
			missing = "AfterFragmentNumber"
		}
	case "CONTINUATION_TOKEN":
		if !decimal(selector.ContinuationToken) {
			missing = "ContinuationToken"
		}
	case "PRODUCER_TIMESTAMP", "SERVER_TIMESTAMP":
		if selector.StartTimestamp == nil {
			missing = "StartTimestamp"
		}
	default:
		return nil, request, badRequest("StartSelectorType is %q; it must be NOW, EARLIEST, FRAGMENT_NUMBER, PRODUCER_TIMESTAMP, SERVER_TIMESTAMP or CONTINUATION_TOKEN", selector.StartSelectorType)
	}
	if missing != "" {
		return nil, request, badRequest("StartSelectorType %s needs a valid %s", selector.StartSelectorType, missing)
	}
	st := s.stream(info.Name)
	if !st.gets.admit() {
		return nil, request, &HTTPError{
			Status: http.StatusBadRequest, Name: ClientLimitExceeded,
			Message: fmt.Sprintf("more than %d GetMedia requests per second for this stream", st.gets.n),
		}
	}
	return st, request, nil
}

func decimal(text string) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return text != "" && len(text) <= 128
}

// first finds where the answer begins in the list of fragments.
func (q getMediaRequest) first(list []Fragment) int {
	selector := q.StartSelector
	want := func(Fragment) bool { return true }
	switch selector.StartSelectorType {
	case "NOW":
		return max(0, len(list)-1)
	case "FRAGMENT_NUMBER":
		want = func(f Fragment) bool { return compareDecimal(f.Number, selector.AfterFragmentNumber) > 0 }
	case "CONTINUATION_TOKEN":
		want = func(f Fragment) bool { return compareDecimal(f.Number, selector.ContinuationToken) > 0 }
	case "PRODUCER_TIMESTAMP":
		want = func(f Fragment) bool { return !f.Producer.Add(f.Duration).Before(selector.StartTimestamp.Time) }
	case "SERVER_TIMESTAMP":
		want = func(f Fragment) bool { return !f.Server.Add(f.Duration).Before(selector.StartTimestamp.Time) }
	}
	for i, f := range list {
		if want(f) {
			return i
		}
	}
	return len(list)
}

// compareDecimal compares two decimal numbers without leading zeros.
func compareDecimal(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

func (s *Service) sendMedia(ctx context.Context, w http.ResponseWriter, rc *http.ResponseController, st *streamState, request getMediaRequest) error {
	files := mediaFiles{dir: s.o.Dir}
	defer files.close()
	st.mu.Lock()
	at := request.first(st.fragments)
	st.mu.Unlock()
	idle := time.NewTimer(s.o.Limits.GetMediaIdle)
	defer idle.Stop()
	sent, given := "", 0 // the fragment sent last, and how many of its tags
	for {
		st.mu.Lock()
		list, tags, changed, live := st.fragments, st.tags[sent], st.changed, st.session != nil
		st.mu.Unlock()
		if given < len(tags) || at < len(list) {
			var err error
			if given < len(tags) {
				err = sendTags(w, tags[given:])
				given = len(tags)
			} else {
				err = s.sendFragment(w, &files, st.name, list, at)
				sent, given = list[at].Number, 0
				at++
			}
			if err != nil {
				return err
			}
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

func (s *Service) sendFragment(w io.Writer, files *mediaFiles, stream string, list []Fragment, at int) error {
	f := list[at]
	changed, err := files.open(f)
	if err != nil {
		return err
	}
	var head []byte
	if changed {
		head = appendHeader(head, stream, files.header)
	}
	behind := list[len(list)-1].Server.Sub(f.Server)
	head = appendTags(head,
		"AWS_KINESISVIDEO_FRAGMENT_NUMBER", f.Number,
		"AWS_KINESISVIDEO_SERVER_TIMESTAMP", seconds(f.Server),
		"AWS_KINESISVIDEO_PRODUCER_TIMESTAMP", seconds(f.Producer),
		"AWS_KINESISVIDEO_MILLIS_BEHIND_NOW", strconv.FormatInt(behind.Milliseconds(), 10),
		"AWS_KINESISVIDEO_CONTINUATION_TOKEN", f.Number,
	)
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err = io.Copy(w, files.cluster(f))
	return err
}

func sendTags(w io.Writer, tags []Tag) error {
	var pairs []string
	for _, t := range tags {
		pairs = append(pairs, t.Name, t.Value)
	}
	_, err := w.Write(appendTags(nil, pairs...))
	return err
}

// seconds is a time as the tags have it: seconds since 1970 with milliseconds.
func seconds(t time.Time) string {
	ms := t.UnixMilli()
	return fmt.Sprintf("%d.%03d", ms/1000, ms%1000)
}
