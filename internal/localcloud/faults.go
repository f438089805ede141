package localcloud

import (
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// Faults makes services fail. Those of the data plane are in Media().Faults(). All methods may be
// called at any time from any goroutine.
type Faults struct {
	cloud *Cloud

	mu      sync.Mutex
	cut     bool
	gates   []*gate
	refused map[string]*media.HTTPError // by "secret ARN" or "operation NAME"
}

func newFaults(c *Cloud) *Faults { return &Faults{cloud: c, refused: map[string]*media.HTTPError{}} }

// CutOff resets all connections, and every new one at once, as if the internet were gone.
func (f *Faults) CutOff() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = true
	for _, g := range f.gates {
		g.resetAll()
	}
}

// Restore ends CutOff.
func (f *Faults) Restore() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = false
}

// RevokeCertificate makes the certificate of a thing worthless: no connection to the broker, no
// new credentials. Credentials given before stay good, as in AWS. It lasts beyond a restart.
func (f *Faults) RevokeCertificate(thing string) error {
	if err := f.cloud.update(func(d *document) error { d.Revoked[thing] = true; return nil }); err != nil {
		return fmt.Errorf("cannot revoke the certificate of thing %s: %w", thing, err)
	}
	f.cloud.broker.disconnect(thing)
	return nil
}

// RefuseSecret answers every reading of that secret with that error, AccessDeniedException for
// example. An empty name ends it.
func (f *Faults) RefuseSecret(arn, errName string) {
	f.refuse("secret "+arn, http.StatusBadRequest, errName)
}

// RefuseOperation answers an operation, DescribeStream for example, with that error. An empty
// name ends it.
func (f *Faults) RefuseOperation(operation string, status int, errName string) {
	f.refuse("operation "+operation, status, errName)
}

func (f *Faults) refuse(key string, status int, errName string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if errName == "" {
		delete(f.refused, key)
		return
	}
	f.refused[key] = &media.HTTPError{Status: status, Name: errName, Message: "injected: " + errName}
}

// strike gives the error that is ordered for something, or nil.
func (f *Faults) strike(key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refused[key]; err != nil {
		return err
	}
	return nil
}

// gate is a listener whose connections can be reset.
type gate struct {
	*net.TCPListener
	faults *Faults
	conns  map[*net.TCPConn]bool // guarded by faults.mu
}

func (f *Faults) gate(l *net.TCPListener) *gate {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := &gate{TCPListener: l, faults: f, conns: map[*net.TCPConn]bool{}}
	f.gates = append(f.gates, g)
	return g
}

// Accept gives the next connection that is not cut off. It is a bare *net.TCPConn, because package
// media asks for one when it resets a connection itself.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.AcceptTCP()
		if err != nil {
			return nil, err
		}
		if g.admit(conn) {
			return conn, nil
		}
	}
}

func (g *gate) admit(conn *net.TCPConn) bool {
	g.faults.mu.Lock()
	defer g.faults.mu.Unlock()
	if g.faults.cut {
		reset(conn)
		return false
	}
	for old := range g.conns {
		if isClosed(old) {
			delete(g.conns, old)
		}
	}
	g.conns[conn] = true
	return true
}

// resetAll is called with faults.mu held.
func (g *gate) resetAll() {
	for conn := range g.conns {
		reset(conn)
	}
	clear(g.conns)
}

func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0) // where it fails the connection is gone already
	_ = conn.Close()
}

// isClosed reports whether our side closed the connection: Go gives no other sign of it.
func isClosed(conn *net.TCPConn) bool {
	raw, err := conn.SyscallConn()
	return err != nil || raw.Control(func(uintptr) {}) != nil
}
