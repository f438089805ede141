package kvs

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs/mediabody"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// Session is one PutMedia request that was answered with 200. Send, CloseSend and Abort are for
// one goroutine, its owner. The owner reads Acks until it is closed.
type Session struct {
	stream         string
	body           *mediabody.Body
	cancel         context.CancelFunc
	transport      *http.Transport
	config         awsclient.Config
	credentialsEnd time.Time

	acks chan Ack
	over chan struct{} // closed by end: nobody needs to wait any more

	mu    sync.Mutex
	cause error // guarded by mu: why we ended it
	ended bool  // guarded by mu: end was called
	err   error // valid once acks is closed
}

// HeadSize is the size in bytes of the Cluster head that is sent before a fragment's bytes from the file, see Session.Send.
const HeadSize = mediabody.HeadSize

// Media is what follows a fragment's head: a section of a file, or a selection of it.
type Media = mediabody.Media

func newSession(in PutMediaInput, cancel context.CancelFunc) *Session {
	s := &Session{stream: in.Stream, cancel: cancel, acks: make(chan Ack, 32), over: make(chan struct{})}
	s.body = mediabody.New(mediabody.Options{Header: in.Header, Pace: in.Pace, Most: in.WriteSize, Failed: s.end})
	return s
}

// answerTimeout bounds the time from the start of the connection to the response header.
const answerTimeout = 10 * time.Second

// open sends the request's header and waits for the response header, and for the whole response when its status is
// not 200: a proxy may stop sending it.
func (s *Session) open(ctx context.Context, req *http.Request) (io.ReadCloser, error) {
	stopWatching := context.AfterFunc(ctx, func() { s.end(ctx.Err()) })
	timer := time.AfterFunc(answerTimeout, func() { s.end(errNoResponse) })
	resp, err := s.config.RoundTrip(s.transport, req)
	var refused *RequestError
	if err == nil && resp.StatusCode != http.StatusOK {
		refused = readError(s.stream, resp)
	}
	timer.Stop()
	stopWatching()
	if refused != nil {
		s.refused(resp)
		return nil, refused
	}
	s.mu.Lock()
	cause := s.cause
	s.mu.Unlock()
	if err == nil && cause == nil {
		return resp.Body, nil
	}
	if err == nil {
		_ = resp.Body.Close()
	}
	if cause == nil && errors.Is(err, ErrAborted) {
		cause = errDisconnected // our body's own error, after the connection's end
	}
	if cause != nil {
		err = cause
	}
	s.end(err)
	s.release()
	return nil, err
}

// refused releases a request that was not answered with 200.
func (s *Session) refused(resp *http.Response) {
	s.end(ErrAborted)
	_ = resp.Body.Close()
	s.release()
}

// release waits until net/http has released the body.
func (s *Session) release() {
	<-s.body.Closed()
	s.transport.CloseIdleConnections()
}

// receive passes acknowledgements on until the answer ends.
func (s *Session) receive(answer io.ReadCloser) {
	defer close(s.acks)
	err := supervise.Do("Reading acknowledgements", func() error { return s.read(newAckReader(answer)) })
	select {
	case <-s.body.Finished():
	default:
		if errors.Is(err, io.EOF) {
			err = ErrEnded
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	s.end(nil)
	_ = answer.Close()
	s.release()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err = err; s.cause != nil {
		s.err = s.cause // what the reading failed with follows from it
	}
}

func (s *Session) read(r *ackReader) error {
	for {
		a, err := r.next()
		if err != nil {
			return err
		}
		select {
		case s.acks <- a:
		case <-s.over:
			return ErrAborted
		}
	}
}

// end ends both directions at once. The first cause stays.
func (s *Session) end(cause error) {
	s.mu.Lock()
	first := !s.ended
	if first {
		s.ended, s.cause = true, cause
	}
	s.mu.Unlock()
	if first {
		close(s.over)
		s.body.Stop()
		s.cancel()
	}
}

// Send hands over a fragment: head is sent in place of its first bytes in the file, rest is what
// follows, and tail, which may be shared by many fragments and is only read, goes behind it. One at
// a time: the next after Sent has received, or the session has ended. Until then rest is the session's.
func (s *Session) Send(head [HeadSize]byte, rest Media, tail []byte) { s.body.Send(head, rest, tail) }

// Sent receives when the fragment handed over last has been written to the connection. It never
// does when the session ends before: then Acks is closed.
func (s *Session) Sent() <-chan struct{} { return s.body.Sent() }

// BytesSent is how many bytes the connection has taken.
func (s *Session) BytesSent() int64 { return s.body.Bytes() }

// Acks returns the acknowledgements. It is closed when the answer has ended and all that the session
// held is released.
func (s *Session) Acks() <-chan Ack { return s.acks }

// Err says why the session ended, once Acks is closed: nil when both sides ended in good order,
// ErrEnded, ErrAborted, a *MediaError, or what the connection failed with.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// CredentialsEnd is when the credentials expire that opened the session; zero for never.
func (s *Session) CredentialsEnd() time.Time { return s.credentialsEnd }

// CloseSend ends the body after what was handed over. The service then acknowledges what it has
// not yet, and closes Acks.
func (s *Session) CloseSend() { s.body.Finish() }

// Abort ends the session at once. Acks still delivers what has come, and is closed soon.
func (s *Session) Abort() { s.end(ErrAborted) }
