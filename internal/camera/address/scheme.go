package address

import (
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// The values of Address.Transport.
const (
	TCP = "tcp"
	UDP = "udp"
)

// The ports of cameras whose URL has none.
const (
	portRTSP  = "554"
	portRTSPS = "322"
	portHTTP  = "80"
	portHTTPS = "443"
)

// scheme is the meaning of a URL's scheme for the connection to the camera.
type scheme struct {
	transport string // TCP, UDP, or "" where the setting decides
	tls       bool
	tunnel    bool // RTSP goes through HTTP
}

// schemes are the schemes that players accept, in lower case: those of RFC 7826, of QuickTime and of GStreamer, which appends t, u and h
// to rtsp or rtsps, and equivalents of other players.
var schemes = map[string]scheme{
	"rtsp":       {},
	"rtspt":      {transport: TCP},
	"rtsp+tcp":   {transport: TCP},
	"rtspu":      {transport: UDP},
	"rtsp+udp":   {transport: UDP},
	"rtsph":      {transport: TCP, tunnel: true},
	"rtsp+http":  {transport: TCP, tunnel: true},
	"rtsps":      {tls: true},
	"rtsp+tls":   {tls: true},
	"rtspx":      {tls: true}, // of go2rtc, which does not check the certificate
	"rtspst":     {transport: TCP, tls: true},
	"rtspts":     {transport: TCP, tls: true},
	"rtspsu":     {transport: UDP, tls: true},
	"rtspsh":     {transport: TCP, tls: true, tunnel: true},
	"rtsphs":     {transport: TCP, tls: true, tunnel: true},
	"rtsps+http": {transport: TCP, tls: true, tunnel: true},
	"rtsp+https": {transport: TCP, tls: true, tunnel: true},
}

// port is the default port of the scheme.
func (s scheme) port() string {
	switch {
	case s.tls && s.tunnel:
		return portHTTPS
	case s.tunnel:
		return portHTTP
	case s.tls:
		return portRTSPS
	default:
		return portRTSP
	}
}

// foreign are known schemes of other protocols. Other schemes are not shown: they may be part of a password.
var foreign = []string{
	"rtmp", "rtmps", "srt", "rtp", "udp", "tcp", "mms", "mmsh", "onvif", "webrtc", "ws", "wss", "rtsp+ws", "rtsps+ws", "ftp", "dav", "vapix",
}

// code is the code of conditions that end a session: one camera has one sentence.
const code = "camera"

var errNotURL = health.UserFault(code, nil, "The MediaURI in the camera's secret is not a URL such as "+
	"rtsp://user:password@192.168.1.20:554/path: correct it.")

// schemeFault returns the sentence for a URL of another scheme.
func schemeFault(name string) error {
	switch {
	case name == "file":
		return health.UserFault(code, nil, "The MediaURI in the secret is that of a file, but the configuration says "+
			"RTSP_URI: set its MediaUriType to FILE_URI.")
	case name == "http":
		return health.UserFault(code, nil, "The MediaURI in the camera's secret begins with http://: "+
			"write rtsph:// for RTSP that is tunnelled through HTTP, or the camera's address for RTSP, which begins with rtsp://.")
	case name == "https":
		return health.UserFault(code, nil, "The MediaURI in the camera's secret begins with https://: "+
			"write rtspsh:// for RTSP that is tunnelled through HTTPS, or the camera's address for RTSP, which begins with rtsp://.")
	case slices.Contains(foreign, strings.ToLower(name)):
		return health.UserFault(code, nil, "The MediaURI in the camera's secret begins with %s://, but cameras are recorded over RTSP: "+
			"write the camera's address for RTSP, such as rtsp://user:password@192.168.1.20:554/path.", name)
	}
	return errNotURL
}
