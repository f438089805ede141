package iotconfig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

const (
	// maxUploads is how many uploads on demand the cloud may have open at once.
	maxUploads = 16
	// uploadEvery is how often a running upload tells how far it is.
	uploadEvery  = 5 * time.Second
	maxRequestID = 128
	// rememberedUploads is how many answered requests are known again.
	rememberedUploads = 100
)

// The values of Status in upload/status.
const (
	UploadRunning = "RUNNING"
	UploadDone    = "DONE"
	UploadFailed  = "FAILED"
)

// UploadRequest is an upload on demand: what was recorded of a stream from (inclusive) to (exclusive).
type UploadRequest struct {
	Stream   string
	From, To time.Time
}

// Uploader uploads on demand and tells how many of how many fragments are done, until all are.
type Uploader func(ctx context.Context, r UploadRequest, each func(done, total int)) error

// uploadRequest is the payload of upload/request.
type uploadRequest struct {
	RequestID  string `json:"RequestId"`
	StreamName string `json:"StreamName"`
	From       epoch  `json:"From"`
	To         epoch  `json:"To"`
}

// uploadStatus is the payload of upload/status.
type uploadStatus struct {
	RequestID  string `json:"RequestId"`
	StreamName string `json:"StreamName"`
	Status     string `json:"Status"`
	Details    string `json:"Details,omitempty"`
	Done       int    `json:"FragmentsDone"`
	Total      int    `json:"FragmentsTotal"`
	Time       epoch  `json:"Time"`
}

// parseUploadRequest reads an upload/request. Where it cannot be followed, wrong is a sentence that
// tells the asker why; the request still has what could be read of RequestId and StreamName, by
// which the answer is recognised.
func parseUploadRequest(payload []byte) (in uploadRequest, wrong string) {
	if len(payload) > maxMessage {
		return in, fmt.Sprintf("The request has %d bytes; at most %d are allowed.", len(payload), maxMessage)
	}
	// Each member by itself, so that a wrong one does not hide who asks.
	var members struct {
		RequestID            json.RawMessage `json:"RequestId"`
		StreamName, From, To json.RawMessage
	}
	if json.Unmarshal(payload, &members) != nil {
		return in, "The request is not a JSON object."
	}
	stream, id := "", ""
	if json.Unmarshal(members.StreamName, &stream) == nil && isStreamName(stream) {
		in.StreamName = stream
	}
	if json.Unmarshal(members.RequestID, &id) != nil || id == "" {
		return in, "RequestId is missing or not a string."
	}
	in.RequestID = strings.ToValidUTF8(id[:min(len(id), maxRequestID)], "")
	switch {
	case len(id) > maxRequestID:
		return in, fmt.Sprintf("RequestId has %d bytes; at most %d are allowed.", len(id), maxRequestID)
	case in.StreamName == "":
		return in, "StreamName is missing or cannot be the name of a stream."
	case json.Unmarshal(members.From, &in.From) != nil:
		return in, "From is missing or wrong: it " + errNotEpoch.Error() + "."
	case json.Unmarshal(members.To, &in.To) != nil:
		return in, "To is missing or wrong: it " + errNotEpoch.Error() + "."
	case !in.From.Before(in.To.Time):
		return in, "To must be after From."
	}
	return in, ""
}

// uploadsFile holds the requests whose last answer the broker does not have yet, so that a restart
// ends none of them.
const uploadsFile = "uploads.json"

// uploads are those that the cloud has asked for.
type uploads struct {
	group  sync.WaitGroup
	saving sync.Mutex // held to write uploadsFile; taken before mu
	// unsaved says that the disk lacks a change; guarded by saving.
	unsaved bool

	mu       sync.Mutex
	kept     []uploadRequest         // as in uploadsFile, oldest first
	running  int                     // of these
	told     map[string]uploadStatus // the last answer by RequestId, also of finished ones: a message may come twice
	finished []string                // RequestIds whose last answer the broker has, oldest first
}

// upload follows an upload/request beside everything else.
func (s *Source) upload(ctx context.Context, payload []byte) {
	in, wrong := parseUploadRequest(payload)
	out := uploadStatus{RequestID: in.RequestID, StreamName: in.StreamName, Status: UploadFailed}
	switch {
	case wrong != "":
		if out.Details = wrong; in.RequestID == "" {
			s.event(health.Info, health.SystemFault(codeMessage, nil, "A message asked for an upload but cannot be followed. %s", wrong))
		}
	case s.o.Upload == nil:
		out.Details = "This agent does not upload on demand."
	default:
		if s.tellAgain(in.RequestID) {
			return
		}
		if s.uploads.roomFor(in) {
			s.saveUploads() // before the message is acknowledged
			s.uploads.group.Go(func() { s.follow(ctx, in) })
			return
		}
		out.Details = "Too many uploads are asked for at once; ask again when one of them is done."
	}
	s.publishUpload(out, s.o.Now(), nil)
}

// roomFor takes a request unless too many are open.
func (u *uploads) roomFor(in uploadRequest) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.running >= maxUploads {
		return false
	}
	u.keep(in)
	return true
}

