package media

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/logevent"
)

// Request headers of PutMedia (API reference).
const (
	headerName      = "x-amzn-stream-name"
	headerARN       = "x-amzn-stream-arn"
	headerStart     = "x-amzn-producer-start-timestamp"
	headerTimecodes = "x-amzn-fragment-timecode-type"
)

// lingerAfterEnd is how long a producer's bytes are still taken after the last acknowledgement, so
// that closing does not destroy acknowledgements on their way.
const lingerAfterEnd = 500 * time.Millisecond

func (s *Service) putMedia(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	// Without full duplex the server would wait for the end of the body before it answers.
	// Transports without it, as in-memory ones, can do without.
	_ = rc.EnableFullDuplex()
	_ = rc.SetReadDeadline(time.Time{})
	_ = rc.SetWriteDeadline(time.Time{})

	info, known := s.o.Streams.Stream(StreamOf(r.Header))
	name := info.Name // "" when it is not known: strangers share their counters
	st := s.stream(name)
	st.update(func() { st.stats.Requests++ })
	if s.faults.isDown(name) {
		s.refuseByReset(w, r, opPutMedia, StreamOf(r.Header), "while the stream is down")
		return
	}
	if s.strikeRequest(w, r, name) {
		return
	}
	start, relative, err := s.admit(st, r, known)
	if err != nil {
		logevent.PutMediaRefused.Log(s.log, zap.String("stream", name), zap.Error(err))
		st.update(func() { st.stats.Refused++ })
		s.refuse(w, r, opPutMedia, StreamOf(r.Header), err)
		_ = rc.SetReadDeadline(time.Now().Add(lingerAfterEnd))
		return
	}

	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	se := &session{
		service: s, st: st, info: info, start: start, relative: relative, began: time.Now(),
		caller: s.caller(r), ctx: ctx, cancel: cancel, done: make(chan struct{}), rc: rc, body: r.Body,
	}
	st.takeOver(se)
	defer st.release(se)
	if strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		w.WriteHeader(http.StatusContinue) // after a 200 the server would not say it any more
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Connection", "close")
	w.WriteHeader(http.StatusOK)
	se.acks = newAckWriter(w, rc)
	end := se.run()
	switch {
	case errors.Is(end, errReset):
		s.refuseByReset(w, r, opPutMedia, name, strings.TrimPrefix(end.Error(), errReset.Error()+" "))
	case errors.Is(end, errCut):
		s.refuseByReset(w, r, opPutMedia, name, "cut of the stream")
	case errors.Is(end, errDisplaced), errors.Is(end, errClosed):
		panic(http.ErrAbortHandler) // closes the connection without ending the answer
	case errors.Is(end, errIdle):
		_ = rc.SetWriteDeadline(time.Now().Add(lingerAfterEnd)) // for the end of the answer
	}
	_ = rc.SetReadDeadline(time.Now().Add(lingerAfterEnd))
}

// streamHeader is the header that names the stream.
func streamHeader(h http.Header) string {
	if h.Get(headerARN) != "" {
		return headerARN
	}
	return headerName
}

// StreamOf is the name or ARN of the stream in the headers of PutMedia; "" = they have none.
func StreamOf(h http.Header) string { return h.Get(streamHeader(h)) }

// strikeRequest carries out a fault that is set for requests; answered means that it was the end.
func (s *Service) strikeRequest(w http.ResponseWriter, r *http.Request, name string) (answered bool) {
	hit := s.faults.at(name, BeforeResponse, 0)
	if hit == nil {
		return false
	}
	switch hit.fault.action {
	case actRefuse:
		st := s.stream(name)
		st.update(func() { st.stats.Refused++ })
		s.refuse(w, r, opPutMedia, name, hit.fault.answer)
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerAfterEnd))
		return true
	case actHang:
		select {
		case <-hit.cleared:
			return false
		case <-s.ctx.Done():
			reset(w)
			return true
		}
	}
	s.refuseByReset(w, r, opPutMedia, name, BeforeResponse.String())
	return true
}

// admit checks the request as KVS does before it answers 200.
func (s *Service) admit(st *streamState, r *http.Request, known bool) (start time.Time, relative bool, err error) {
	h := r.Header
	if s.o.Verify != nil {
		if err := s.o.Verify(r); err != nil {
			return start, false, err
		}
	}
	if (h.Get(headerName) == "") == (h.Get(headerARN) == "") {
		return start, false, badRequest("header "+headerName, "exactly one of %s and %s must be given", headerName, headerARN)
	}
	if name := h.Get(headerName); name != "" && !validName(name) {
		return start, false, badRequest("header "+headerName, "%s %q is not a stream name: 1 to 256 of a-z A-Z 0-9 _ . -", headerName, name)
	}
	if start, err = parseStart(h.Get(headerStart)); err != nil {
		return start, false, err
	}
	switch h.Get(headerTimecodes) {
	case "ABSOLUTE":
	case "RELATIVE":
		relative = true
	default:
		return start, false, badRequest("header "+headerTimecodes, "%s is %q; it must be ABSOLUTE or RELATIVE",
			headerTimecodes, h.Get(headerTimecodes))
	}
	if !known {
		return start, false, &awsapi.Error{
			Status: http.StatusNotFound, Name: ResourceNotFound, Where: "header " + streamHeader(h),
			Message: "the stream " + StreamOf(h) + " does not exist in this account and region",
		}
	}
	if !st.puts.Admit() {
		return start, false, &awsapi.Error{
			Status: http.StatusBadRequest, Name: ClientLimitExceeded, Where: "the stream",
			Message: "more than " + strconv.Itoa(st.puts.N) + " PutMedia requests per second for this stream",
		}
	}
	return start, relative, nil
}

func badStart(text string) error {
	return badRequest("header "+headerStart, "%s is %q; it must be seconds since 1970 with milliseconds, as 1700000000.123", headerStart, text)
}

// parseStart reads seconds since 1970 with an optional fraction.
func parseStart(text string) (time.Time, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseUint(whole, 10, 40)
	if err != nil || len(fraction) > 9 {
		return time.Time{}, badStart(text)
	}
	nanos := uint64(0)
	if fraction != "" {
		if nanos, err = strconv.ParseUint((fraction + "000000000")[:9], 10, 32); err != nil {
			return time.Time{}, badStart(text)
		}
	}
	return time.Unix(int64(seconds), int64(nanos)).Truncate(time.Millisecond), nil
}

// reset closes the connection with a TCP reset, or as abruptly as the transport allows.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // where it fails, closing is abrupt enough
	}
	_ = conn.Close()
}
