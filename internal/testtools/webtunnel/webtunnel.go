// Package webtunnel is a web server that carries RTSP through HTTP to a camera, as QuickTime has it, with what such servers do differently.
package webtunnel

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
)

// Options say what the server does differently.
type Options struct {
	TLS *tls.Config // of the server; nil: none

	Chunked     bool // the answer to GET comes in chunks, as that of a proxy
	OnlyVersion int  // of HTTP, 1.x: others are answered 505; 0: any
	// EarlyPost answers a POST at once, PostEnds ends each after a message, SilentEnd does so without an answer, and PostFails says 404 to
	// each although it takes what is in it.
	EarlyPost, PostEnds, SilentEnd, PostFails bool
	// Authorize returns the challenges for a request, none where it is good.
	Authorize func(r *http.Request) (challenges []string)
	// Redirect returns where a GET is sent to, "" for nowhere.
	Redirect func(r *http.Request) string
	// Page answers a GET instead of a tunnel: "404" and others, or "page".
	Page string
	// Mute has the server close connections that send no HTTP request. Default: it answers 400.
	Mute bool
}

// Server is a running server.
type Server struct {
	o        Options
	camera   string
	listener net.Listener
	group    sync.WaitGroup

	mu      sync.Mutex
	tunnels map[string]net.Conn // to the camera, by cookie
	conns   map[net.Conn]bool
	asked   []string
	got     bytes.Buffer // what the POSTs had, decoded
}

// New starts a server in front of a camera's host and port, until the test ends.
func New(tb testing.TB, camera string, o Options) *Server {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	if o.TLS != nil {
		listener = tls.NewListener(listener, o.TLS)
	}
	s := &Server{o: o, camera: camera, listener: listener, tunnels: make(map[string]net.Conn), conns: make(map[net.Conn]bool)}
	s.group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.group.Go(func() { s.serve(conn) })
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close()
		s.Hangup()
		s.group.Wait()
	})
	return s
}

// Address is the server's host and port.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Asked lists the requests of HTTP so far: their methods, and what came that was none.
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// Got is what the POSTs had in them so far.
func (s *Server) Got() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

// Hangup ends all connections.
func (s *Server) Hangup() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close()
	}
}

func (s *Server) hold(conn net.Conn) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[conn] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, conn)
		_ = conn.Close()
	}
}

func (s *Server) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, what)
}

func (s *Server) serve(conn net.Conn) {
	defer s.hold(conn)()
	r := bufio.NewReader(conn)
	request, err := http.ReadRequest(r)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			s.note("no HTTP")
			if !s.o.Mute {
				_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			}
		}
		return
	}
	s.note(request.Method)
	answer := func(status string, more ...string) {
		_, _ = fmt.Fprintf(conn, "HTTP/1.0 %s\r\n", status)
		for _, line := range more {
			_, _ = fmt.Fprintf(conn, "%s\r\n", line)
		}
		_, _ = io.WriteString(conn, "\r\n")
	}
	if s.o.OnlyVersion != 0 && request.ProtoMinor != s.o.OnlyVersion {
		answer("505 HTTP Version Not Supported")
		return
	}
	if s.o.Authorize != nil {
		if list := s.o.Authorize(request); len(list) > 0 {
			for i := range list {
				list[i] = "WWW-Authenticate: " + list[i]
			}
			answer("401 Unauthorized", list...)
			return
		}
	}
	switch request.Method {
	case http.MethodGet:
		s.get(conn, request, answer)
	case http.MethodPost:
		s.post(conn, r, request, answer)
	default:
		answer("400 Bad Request")
	}
}

// get carries what the camera sends.
func (s *Server) get(conn net.Conn, r *http.Request, answer func(string, ...string)) {
	if s.o.Redirect != nil {
		if to := s.o.Redirect(r); to != "" {
			answer("302 Found", "Location: "+to)
			return
		}
	}
	switch s.o.Page {
	case "":
	case "page":
		answer("200 OK", "Content-Type: text/html")
		_, _ = io.WriteString(conn, "<html>Sign in</html>")
		return
	default:
		answer(s.o.Page)
		return
	}
	camera, err := net.Dial("tcp", s.camera)
	if err != nil {
		return
	}
	defer s.hold(camera)()
	cookie := r.Header.Get("X-Sessioncookie")
	s.mu.Lock()
	s.tunnels[cookie] = camera
	s.mu.Unlock()
	if s.o.Chunked {
		answer("200 OK", "Content-Type: application/x-rtsp-tunnelled", "Transfer-Encoding: chunked")
		_, _ = io.Copy(chunker{conn}, camera)
		return
	}
	answer("200 OK", "Content-Type: application/x-rtsp-tunnelled")
	_, _ = io.Copy(conn, camera)
}

// chunker writes chunks.
type chunker struct{ to io.Writer }

func (c chunker) Write(p []byte) (int, error) {
	if _, err := fmt.Fprintf(c.to, "%x;x=1\r\n%s\r\n", len(p), p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// post carries requests, as many as the body has by its length.
func (s *Server) post(conn net.Conn, r *bufio.Reader, request *http.Request, answer func(string, ...string)) {
	s.mu.Lock()
	camera := s.tunnels[request.Header.Get("X-Sessioncookie")]
	s.mu.Unlock()
	length, err := strconv.Atoi(request.Header.Get("Content-Length"))
	if camera == nil || err != nil {
		answer("404 Not Found")
		return
	}
	switch {
	case s.o.PostFails:
		answer("404 Not Found")
	case s.o.EarlyPost:
		answer("200 OK", "Content-Length: 0")
	}
	var quad [4]byte
	var message []byte
	for n := 0; n+len(quad) <= length; n += len(quad) {
		if _, err := io.ReadFull(r, quad[:]); err != nil {
			return
		}
		part, err := base64.StdEncoding.DecodeString(string(quad[:]))
		if err != nil {
			answer("400 Bad Request")
			return
		}
		s.mu.Lock()
		s.got.Write(part)
		s.mu.Unlock()
		message = append(message, part...)
		if r.Buffered() == 0 || len(message) > 1000 {
			if _, err := camera.Write(message); err != nil {
				return
			}
			ends := bytes.HasSuffix(message, []byte("\r\n\r\n"))
			if message = message[:0]; ends && (s.o.PostEnds || s.o.SilentEnd) {
				if s.o.PostEnds {
					answer("200 OK", "Content-Length: 0")
				}
				return
			}
		}
	}
}
