// Package web serves the local API and pages about it to browsers: where it listens, TLS, who is signed in, and what protects that from
// other sites. It must not know how anything is recorded or uploaded: all that it shows comes from the local API, whose client it is.
package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/web/signin"
	"github.com/kvs-edge/kvs-edge-agent/internal/web/weblink"
)

const (
	headerTimeout  = 5 * time.Second // for the header of a request, and for a handshake
	idleTimeout    = 2 * time.Minute // of a connection without a request
	closeTimeout   = 2 * time.Second // for requests to end when the agent stops
	maxHeader      = 16 << 10        // bytes
	stallTime      = time.Minute     // for a client to read more of a page; the local API has times of its own
	retryEvery     = 5 * time.Second // how often an address is tried that cannot be used
	certificateTry = time.Minute     // how often the certificate is checked without a handshake
)

// CodeAddress is the condition that the pages cannot be served, CodeCertificate that of their certificate.
const (
	CodeAddress     = "web-address"
	CodeCertificate = "web-certificate"
)

const (
	scopeAddress     health.Scope = "web-address"
	scopeCertificate health.Scope = "web-certificate"
)

// Options are what a Server serves, and where.
type Options struct {
	// Address is host:port. Without a host it is that of this machine alone; port 0 is any.
	Address string
	// Certificate and Key are the operator's files; empty: none.
	Certificate, Key string
	// Variable names of the three, for people.
	AddressVariable, CertificateVariable, KeyVariable string
	// Dir is the state directory.
	Dir statefile.Dir
	// Thing is the hub's name.
	Thing string
	// Hostname is what the machine is called in its network.
	Hostname string
	// API answers a request of the local API with a right, from who, a name for people.
	API       func(w http.ResponseWriter, r *http.Request, right localapi.Right, who string)
	Component *health.Component
	Log       *zap.Logger
	Now       func() time.Time
}

// Server serves browsers. Safe for concurrent use.
type Server struct {
	o           Options
	gate        *signin.Gate
	links       *weblink.Maker
	certificate *certificate // nil: plain HTTP
	assets      *assets
	cookie      string // the name of the session's cookie

	mu    sync.Mutex
	bound net.Addr // nil while nothing listens; guarded by mu
}

// New returns a server that does not listen yet.
func New(o Options) (*Server, error) {
	host, port, err := net.SplitHostPort(o.Address)
	if err == nil {
		if _, bad := strconv.ParseUint(port, 10, 16); bad != nil {
			err = errors.New("the port is a number up to 65535")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s is %q, but must be [host]:port: %w", o.AddressVariable, o.Address, err)
	}
	s := &Server{o: o, gate: signin.Open(signin.Options{Dir: o.Dir, Now: o.Now, Log: o.Log}), links: weblink.New(o.Now)}
	if s.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if o.Certificate != "" || !isLoopback(host) {
		s.certificate = newCertificate(o)
	}
	s.cookie = cookieName(o, s.certificate != nil)
	return s, nil
}

// isLoopback reports whether a host to listen on is this machine alone.
func isLoopback(host string) bool {
	if host == "" || host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// listen binds the address.
func (s *Server) listen() (net.Listener, error) {
	host, port, err := net.SplitHostPort(s.o.Address)
	if err != nil {
		return nil, err
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	return net.Listen("tcp", net.JoinHostPort(host, port))
}

// Run serves until ctx ends. While the address or the certificate cannot be used, a condition says so, and it is tried again.
func (s *Server) Run(ctx context.Context) error {
	defer s.gate.Close()
	for {
		err := s.serveOnce(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, errCertificate) { // which has a condition of its own
			s.report(err)
		}
		wait := time.NewTimer(retryEvery)
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-wait.C:
		}
	}
}

// errCertificate means that there is no certificate.
var errCertificate = errors.New("the certificate cannot be used")

// report reports that the pages cannot be served.
func (s *Server) report(err error) {
	fault := health.UserFault(CodeAddress, err, "The web pages cannot be served on %s (%s): %s. It is tried again; correct %s, or end the "+
		"program that uses the address.", s.o.Address, s.o.AddressVariable, reason(err), s.o.AddressVariable)
	if s.o.Component.Report(scopeAddress, health.Degraded, fault) {
		logevent.Condition(s.o.Log, fault)
	}
}

// reason is an error without what the sentence around it says.
func reason(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return health.Clean(err.Error(), health.MaxText)
}

// serveOnce listens and serves until ctx ends, or until that fails.
func (s *Server) serveOnce(ctx context.Context) error {
	if s.certificate != nil && !s.certificate.refresh() {
		return errCertificate
	}
	listener, err := s.listen()
	if err != nil {
		return err
	}
	s.setBound(listener.Addr())
	defer s.setBound(nil)
	s.o.Component.OK(scopeAddress)
	logevent.WebListening.Log(s.o.Log, zap.Stringer("address", listener.Addr()), zap.Bool("tls", s.certificate != nil))
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	server := s.newHTTP(ctx)
	if s.certificate != nil {
		watching.Go(func() { s.certificate.watch(ctx, certificateTry) })
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(ended); closeServer(server) })
	defer func() {
		if !stop() {
			<-ended
		}
	}()
	listener = boundConnections(listener)
	if s.certificate != nil {
		return server.ServeTLS(listener, "", "")
	}
	return server.Serve(listener)
}

func (s *Server) newHTTP(ctx context.Context) *http.Server {
	// HTTP/2 resets an answer whose deadline for the next write passes while there is nothing to write, as while the local API waits for
	// changes.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		Protocols:   protocols,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    stdlog.New(io.Discard, "", 0), // handshakes of strangers
	}
	if s.certificate != nil {
		server.TLSConfig = s.certificate.config()
	}
	return server
}

// closeServer ends requests, at first those that are nearly done by themselves.
func closeServer(server *http.Server) {
	patience, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = server.Shutdown(patience)
	_ = server.Close()
}

func (s *Server) setBound(addr net.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bound = addr
}

// Link makes a link that signs a browser in.
func (s *Server) Link(in localapi.WebLinkRequest) (out localapi.WebLink, err error) {
	role, err := signin.ParseRole(in.Role)
	if err != nil {
		return out, err
	}
	s.mu.Lock()
	bound := s.bound
	s.mu.Unlock()
	if bound == nil {
		return out, errors.New("the web pages are not served now: `kvs-edge-agent status` says why")
	}
	out.Address = bound.String()
	scheme := "http"
	if s.certificate != nil {
		scheme = "https"
		out.Fingerprint, out.SelfSigned = s.certificate.fingerprint()
		out.Names, out.Trouble = s.certificate.shown()
	}
	host, port, err := net.SplitHostPort(out.Address)
	if err != nil {
		return out, err
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = s.o.Hostname
		if len(out.Names) > 0 && !s.certificate.names(host) {
			host = out.Names[0]
		}
	}
	out.URL = scheme + "://" + net.JoinHostPort(host, port) + "/"
	token, expires := s.gate.Link(role)
	out.Path, out.Expires = "sign-in#link="+token, expires.UTC().Truncate(time.Second)
	return out, nil
}

// SetPassword sets the password of a role.
func (s *Server) SetPassword(ctx context.Context, in localapi.WebPassword) error {
	role, err := signin.ParseRole(in.Role)
	if err != nil {
		return err
	}
	return s.gate.SetPassword(ctx, role, in.Password)
}
