package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// line is the hub's way to the cloud. Safe for concurrent use.
type line struct {
	accepted chan net.Conn
	closed   chan struct{}

	mu      sync.Mutex
	state   lineState
	conns   map[*wire]bool
	latency time.Duration
}

type lineState uint8

const (
	lineUp    lineState = iota
	lineDown            // nothing can be reached
	lineBlack           // everything is swallowed
)

func newLine() *line {
	return &line{accepted: make(chan net.Conn), closed: make(chan struct{}), conns: make(map[*wire]bool)}
}

// Accept implements net.Listener.
func (l *line) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepted:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *line) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

// Addr implements net.Listener.
func (*line) Addr() net.Addr { return &net.TCPAddr{} }

var errUnreachable = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("network is unreachable")}

func (l *line) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	l.mu.Lock()
	state := l.state
	l.mu.Unlock()
	switch state {
	case lineDown:
		return nil, errUnreachable
	case lineBlack:
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
		}
		return nil, errUnreachable
	}
	here, there := net.Pipe()
	w := &wire{Conn: here, line: l, closed: make(chan struct{})}
	l.mu.Lock()
	l.conns[w] = true
	l.mu.Unlock()
	select {
	case l.accepted <- there:
		return w, nil
	case <-l.closed:
		return nil, errUnreachable
	}
}

// set changes the line. What ends a connection ends both of its ends.
func (l *line) set(s lineState, latency time.Duration) {
	l.mu.Lock()
	l.state, l.latency = s, latency
	l.mu.Unlock()
	if s == lineDown {
		l.cut()
	}
}

// cut ends all connections.
func (l *line) cut() {
	l.mu.Lock()
	var list []*wire
	for w := range l.conns {
		list = append(list, w)
	}
	l.mu.Unlock()
	for _, w := range list {
		_ = w.Conn.Close()
	}
}

// wire is a connection.
type wire struct {
	net.Conn
	line   *line
	once   sync.Once
	closed chan struct{} // by this end: what reads and writes then ends at once, as that of a socket does
}

func (w *wire) wait() {
	for {
		w.line.mu.Lock()
		state, latency := w.line.state, w.line.latency
		w.line.mu.Unlock()
		again := state == lineBlack
		if again {
			latency = time.Second
		}
		if latency > 0 {
			select {
			case <-time.After(latency):
			case <-w.closed:
				return
			}
		}
		if !again {
			return
		}
	}
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) {
	w.wait()
	return w.Conn.Write(p)
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.wait()
	return n, err
}

// Close implements net.Conn.
func (w *wire) Close() error {
	w.line.mu.Lock()
	delete(w.line.conns, w)
	w.line.mu.Unlock()
	w.once.Do(func() { close(w.closed) })
	return w.Conn.Close()
}

// cloud is Kinesis Video Streams: the media service of the local cloud, and the few calls of the control plane that uploads need.
type cloud struct {
	dir    string
	line   *line
	server *http.Server
	served sync.WaitGroup
	begin  time.Time
	stored func(stream string, f media.Fragment, data []byte)

	mu      sync.Mutex
	service *media.Service // guarded by mu, as all below
	count   int
	streams map[string]bool
	failing int64 // of 1000 requests
	random  *rand.Rand
}

const cloudURL = "http://kinesis"

// retentionHours is how long the cloud keeps media.
const retentionHours = 24 * 365

func newCloud(dir string, l *line, random *rand.Rand, stored func(string, media.Fragment, []byte)) (*cloud, error) {
	c := &cloud{dir: dir, line: l, streams: make(map[string]bool), random: random, stored: stored, begin: time.Now()}
	if err := c.renew(); err != nil {
		return nil, err
	}
	c.server = &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: c}
	c.served.Go(func() { _ = c.server.Serve(l) })
	return c, nil
}

// renew takes what the service has stored into account, and continues with another one, as connections end when a host of the service is
// renewed. What was stored does not stay in memory.
func (c *cloud) renew() error {
	c.mu.Lock()
	old, dir := c.service, filepath.Join(c.dir, fmt.Sprint(c.count))
	c.count++
	c.mu.Unlock()
	service, err := media.New(media.Options{Dir: dir, Streams: c})
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.service = service
	c.mu.Unlock()
	if old == nil {
		return nil
	}
	return c.harvest(old, filepath.Join(c.dir, fmt.Sprint(c.count-2)))
}

// harvest passes on what a service has stored, and removes it.
func (c *cloud) harvest(service *media.Service, dir string) error {
	if err := service.Close(); err != nil {
		return err
	}
	for _, stream := range service.Stored() {
		files := make(map[string][]byte)
		for _, f := range service.Fragments(stream) {
			data, known := files[f.File]
			if !known {
				var err error
				if data, err = os.ReadFile(filepath.Join(dir, f.File)); err != nil {
					return err
				}
				files[f.File] = data
			}
			c.stored(stream, f, data[f.Offset:f.Offset+f.Bytes])
		}
	}
	return os.RemoveAll(dir)
}

// Stream implements media.StreamLookup.
func (c *cloud) Stream(name string) (media.StreamInfo, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return media.StreamInfo{Name: name, RetentionHours: retentionHours, Status: "ACTIVE"}, c.streams[name]
}

func (c *cloud) create(stream string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams[stream] = true
}

func (c *cloud) now() *media.Service {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.service
}

func (c *cloud) setFailing(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failing = n
}

// ServeHTTP implements http.Handler.
func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	fails := c.failing > 0 && c.random.Int64N(1000) < c.failing
	c.mu.Unlock()
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	if fails {
		w.Header().Set("X-Amzn-ErrorType", "InternalFailure")
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	var in struct{ StreamName string }
	if strings.HasPrefix(r.URL.Path, "/getDataEndpoint") || strings.HasPrefix(r.URL.Path, "/describeStream") {
		_ = json.NewDecoder(r.Body).Decode(&in)
	}
	switch r.URL.Path {
	case "/getDataEndpoint":
		answer(map[string]string{"DataEndpoint": cloudURL})
	case "/describeStream":
		answer(map[string]any{"StreamInfo": map[string]any{"StreamName": in.StreamName, "DataRetentionInHours": retentionHours}})
	default:
		c.now().ServeHTTP(w, r)
	}
}

// close ends the cloud, and passes on what it has.
func (c *cloud) close() error {
	err := errors.Join(c.server.Close(), c.line.Close())
	c.line.cut()
	c.served.Wait()
	return errors.Join(err, c.harvest(c.now(), filepath.Join(c.dir, fmt.Sprint(c.count-1))))
}
