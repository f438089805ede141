package fakecam

import (
	"crypto/tls"
	"net"
	"time"
)

// Oddities are faults of cameras. The zero value is a camera without faults.
type Oddities struct {
	// Wire is called with each RTP packet of the video and returns the packets that are sent instead: none, it,
	// another, or several. Overlapping sessions call it one after the other. It must not keep its arguments.
	Wire func(Packet) []Packet
	// Conn wraps each connection, for oddities below RTSP.
	Conn func(net.Conn) net.Conn
	// Redirect is where DESCRIBE requests are sent instead of being answered. Default none.
	Redirect func() string
	// NonceUses is how many requests a digest nonce is good for. Default: any number.
	NonceUses int
	// Refuse returns whether a SETUP, for UDP or TCP, is refused. Default none is.
	Refuse func(udp bool) bool
	// BasicOnly offers no digest authentication.
	BasicOnly bool
	// NoKeepalive answers GET_PARAMETER with an error.
	NoKeepalive bool
	// NoPause answers PAUSE with an error, and continues to send.
	NoPause bool
	// Lifetime is the time after which a session ends in any case. Default never.
	Lifetime time.Duration
	// Clock is the camera's clock, as shown in its sender reports. Default time.Now.
	Clock func() time.Time
	// Pace is the speed of the video's timestamps, in seconds per second of true time. Default 1.
	Pace float64
	// StrayEvery stamps every n-th frame of the video five hours back. Default none.
	StrayEvery uint64
	// Backlog is how much buffered video a session gets at once at its start. Default none.
	Backlog time.Duration
	// MoreTracks announces metadata, a second video and a back channel besides the first video.
	MoreTracks bool
	// NoVideo announces only the audio.
	NoVideo bool
	// TLS makes it a rtsps:// camera with this certificate. Default none.
	TLS *tls.Certificate
}

// Packet is an RTP packet of the video.
type Packet struct {
	Sequence  uint16
	Timestamp uint32
	Marker    bool
	Payload   []byte
	Frame     uint64 // counter of its frame, for the hook's own decisions
}

// The values of Options.Audio.
const (
	AudioAAC   = "aac"  // AAC-LC, 16 kHz, mono
	AudioMuLaw = "pcmu" // G.711
	AudioALaw  = "pcma"
)
