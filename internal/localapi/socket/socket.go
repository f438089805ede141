// Package socket is the unix socket on which the agent is asked: its file, which is made again when somebody removes it, with
// which right a peer asks, and how many may at once. It must not know what is asked.
package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/pulse"
)

// Code is the condition of a socket that somebody removed and that cannot be created again.
const Code = "local-api"

const scope health.Scope = "socket"

// watchEvery is how often the socket's file is checked.
const watchEvery = 5 * time.Second

// Socket is a listener on a unix socket whose file is made again when somebody removes it.
type Socket struct {
	path string

	mu      sync.Mutex
	current *net.UnixListener
	file    fs.FileInfo // of current
	closed  bool
}

// Listen binds the socket. A socket file left by an agent that died is replaced; one that answers belongs to a running
// agent and is an error, and so is a file that is not a socket: a wrong path must not cost a file.
func Listen(path string) (*Socket, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("cannot open the local API: the socket path %s is longer than %d bytes; set AWS_KVS_EDGE_SOCKET to a shorter "+
			"one", path, maxPath)
	}
	s := &Socket{path: path}
	return s, s.bind()
}

// bind makes the socket's file, and listens on it instead of the previous one.
func (s *Socket) bind() error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o750); err != nil {
		return unusable(err)
	}
	if conn, err := net.DialTimeout("unix", s.path, time.Second); err == nil {
		_ = conn.Close()
		return fmt.Errorf("cannot open the local API: another agent answers on %s; stop it or set AWS_KVS_EDGE_SOCKET", s.path)
	}
	if info, err := os.Lstat(s.path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("cannot open the local API: %s exists and is not a socket; set AWS_KVS_EDGE_SOCKET to another path", s.path)
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unusable(err)
	}
	next, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.path, Net: "unix"})
	if err != nil {
		return unusable(err)
	}
	err = os.Chmod(s.path, mode)
	file, statErr := os.Lstat(s.path)
	if err = errors.Join(err, statErr); err != nil {
		_ = next.Close()
		return unusable(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return next.Close()
	}
	before := s.current
	s.current, s.file = next, file
	if before != nil {
		before.SetUnlinkOnClose(false) // what has its name now is another one
		_ = before.Close()
	}
	return nil
}

// inPlace reports whether the socket's file is the one that is listened on.
func (s *Socket) inPlace() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Lstat(s.path)
	return s.closed || err == nil && os.SameFile(info, s.file) || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// Watch makes the socket again when its file is gone, until ctx ends.
func (s *Socket) Watch(ctx context.Context, component *health.Component, log *zap.Logger) {
	ticker := pulse.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if s.inPlace() {
			component.OK(scope)
			continue
		}
		err := s.bind()
		if err == nil {
			component.OK(scope)
			logevent.SocketRestored.Log(log, zap.String("file", s.path))
			continue
		}
		fault := health.UserFault(Code, err,
			"The socket %s of the local API was removed and cannot be created again, so that kvs-edge-agent status and reload do not work: move "+
				"the file that has its name now away, and let the agent's user write to its directory.", s.path)
		if component.Report(scope, health.Degraded, fault) {
			logevent.Condition(log, fault, zap.String("file", s.path))
		}
	}
}

// Accept implements net.Listener.
func (s *Socket) Accept() (net.Conn, error) {
	for {
		s.mu.Lock()
		l := s.current
		s.mu.Unlock()
		conn, err := l.Accept()
		if err == nil {
			return conn, nil
		}
		s.mu.Lock()
		replaced := l != s.current && !s.closed
		s.mu.Unlock()
		if !replaced {
			return nil, err
		}
	}
}

// Close implements net.Listener. It removes the file, if that is still the listener's own.
func (s *Socket) Close() error {
	own := s.inPlace()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.current.SetUnlinkOnClose(own)
	return s.current.Close()
}

// Addr implements net.Listener.
func (s *Socket) Addr() net.Addr { return &net.UnixAddr{Name: s.path, Net: "unix"} }

// mode lets the agent's user and group speak to it, and nobody else.
const mode = 0o660

// maxPath is what fits sockaddr_un on Linux, less the closing zero.
const maxPath = 107

func unusable(err error) error {
	return fmt.Errorf("cannot open the local API: %w; set AWS_KVS_EDGE_SOCKET to a path that the agent's user may write to", err)
}
