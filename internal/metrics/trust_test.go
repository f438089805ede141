package metrics

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
)

// trusting is a client that trusts the roots of the local cloud only.
func trusting(pem []byte) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
}
