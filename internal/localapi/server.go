// Package localapi is how everybody on the hub speaks to the agent: one table of routes with the right that each needs, the
// server on a unix socket, the client and their types. The command line is its client. It must not know how recording,
// uploading or configuring is done: what it does not read in the store it is given as functions.
package localapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/patience"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/query"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/socket"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

const (
	// maxBody bounds the body and the header of a request, in bytes; real ones have some hundred.
	maxBody = 64 << 10
	// headerTimeout and bodyTimeout bound the reading of a request.
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	// stallTimeout is how long a client may stop reading an answer.
	stallTimeout = time.Minute
	// mediaStall is the same of media: a player may pause. Meanwhile it only keeps one segment from being deleted.
	mediaStall = 10 * time.Minute
	// idleTimeout is how long a connection without a request is kept.
	idleTimeout = 2 * time.Minute
	// closeTimeout is how long requests may take to end when the agent stops, and again when their connections are closed.
	closeTimeout = 2 * time.Second
)

// Options are what a Server serves.
type Options struct {
	// Socket is the path of the unix socket.
	Socket string
	// Agent is what the agent has and does beside recordings. Where none runs it is empty.
	Agent Agent
	// Store has the recordings. nil: there are none to serve.
	Store *segment.Store
	// Uploads is what is known beside the recordings.
	Uploads Uploads
	// Component reports of the local API.
	Component *health.Component
	Log       *zap.Logger
}

// Server serves the local API on a unix socket.
type Server struct {
	o        Options
	listener *socket.Socket
	http     *http.Server
	now      func() time.Time
	player   *hls.Player   // nil: there is no store
	stall    time.Duration // see stallTimeout

	eventStall, mediaStall, heartbeat time.Duration // see the constants

	mu      sync.Mutex
	closed  bool            // no further request is served; guarded by mu
	serving sync.WaitGroup  // requests; added to with mu held
	running map[running]int // requests of routes that bound them; guarded by mu
}

// running is what the requests of a route are counted by.
type running struct {
	path  string
	right Right
}

// NewServer binds the socket, see socket.Listen.
func NewServer(o Options) (*Server, error) {
	listener, err := socket.Listen(o.Socket)
	if err != nil {
		return nil, err
	}
	s := newServer(o)
	s.listener = listener
	return s, nil
}

// newServer is a server that does not listen yet.
func newServer(o Options) *Server {
	s := &Server{o: o, now: time.Now, stall: stallTimeout, running: make(map[running]int), eventStall: eventStall,
		mediaStall: mediaStall, heartbeat: heartbeatEvery}
	if o.Store != nil {
		s.player = hls.New(o.Store, func() time.Time { return s.now() })
	}
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxBody,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if uid, ok := socket.UserOf(conn); ok {
				ctx = context.WithValue(ctx, userKey{}, uid)
			}
			return context.WithValue(ctx, rightKey{}, socket.RightOf(conn))
		},
	}
	return s
}

// handler serves the table of routes.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for _, route := range Routes() {
		mux.HandleFunc(route.Method+" "+route.Path, func(w http.ResponseWriter, r *http.Request) { s.answer(route, w, r) })
	}
	return patience.WholeBodies(mux, maxBody, bodyTimeout, refuseBody)
}

// rightKey is the key of a connection's right in its context.
type rightKey struct{}

// userKey is the key of the number of a connection's user in its context.
type userKey struct{}

// whoKey is the key of the name of who makes a request that did not come by a connection of the server's own.
type whoKey struct{}

// Serve answers a request that came another way than by the socket, such as from a browser: with the right that was found there, from
// who, a name for people. Routes of the socket alone do not exist for it.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, right Right, who string) {
	ctx := context.WithValue(context.WithValue(r.Context(), rightKey{}, right), whoKey{}, who)
	s.http.Handler.ServeHTTP(w, r.WithContext(ctx))
}

// answer serves a request of a route.
func (s *Server) answer(route Route, w http.ResponseWriter, r *http.Request) {
	if !s.begin() {
		panic(http.ErrAbortHandler)
	}
	defer s.serving.Done()
	timed := patience.NewWriter(w, s.stall)
	answer, err := s.checked(route, timed, r)
	switch {
	case err != nil:
		writeError(timed, err)
	case answer != nil:
		s.writeJSON(timed, answer)
	}
}

// checked serves a request whose right and parameters are as the route wants them.
func (s *Server) checked(route Route, w *patience.Writer, r *http.Request) (answer any, err error) {
	right, _ := r.Context().Value(rightKey{}).(Right)
	browser := r.Context().Value(whoKey{}) != nil
	if right < route.Right {
		who := "root, the agent's own user and members of its group: run it with sudo"
		if browser {
			who = "the role operate: sign in with it"
		}
		return nil, &Error{http.StatusForbidden, codeRights, fmt.Sprintf("%s %s is for %s", route.Method, route.Path, who)}
	}
	if browser && route.Socket {
		return nil, errNotHere
	}
	q, err := query.Parse(route.Path, route.Params, r)
	if err != nil {
		return nil, badQuery("%v", err)
	}
	if route.Most > 0 {
		one := running{route.Path, right}
		if !s.enter(one, route.Most) {
			w.Header().Set("Retry-After", "5")
			return nil, &Error{http.StatusServiceUnavailable, codeBusy,
				fmt.Sprintf("as many requests of %s are being served as may be (%d): try again when one has ended", route.Path, route.Most)}
		}
		defer s.finish(one)
	}
	return route.serve(s, &request{Request: r, Query: q, w: w, body: patience.Body(r)})
}

// enter counts a request; it is false when there are as many as there may be.
func (s *Server) enter(one running, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[one] >= most {
		return false
	}
	s.running[one]++
	return true
}

func (s *Server) finish(one running) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[one]--
}

// Run serves until ctx ends, then removes the socket. A socket that somebody removes meanwhile is made again.
func (s *Server) Run(ctx context.Context) error {
	watching, end := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { s.listener.Watch(watching, s.o.Component, s.o.Log) })
	defer watch.Wait()
	defer end()
	return s.serve(ctx, s.listener)
}

// serve answers on a listener until ctx ends. Requests end with ctx, too.
func (s *Server) serve(ctx context.Context, l net.Listener) error {
	s.http.BaseContext = func(net.Listener) context.Context { return ctx }
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(ended); s.close() })
	defer func() {
		if !stop() {
			<-ended
		}
	}()
	if err := s.http.Serve(socket.Bounded(l, busyAnswer)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the local API stopped: %w", err)
	}
	return nil
}

// begin counts a request that is served; it is false when the server has ended.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.serving.Add(1)
	return true
}

// close ends the server: requests that are nearly done are answered, all others are cut off.
func (s *Server) close() {
	patience, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = s.http.Shutdown(patience)
	_ = s.http.Close()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	patience, cancel = context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	ended := make(chan struct{})
	go func() { defer close(ended); s.serving.Wait() }()
	select {
	case <-ended:
	case <-patience.Done():
		logevent.RequestStuck.Log(s.o.Log)
	}
}

func (s *Server) writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", typeJSON)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		s.o.Log.Debug("client of the local API disconnected", zap.Error(err))
	}
}