// keep takes a request. Call with mu held.
func (u *uploads) keep(in uploadRequest) {
	if u.told == nil {
		u.told = make(map[string]uploadStatus)
	}
	u.running++
	u.kept = append(u.kept, in)
	u.told[in.RequestID] = uploadStatus{RequestID: in.RequestID, StreamName: in.StreamName, Status: UploadRunning}
}

// resumeUploads goes on with what was asked for before the agent was restarted. What is in the
// cloud by now is not sent again.
func (s *Source) resumeUploads(ctx context.Context) {
	var before []uploadRequest
	if err := s.dir.read(uploadsFile, &before); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.o.Log.Warn("uploads that the cloud asked for before the restart are forgotten", zap.Error(err))
		}
		return
	}
	if s.o.Upload == nil {
		return
	}
	s.uploads.mu.Lock()
	defer s.uploads.mu.Unlock()
	for _, in := range before {
		s.uploads.keep(in)
		s.uploads.group.Go(func() { s.follow(ctx, in) })
	}
}

// follow uploads and answers: at the begin, now and then, and at the end. When the agent stops
// before, there is no last answer: the next start goes on.
func (s *Source) follow(ctx context.Context, in uploadRequest) {
	out := uploadStatus{RequestID: in.RequestID, StreamName: in.StreamName, Status: UploadRunning}
	var told time.Time
	err := supervise.Do("An upload on demand", func() error {
		return s.o.Upload(ctx, UploadRequest{Stream: in.StreamName, From: in.From.Time, To: in.To.Time}, func(done, total int) {
			out.Done, out.Total = done, total
			if now := time.Now(); now.Sub(told) >= uploadEvery {
				told = now
				s.tellUpload(out)
			}
		})
	})
	if err != nil && ctx.Err() != nil {
		return
	}
	out.Status = UploadDone
	if err != nil {
		out.Status, out.Details = UploadFailed, shorten(err.Error())
	}
	s.uploads.mu.Lock()
	s.uploads.running--
	s.uploads.mu.Unlock()
	s.tellUpload(out)
}

// tellUpload answers an admitted request.
func (s *Source) tellUpload(out uploadStatus) {
	now := s.o.Now()
	s.uploads.mu.Lock()
	defer s.uploads.mu.Unlock()
	s.uploads.told[out.RequestID] = out
	s.publishAdmitted(out, now)
}

// tellAgain repeats the last answer to a request, if it was admitted.
func (s *Source) tellAgain(id string) (admitted bool) {
	now := s.o.Now()
	s.uploads.mu.Lock()
	defer s.uploads.mu.Unlock()
	last, admitted := s.uploads.told[id]
	if admitted {
		s.publishAdmitted(last, now)
	}
	return admitted
}

// publishAdmitted sends an answer; once the broker has the last one, the request is finished. Call
// with uploads.mu held, or an answer of before could come after the last one.
func (s *Source) publishAdmitted(out uploadStatus, now time.Time) {
	var sent func()
	if out.Status != UploadRunning {
		sent = func() { s.uploads.group.Go(func() { s.finishUpload(out.RequestID) }) }
	}
	s.publishUpload(out, now, sent)
}

// finishUpload forgets a request but for its answer.
func (s *Source) finishUpload(id string) {
	u := &s.uploads
	u.mu.Lock()
	i := slices.IndexFunc(u.kept, func(in uploadRequest) bool { return in.RequestID == id })
	if i >= 0 {
		u.kept = slices.Delete(u.kept, i, i+1)
		u.finished = append(u.finished, id)
	}
	for len(u.finished) > rememberedUploads {
		delete(u.told, u.finished[0])
		u.finished = u.finished[1:]
	}
	u.mu.Unlock()
	if i >= 0 {
		s.saveUploads()
	}
}

func (s *Source) saveUploads() {
	u := &s.uploads
	u.saving.Lock()
	defer u.saving.Unlock()
	u.mu.Lock()
	kept := slices.Clone(u.kept)
	u.mu.Unlock()
	err := s.dir.write(uploadsFile, kept)
	if err != nil && !u.unsaved {
		s.o.Log.Warn("the uploads that the cloud asked for cannot be kept on disk: a restart would forget them", zap.Error(err))
	}
	u.unsaved = err != nil
}

// keepUploads writes the requests again that the disk did not take, or that somebody removed from it.
func (s *Source) keepUploads() {
	u := &s.uploads
	u.saving.Lock()
	unsaved := u.unsaved
	u.saving.Unlock()
	u.mu.Lock()
	kept := len(u.kept)
	u.mu.Unlock()
	if unsaved || kept > 0 && s.dir.missing(uploadsFile) {
		s.saveUploads()
	}
}

// publishUpload sends an answer. sent is called when the broker has it; nil = nobody wants to know.
func (s *Source) publishUpload(out uploadStatus, now time.Time, sent func()) {
	out.Time = epoch{now.UTC().Truncate(time.Millisecond)}
	payload, err := json.Marshal(out)
	if err != nil {
		s.o.Log.Error("cannot encode the status of an upload", zap.Error(err))
		return
	}
	// While there is no connection the last answer to each request is kept.
	s.outbox.put(publication{topic: s.topics.uploadStatus, payload: payload, about: "upload/" + out.RequestID, sent: sent})
}
