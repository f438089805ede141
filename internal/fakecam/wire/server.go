// Package wire handles the connections of a camera that is played from a script: it reads requests, writes the script's answers, and
// carries packets over TCP, UDP and multicast. It does not interpret packets.
package wire

import (
	"net"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/script"
)

// Player plays for one session.
type Player interface {
	// Values returns the values of the session's placeholders.
	Values() map[string]string
	// Play plays until stop is closed, or send fails. The packets of each track must be sent in order.
	Play(send func(track Track, steps []script.Step) (paused bool, err error), stop <-chan struct{})
	// Ended is called when the session is over.
	Ended()
}

// Track is the track of packets.
type Track int

// The tracks of a camera.
const (
	Video Track = iota
	Audio
)

// Camera is the camera that a server serves.
type Camera struct {
	File   *script.File
	Values func() map[string]string                                  // values of placeholders, the same for all sessions
	Codec  string                                                    // of the video, by its name in descriptions
	Begin  func(session uint64, payloadTypes map[Track]uint8) Player // with the announced payload types
}

// Server is the RTSP side of a camera. It runs until Close.
type Server struct {
	camera   Camera
	listener net.Listener
	started  time.Time
	running  sync.WaitGroup

	mu       sync.Mutex
	conns    map[*conn]bool
	accepted uint64
	played   uint64
	closed   bool
}

// Serve serves a camera on a listener, which it owns from then on.
func Serve(listener net.Listener, camera Camera) *Server {
	s := &Server{camera: camera, listener: listener, started: time.Now(), conns: make(map[*conn]bool)}
	s.running.Go(s.accept)
	return s
}

// Close stops listening, closes all connections and returns when everything has ended.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.listener.Close()
	s.Drop()
	s.running.Wait()
}

// Drop closes all connections, and returns when the sessions have ended.
func (s *Server) Drop() {
	s.mu.Lock()
	var open []*conn
	for c := range s.conns {
		open = append(open, c)
	}
	s.mu.Unlock()
	for _, c := range open {
		c.hangUp()
	}
	for _, c := range open {
		<-c.ended
	}
}

func (s *Server) accept() {
	for {
		socket, err := s.listener.Accept()
		if err != nil {
			return
		}
		c := &conn{server: s, socket: socket, ended: make(chan struct{}), stop: make(chan struct{})}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			_ = socket.Close()
			return
		}
		s.accepted++
		c.said = s.camera.File.Converse(s.accepted, s.started)
		s.conns[c] = true
		s.mu.Unlock()
		s.running.Go(func() {
			defer s.forget(c)
			c.run()
		})
	}
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	close(c.ended)
}

// begin starts a session.
func (s *Server) begin(payloadTypes map[Track]uint8) Player {
	s.mu.Lock()
	s.played++
	n := s.played
	s.mu.Unlock()
	return s.camera.Begin(n, payloadTypes)
}
