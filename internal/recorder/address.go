package recorder

import (
	neturl "net/url"

	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// Address is the part of a camera's URL that distinguishes cameras. Its query may hold a password.
type Address struct {
	Host  string // as it is in the URL, with or without a port
	Path  string
	Query neturl.Values // without the certificate's fingerprint
}

// ParseAddress reads a camera's URL as a Recorder does. Its error is a *health.Fault without a secret.
func ParseAddress(url secret.String) (Address, error) {
	cam, err := parseCamera(url)
	if err != nil {
		return Address{}, err
	}
	query := (*neturl.URL)(cam.url).Query()
	query.Del(fingerprintParameter)
	return Address{Host: cam.url.Host, Path: cam.url.Path, Query: query}, nil
}
