package hub

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// codeCertificate is the condition of files that hold no usable pair, while the previous pair is used.
const codeCertificate = "device-certificate"

// scopeCertificate is reading the files of the device certificate.
const scopeCertificate health.Scope = "certificate"

// deviceCertificate is the hub's certificate with its key. Each connection looks whether the files
// are still those that were read: fleets rotate them by replacing the files. Safe for concurrent use.
type deviceCertificate struct {
	files  settings.IoT
	health *health.Component
	log    *zap.Logger

	mu   sync.Mutex
	last *tls.Certificate // what fitted last, guarded by mu
	read [2]fs.FileInfo   // of the files that last was read from; nil = they may be other ones, guarded by mu
}

// WatchCertificate makes config present what is in the files when a connection is made.
func WatchCertificate(config *tls.Config, files settings.IoT, component *health.Component, log *zap.Logger) {
	d := &deviceCertificate{files: files, health: component, log: log, last: &config.Certificates[0]}
	config.GetClientCertificate = d.get
}

// get implements tls.Config.GetClientCertificate. While the files cannot be read or do not match, as
// between the replacement of one and of the other, it returns the previous pair.
func (d *deviceCertificate) get(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	found := d.stat()
	if same(found[0], d.read[0]) && same(found[1], d.read[1]) {
		return d.last, nil
	}
	pair, err := d.files.Pair()
	d.read = [2]fs.FileInfo{}
	if err != nil {
		if f := d.unusable(err); d.health.Report(scopeCertificate, health.Degraded, f) {
			logevent.Condition(d.log, f)
		}
		return d.last, nil
	}
	if d.health.OK(scopeCertificate) {
		logevent.CertificateReadable.Log(d.log)
	}
	d.read = found
	if !d.last.Leaf.Equal(pair.Leaf) {
		logevent.CertificateReplaced.Log(d.log, zap.Time("validUntil", pair.Leaf.NotAfter))
		d.last = &pair
	}
	return d.last, nil
}

// stat returns the files' metadata, which costs far less than reading an RSA key; nil for a file that is
// missing, or so new that a further change might not change its modification time.
func (d *deviceCertificate) stat() (found [2]fs.FileInfo) {
	for i, path := range []string{d.files.Cert, d.files.PrivateKey} {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()).Abs() > time.Second {
			found[i] = info
		}
	}
	return found
}

func same(a, b fs.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// unusable says what is wrong with the files, of which err is what Pair returned.
func (d *deviceCertificate) unusable(err error) *health.Fault {
	const meanwhile = "connections still use the previous pair, which the next start no longer has."
	var file *fs.PathError
	if errors.As(err, &file) {
		return health.UserFault(codeCertificate, err,
			"The device certificate cannot be reloaded, as %s cannot be read (%s): put the file there, readable for the agent's user; "+meanwhile,
			file.Path, file.Err)
	}
	return health.UserFault(codeCertificate, err,
		"The device certificate cannot be reloaded, as the key in %s and the certificate in %s are damaged or do not match: copy both again "+
			"from the same creation; "+meanwhile,
		d.files.PrivateKey, d.files.Cert)
}
