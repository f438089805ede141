package status

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

const (
	// maxBody bounds the body and the header of a request, in bytes; real ones have some hundred.
	maxBody = 64 << 10
	// bodyTimeout bounds the reading of a body.
	bodyTimeout = 10 * time.Second
	// idleTimeout is how long a connection without a request is kept.
	idleTimeout = 2 * time.Minute
)

// Server serves the local API on a unix socket.
type Server struct {
	listener  *socket
	component *health.Component
	http      *http.Server
	mux       *http.ServeMux
	log       *zap.Logger
}

// Handle adds to the local API. The pattern is as for http.ServeMux; call it before Run.
func (s *Server) Handle(pattern string, h http.Handler) { s.mux.Handle(pattern, h) }

// NewServer binds the socket. A socket file left by an agent that died is replaced; one that
// answers belongs to a running agent and is an error, and so is what is no socket: a wrong path must
// not cost a file.
func NewServer(path string, snapshot func() Snapshot, component *health.Component, log *zap.Logger) (*Server, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("cannot open the local API: the socket path %s is longer than %d bytes; set AWS_KVS_EDGE_SOCKET to a shorter "+
			"one", path, maxSocketPath)
	}
	listener, err := listen(path)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	s := &Server{listener: listener, component: component, mux: mux, log: log, http: &http.Server{
		Handler: wholeBodies(mux, bodyTimeout), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: idleTimeout, MaxHeaderBytes: maxBody,
	}}
	mux.HandleFunc("GET "+pathStatus, func(w http.ResponseWriter, _ *http.Request) { s.writeJSON(w, snapshot()) })
	return s, nil
}

// wholeBodies reads the body of each request before it is served, so that none is waited for without end. The answer may
// take as long as it likes.
func wholeBodies(next http.Handler, timeout time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connection := http.NewResponseController(w)
		_ = connection.SetReadDeadline(time.Now().Add(timeout))
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large):
			http.Error(w, fmt.Sprintf("the body of the request has more than %d bytes", maxBody), http.StatusRequestEntityTooLarge)
			return
		case err != nil:
			w.Header().Set("Connection", "close")
			http.Error(w, fmt.Sprintf("the body of the request did not come within %v", timeout), http.StatusRequestTimeout)
			return
		}
		_ = connection.SetReadDeadline(time.Time{})
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// Run serves until ctx ends, then removes the socket. A socket that somebody removes meanwhile is made again.
func (s *Server) Run(ctx context.Context) error {
	watching, end := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { s.listener.watch(watching, s.component, s.log) })
	defer watch.Wait()
	defer end()
	stop := context.AfterFunc(ctx, func() { _ = s.http.Close() })
	defer stop()
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the local API stopped: %w", err)
	}
	return nil
}

func (s *Server) writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		s.log.Debug("a reader of the local API went away", zap.Error(err))
	}
}
