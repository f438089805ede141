package camera

import (
	"cmp"
	"context"
	"crypto/x509"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/traffic"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// The values of Options.Transport.
const (
	TransportAuto      = "auto" // TCP, else UDP, else multicast: what works for a camera is remembered
	TransportTCP       = "tcp"
	TransportUDP       = "udp"
	TransportMulticast = "multicast"
)

// Options of a Source.
type Options struct {
	// URL returns the camera's URL whenever a session begins. Its error is shown as it is. Required.
	URL func(ctx context.Context) (secret.String, error)
	// Transport is how RTP comes: TransportAuto, TransportTCP, TransportUDP or TransportMulticast. Default TransportAuto.
	Transport string
	// NoAudio leaves the camera's audio out.
	NoAudio bool
	// Roots sign the certificates of rtsps:// cameras. Default: the system's roots.
	Roots *x509.CertPool
	// Limits bound sessions. Default: DefaultLimits.
	Limits Limits
	// Now is the hub's clock, with its monotonic reading. Default time.Now.
	Now func() time.Time
	// Log. Default none.
	Log *zap.Logger
	// WrapCodec lets tests put errors into what is known of the codec. Default none.
	WrapCodec func(accessunit.Codec) accessunit.Codec
}

func (o Options) withDefaults() Options {
	o.Limits = o.Limits.orDefault()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return o
}

// of returns the options for a camera at an endpoint, whose URL may say how RTP comes.
func (o Options) of(at endpoint) Options {
	o.Transport = cmp.Or(at.Transport, o.Transport)
	return o
}

// Limits bound a session. Those that are zero are DefaultLimits.
type Limits struct {
	// Stall is how long a session may bring no video, and StallCheck how often that is looked at.
	Stall, StallCheck time.Duration
	// Answer bounds connecting, and the wait for an answer.
	Answer time.Duration
	// Opening bounds all of it until the camera plays.
	Opening time.Duration
	// Close bounds the wait for what a camera sent before it was told that the session ends.
	Close time.Duration
	// Bytes is how many bytes of RTP payload may come within 10 s.
	Bytes int64
	// AccessUnit is how large an access unit may be, in bytes: accessunit.MaxBytes, or less.
	AccessUnit int
}

// DefaultLimits are those that an agent has.
func DefaultLimits() Limits {
	return Limits{
		Stall: 10 * time.Second, StallCheck: time.Second, Answer: 10 * time.Second, Opening: 30 * time.Second,
		Close: 2 * time.Second, Bytes: traffic.MaxPayload, AccessUnit: accessunit.MaxBytes,
	}
}

func (l Limits) orDefault() Limits {
	or := func(of *time.Duration, value time.Duration) {
		if *of == 0 {
			*of = value
		}
	}
	d := DefaultLimits()
	or(&l.Stall, d.Stall)
	or(&l.StallCheck, d.StallCheck)
	or(&l.Answer, d.Answer)
	or(&l.Opening, d.Opening)
	or(&l.Close, d.Close)
	if l.Bytes == 0 {
		l.Bytes = d.Bytes
	}
	if l.AccessUnit == 0 {
		l.AccessUnit = d.AccessUnit
	}
	return l
}
