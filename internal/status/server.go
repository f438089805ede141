package status

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
)

// socketMode lets the agent's user and group speak to it, and nobody else.
const socketMode = 0o660

// maxSocketPath is what fits sockaddr_un on Linux, less the closing zero.
const maxSocketPath = 107

// Server serves the local API on a unix socket.
type Server struct {
	listener net.Listener
	http     *http.Server
	mux      *http.ServeMux
	log      *zap.Logger
}

// Handle adds to the local API. The pattern is as for http.ServeMux; call it before Run.
func (s *Server) Handle(pattern string, h http.Handler) { s.mux.Handle(pattern, h) }

// NewServer binds the socket. A socket file left by an agent that died is replaced; one that
// answers belongs to a running agent and is an error, and so is what is no socket: a wrong path must
// not cost a file.
func NewServer(path string, snapshot func() Snapshot, log *zap.Logger) (*Server, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("cannot open the local API: the socket path %s is longer than %d bytes; set AWS_KVS_EDGE_SOCKET to a shorter one", path, maxSocketPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, unusable(err)
	}
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("cannot open the local API: another agent answers on %s; stop it or set AWS_KVS_EDGE_SOCKET", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("cannot open the local API: %s is there and is no socket; set AWS_KVS_EDGE_SOCKET to another path", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, unusable(err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, unusable(err)
	}
	if err := os.Chmod(path, socketMode); err != nil {
		_ = listener.Close()
		return nil, unusable(err)
	}
	mux := http.NewServeMux()
	s := &Server{listener: listener, mux: mux, log: log, http: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}
	mux.HandleFunc("GET "+pathStatus, func(w http.ResponseWriter, _ *http.Request) { s.writeJSON(w, snapshot()) })
	return s, nil
}

func unusable(err error) error {
	return fmt.Errorf("cannot open the local API: %w; set AWS_KVS_EDGE_SOCKET to a path that the agent's user may write to", err)
}

// Run serves until ctx ends, then removes the socket.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.http.Close() })
	defer stop()
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the local API stopped: %w", err)
	}
	return nil
}
