package agent

import (
	"crypto/tls"
	"sync"

	"go.uber.org/zap"
)

// deviceCertificate is the hub's certificate with its key, read anew for every connection: fleets
// rotate them by replacing the files. Safe for concurrent use.
type deviceCertificate struct {
	files IoTSettings
	log   *zap.Logger

	mu   sync.Mutex
	last *tls.Certificate // what fitted last, guarded by mu
}

// rotating makes config present what is in the files when a connection is made.
func rotating(config *tls.Config, files IoTSettings, log *zap.Logger) {
	d := &deviceCertificate{files: files, log: log, last: &config.Certificates[0]}
	config.GetClientCertificate = d.get
}

// get implements tls.Config.GetClientCertificate. While the files cannot be read or do not fit, as
// between the replacement of one and of the other, those of before hold.
func (d *deviceCertificate) get(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	pair, err := d.files.pair()
	if err != nil {
		d.log.Warn("the device certificate cannot be read anew; the one from before is used", zap.Error(err))
		return d.last, nil
	}
	if !d.last.Leaf.Equal(pair.Leaf) {
		d.log.Info("the device certificate was replaced", zap.Time("validUntil", pair.Leaf.NotAfter))
		d.last = &pair
	}
	return d.last, nil
}
