package iotconfig

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

const (
	// maxUploads is how many uploads on demand the cloud may have open at once.
	maxUploads = 16
	// uploadEvery is how often a running upload tells how far it is.
	uploadEvery  = 5 * time.Second
	maxRequestID = 128
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

// rememberedUploads is how many answered requests are known again.
const rememberedUploads = 100

// uploads are those that the cloud has asked for.
type uploads struct {
	group sync.WaitGroup
	mu    sync.Mutex
	open  map[string]bool // by RequestId; a message may come twice
	done  []string        // the RequestIds that were answered last, for the same reason
}

// upload follows an upload/request beside everything else.
func (s *Source) upload(ctx context.Context, payload []byte) {
	var in uploadRequest
	err := json.Unmarshal(payload, &in)
	in.RequestID = strings.ToValidUTF8(in.RequestID[:min(len(in.RequestID), maxRequestID)], "")
	out := uploadStatus{RequestID: in.RequestID, StreamName: in.StreamName, Status: UploadFailed}
	if err != nil || in.RequestID == "" {
		s.raise(health.Info, health.SystemFault(codeMessage, err, "A message asked for an upload but cannot be read; it needs RequestId, StreamName, From and To."))
		return
	}
	if s.o.Upload == nil {
		out.Details = "This agent does not upload on demand."
		s.tellUpload(out)
		return
	}
	s.uploads.mu.Lock()
	defer s.uploads.mu.Unlock()
	switch {
	case s.uploads.open[in.RequestID], slices.Contains(s.uploads.done, in.RequestID):
		return
	case len(s.uploads.open) >= maxUploads:
		out.Details = "Too many uploads are asked for at once; ask again when one of them is done."
		s.tellUpload(out)
		return
	}
	if s.uploads.open == nil {
		s.uploads.open = make(map[string]bool)
	}
	s.uploads.open[in.RequestID] = true
	s.uploads.group.Go(func() {
		s.follow(ctx, in, out)
		s.uploads.mu.Lock()
		defer s.uploads.mu.Unlock()
		delete(s.uploads.open, in.RequestID)
		s.uploads.done = append(s.uploads.done, in.RequestID)
		s.uploads.done = s.uploads.done[max(0, len(s.uploads.done)-rememberedUploads):]
	})
}

// follow uploads and answers: at the begin, now and then, and at the end.
func (s *Source) follow(ctx context.Context, in uploadRequest, out uploadStatus) {
	out.Status = UploadRunning
	var told time.Time
	err := s.o.Upload(ctx, UploadRequest{Stream: in.StreamName, From: in.From.Time, To: in.To.Time}, func(done, total int) {
		out.Done, out.Total = done, total
		if now := time.Now(); now.Sub(told) >= uploadEvery {
			told = now
			s.tellUpload(out)
		}
	})
	out.Status = UploadDone
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			err = health.SystemFault("upload-stopped", nil, "The agent stops; ask again.")
		}
		out.Status, out.Details = UploadFailed, shorten(err.Error())
	}
	s.tellUpload(out)
}

func (s *Source) tellUpload(out uploadStatus) {
	out.Time = epoch{s.o.Now().UTC().Truncate(time.Millisecond)}
	payload, err := json.Marshal(out)
	if err != nil {
		s.o.Log.Error("cannot encode the status of an upload", zap.Error(err))
		return
	}
	// While there is no connection the last answer to each request is kept.
	s.outbox.put(publication{topic: s.topics.uploadStatus, payload: payload, stream: "upload/" + out.RequestID})
}
