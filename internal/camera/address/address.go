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

// fingerprintParameter of a URL for TLS pins the camera's certificate. It is not sent to the camera.
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
	return a, a.pin()
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

// pin takes the fingerprint out of a URL for TLS. On the port of HTTPS TLS is spoken whatever the scheme.
func (a *Address) pin() error {
	if !a.TLS && a.URL.Port() != portHTTPS {
		return nil
	}
	text := a.URL.Query().Get(fingerprintParameter)
	a.URL.RawQuery = withoutFingerprint(a.URL.RawQuery)
	if text == "" {
		return nil
	}
	sum, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil || len(sum) != sha256.Size {
		return health.UserFault(code, nil, "The fingerprint in the MediaURI of the camera at %s is not a SHA-256 of 64 "+
			"hexadecimal digits: correct it.", a.At)
	}
	a.Pinned = (*[sha256.Size]byte)(sum)
	return nil
}

// withoutFingerprint leaves the other parameters of a query as they are: cameras may count on their order.
func withoutFingerprint(query string) string {
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		if name, _, _ := strings.Cut(part, "="); name != fingerprintParameter {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "&")
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

// MayTunnel reports whether RTSP may go through HTTP where the camera answers as a web server does.
func (a Address) MayTunnel() bool { return a.Tunnel || a.Transport != UDP }

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
