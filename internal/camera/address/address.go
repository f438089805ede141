// Package address reads the URLs of cameras as people write them and as players take them. It knows nothing of how a camera
// is talked to, and its errors hold no secret.
package address

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/url"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// fingerprintParameter of a URL pins the camera's certificate. It is not sent to the camera.
const fingerprintParameter = "fingerprint"

// Address is what a camera's URL says.
type Address struct {
	// URL is what the camera is asked for, with user and password. Its scheme is "rtsp", or "rtsps" where RTSP comes directly over
	// TLS, and it has no fragment and none of the parameters that are ours.
	URL *url.URL
	// Host is the host as it was written, with or without a port.
	Host string
	// At is the host and the port.
	At string
	// Transport is how RTP comes: TCP, UDP, or "" where the setting decides.
	Transport string
	// TLS is whether the connection is encrypted, and Tunnel whether RTSP goes through HTTP on it.
	TLS, Tunnel bool
	// Pinned is the SHA-256 of the camera's certificate. nil: any that is signed will do.
	Pinned *[sha256.Size]byte
	// AnySource is whether packets over UDP may come from any address.
	AnySource bool
}

// Parse reads the URL of a camera. Its error is a *health.Fault.
func Parse(text secret.String) (Address, error) {
	name, rest, ok := strings.Cut(Tidy(text.Reveal()), "://")
	name = strings.ToLower(name)
	kind, known := schemes[name]
	if !ok || hasControl(rest) {
		return Address{}, errNotURL
	}
	if !known {
		return Address{}, schemeFault(name)
	}
	u := read(rest)
	if u == nil || u.Hostname() == "" { // what is wrong would quote the password
		return Address{}, errNotURL
	}
	if ambiguous(rest, u) {
		return Address{}, health.UserFault(code, nil, "The MediaURI in the camera's secret can be read as that of two hosts: "+
			"write @ as %%40, and / as %%2F, in the user name, the password and the path.")
	}
	a := Address{URL: u, Host: u.Host, Transport: kind.transport, TLS: kind.tls, Tunnel: kind.tunnel}
	a.setPort(kind)
	if kind.tls && !kind.tunnel {
		u.Scheme = "rtsps"
	}
	u.RawQuery, a.AnySource = takeSource(u.RawQuery)
	return a, a.pin(kind.tls || a.OnTLSPort())
}

// setPort completes the host.
func (a *Address) setPort(kind scheme) {
	if a.URL.Port() != "" {
		a.At = a.URL.Host
		return
	}
	a.URL.Host = strings.TrimSuffix(a.URL.Host, ":")
	a.At = net.JoinHostPort(a.URL.Hostname(), kind.port())
	if kind.tunnel { // the port of rtsp:// would be another one
		a.URL.Host = a.At
	}
}

// pin takes the fingerprint out of a URL of any scheme, as a camera may send us to where TLS is spoken. One that is none is a mistake
// where that is certain, and else a parameter of the camera's. The others stay as they are: cameras may count on their order.
func (a *Address) pin(certain bool) error {
	var kept []string
	for part := range strings.SplitSeq(a.URL.RawQuery, "&") {
		name, value, _ := strings.Cut(part, "=")
		sum := fingerprint(value)
		switch {
		case name != fingerprintParameter || sum == nil && !certain:
			kept = append(kept, part)
		case sum == nil && value != "":
			return health.UserFault(code, nil, "The fingerprint in the MediaURI of the camera at %s is not a SHA-256 of 64 "+
				"hexadecimal digits: correct it.", a.At)
		case a.Pinned == nil:
			a.Pinned = sum
		}
	}
	a.URL.RawQuery = strings.Join(kept, "&")
	return nil
}

// fingerprint is the SHA-256 that the value of a parameter is, nil when it is none.
func fingerprint(value string) *[sha256.Size]byte {
	text, err := url.QueryUnescape(value)
	if err != nil {
		return nil
	}
	sum, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil || len(sum) != sha256.Size {
		return nil
	}
	return (*[sha256.Size]byte)(sum)
}

// anySource is the parameter, with its value, by which packets over UDP are taken from any address.
const anySource = "source=any"

// takeSource takes it out of a query, of which nothing else changes: the rest is the camera's.
func takeSource(query string) (rest string, found bool) {
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		if strings.EqualFold(part, anySource) {
			found = true
		} else {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "&"), found
}

// Query is that of the URL without the certificate's fingerprint. It may hold a password.
func (a Address) Query() url.Values {
	query := a.URL.Query()
	query.Del(fingerprintParameter)
	return query
}

// OnWebPort reports whether the port is one on which cameras have their web server.
func (a Address) OnWebPort() bool {
	_, port, _ := net.SplitHostPort(a.At)
	return port == portHTTP || port == portHTTPS || port == "8080" || port == "8443"
}

// OnTLSPort reports whether the port is one on which web servers speak TLS.
func (a Address) OnTLSPort() bool {
	_, port, _ := net.SplitHostPort(a.At)
	return port == portHTTPS || port == "8443"
}

// HostOf is where the camera of a URL is, without its user and password; "" when it is not the URL of a camera.
func HostOf(text secret.String) string {
	a, err := Parse(text)
	if err != nil {
		return ""
	}
	return a.At
}
