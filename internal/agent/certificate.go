package agent

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"sync"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// codeCertificate is the condition of files that hold no usable pair, while that of before serves.
const codeCertificate = "device-certificate"

// deviceCertificate is the hub's certificate with its key, read anew for every connection: fleets
// rotate them by replacing the files. Safe for concurrent use.
type deviceCertificate struct {
	files  IoTSettings
	health *health.Part
	log    *zap.Logger

	mu   sync.Mutex
	last *tls.Certificate // what fitted last, guarded by mu
}

// rotating makes config present what is in the files when a connection is made.
func rotating(config *tls.Config, files IoTSettings, part *health.Part, log *zap.Logger) {
	d := &deviceCertificate{files: files, health: part, log: log, last: &config.Certificates[0]}
	config.GetClientCertificate = d.get
}

// get implements tls.Config.GetClientCertificate. While the files cannot be read or do not fit, as
// between the replacement of one and of the other, those of before hold.
func (d *deviceCertificate) get(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	pair, err := d.files.pair()
	if err != nil {
		if f := d.unusable(err); d.health.Raise(health.Degraded, f) {
			d.log.Warn("the device certificate was not replaced", zap.String("code", f.Code), zap.Error(f), zap.NamedError("cause", f.Err))
		}
		return d.last, nil
	}
	if d.health.Clear(codeCertificate) {
		d.log.Info("the device certificate can be read again")
	}
	if !d.last.Leaf.Equal(pair.Leaf) {
		d.log.Info("the device certificate was replaced", zap.Time("validUntil", pair.Leaf.NotAfter))
		d.last = &pair
	}
	return d.last, nil
}

// unusable says what is wrong with the files, of which err is what pair returned.
func (d *deviceCertificate) unusable(err error) *health.Fault {
	const meanwhile = "connections go on with the pair from before, which the next start no longer has."
	var file *fs.PathError
	if errors.As(err, &file) {
		return health.UserFault(codeCertificate, err,
			"The device certificate cannot be read anew, as %s cannot be read (%s): put the file there, readable for the agent's user; "+meanwhile,
			file.Path, file.Err)
	}
	return health.UserFault(codeCertificate, err,
		"The device certificate cannot be read anew, as the key in %s and the certificate in %s are damaged or do not fit: bring both again from the same creation; "+meanwhile,
		d.files.PrivateKey, d.files.Cert)
}
