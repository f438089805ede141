package media

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/logevent"
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

	created time.Time // of the stream
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

// getMedia answers with the stream's fragments, each complete in itself; see sendFragment. The answer
// follows the stream; it ends when the client goes, or when there was nothing new for a while and no
// producer is connected.
func (s *Service) getMedia(w http.ResponseWriter, r *http.Request) {
	st, request, err := s.admitReader(r)
	if err != nil {
		s.refuse(w, r, opGetMedia, request.stream(), err)
		return
	}
	if s.faults.isDown(st.name) {
		s.refuseByReset(w, r, opGetMedia, st.name, "while the stream is down")
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
		s.refuse(w, r, opGetMedia, st.name, &awsapi.Error{
			Status: http.StatusBadRequest, Name: ConnectionLimitExceeded, Where: "the stream",
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
		logevent.GetMediaInterrupted.Log(s.log, zap.String("stream", st.name), zap.Error(err))
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
		return nil, request, badRequest("body", "the request is not the JSON of GetMedia: %v", err)
	}
	// The body is read to its end so that the server notices when the client goes.
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 64<<10))
	if (request.StreamName == "") == (request.StreamARN == "") {
		return nil, request, badRequest("member StreamName", "exactly one of StreamName and StreamARN must be given")
	}
	info, ok := s.o.Streams.Stream(request.stream())
	if !ok {
		member := "StreamName"
		if request.StreamARN != "" {
			member = "StreamARN"
		}
		return nil, request, &awsapi.Error{
			Status: http.StatusNotFound, Name: ResourceNotFound, Where: "member " + member,
			Message: "the stream " + request.stream() + " does not exist in this account and region",
		}
	}
	if err := request.checkSelector(); err != nil {
		return nil, request, err
	}
	request.created = info.Created
	st := s.stream(info.Name)
	if !st.gets.Admit() {
		return nil, request, &awsapi.Error{
			Status: http.StatusBadRequest, Name: ClientLimitExceeded, Where: "the stream",
			Message: fmt.Sprintf("more than %d GetMedia requests per second for this stream", st.gets.N),
		}
	}
	return st, request, nil
}

// stream is the name or ARN in the request.
func (q getMediaRequest) stream() string { return cmp.Or(q.StreamARN, q.StreamName) }

// checkSelector checks that the start is one, and has the member that it needs.
func (q getMediaRequest) checkSelector() error {
	const selector = "member StartSelector."
	missing := ""
	switch start := q.StartSelector; start.StartSelectorType {
	case "NOW", "EARLIEST":
	case "FRAGMENT_NUMBER":
		if !decimal(start.AfterFragmentNumber) {
			missing = "AfterFragmentNumber"
		}
	case "CONTINUATION_TOKEN":
		if !decimal(start.ContinuationToken) {
			missing = "ContinuationToken"
		}
	case "PRODUCER_TIMESTAMP", "SERVER_TIMESTAMP":
		if start.StartTimestamp == nil {
			missing = "StartTimestamp"
		}
	default:
		return badRequest(selector+"StartSelectorType", "StartSelectorType is %q; it must be NOW, EARLIEST, FRAGMENT_NUMBER, "+
			"PRODUCER_TIMESTAMP, SERVER_TIMESTAMP or CONTINUATION_TOKEN", start.StartSelectorType)
	}
	if missing != "" {
		return badRequest(selector+missing, "StartSelectorType %s needs a valid %s", q.StartSelector.StartSelectorType, missing)
	}
	return nil
}

func decimal(text string) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return text != "" && len(text) <= 128
}

// first finds where the answer begins in the list of fragments. What was stored before the stream was
// created is of a deleted stream of the same name.
func (q getMediaRequest) first(list []Fragment) int {
	selector := q.StartSelector
	want := func(Fragment) bool { return true }
	switch selector.StartSelectorType {
	case "NOW":
		want = func(f Fragment) bool { return f.Number == list[len(list)-1].Number }
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
		if !f.Server.Before(q.created) && want(f) {
			return i
		}
	}
	return len(list)
}

// compareDecimal compares two decimal numbers without leading zeros.
func compareDecimal(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
