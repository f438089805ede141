package fakecam

import (
	"crypto/tls"
	"net"
	"time"
)

// Oddities are faults of cameras. The zero value is a camera without faults.
type Oddities struct {
	// Wire is called with each RTP packet of the video and returns the packets that are sent instead: none, it,
	// another, or several. Sessions that overlap call it one after the other. It may keep nothing.
	Wire func(Packet) []Packet
	// Conn wraps each connection, for oddities below RTSP.
	Conn func(net.Conn) net.Conn
	// Redirect is where DESCRIBE requests are sent instead of being answered. Default none.
	Redirect func() string
	// NonceUses is how many requests a digest nonce is good for. Default: any number.
	NonceUses int
	// Refuse says of each SETUP, for UDP or TCP, whether it is refused. Default none is.
	Refuse func(udp bool) bool
	// BasicOnly offers no digest authentication.
	BasicOnly bool
	// NoKeepalive answers GET_PARAMETER with an error.
	NoKeepalive bool
	// NoPause answers PAUSE with an error, and continues to send.
	NoPause bool
	// Lifetime is when a session ends, however well it goes. Default never.
	Lifetime time.Duration
	// Clock is what the camera's clock shows, in its sender reports. Default time.Now.
	Clock func() time.Time
	// Pace is how fast the timestamps of the video run, in their seconds per second of true time. Default 1.
	Pace float64
	// StrayEvery stamps every so many-th frame of the video five hours back. Default none.
	StrayEvery uint64
	// Backlog is how much video a session gets at once when it begins, which the camera has kept. Default none.
	Backlog time.Duration
	// MoreTracks announces metadata, a second video and a back channel beside the first video.
	MoreTracks bool
	// NoVideo announces the audio only.
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
