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
	TransportAuto      = "auto" // TCP, else UDP, else multicast; the one that works for a camera is remembered
	TransportTCP       = "tcp"
	TransportUDP       = "udp"
	TransportMulticast = "multicast"
)

// Options of a Source.
type Options struct {
	// URL returns the camera's URL at the start of each session. Its error is shown unchanged. Required.
	URL func(ctx context.Context) (secret.String, error)
	// Transport is the transport of RTP: TransportAuto, TransportTCP, TransportUDP or TransportMulticast. Default TransportAuto.
	Transport string
	// NoAudio leaves the camera's audio out.
	NoAudio bool
	// Roots verify the certificates of rtsps:// cameras. Default: the system's roots.
	Roots *x509.CertPool
	// Limits bound sessions. Default: DefaultLimits.
	Limits Limits
	// Now is the hub's clock, with its monotonic reading. Default time.Now.
	Now func() time.Time
	// Log. Default none.
	Log *zap.Logger
	// WrapCodec lets tests inject faults into the codec. Default none.
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

// of returns the options for a camera at an endpoint, whose URL may name the transport.
func (o Options) of(at endpoint) Options {
	o.Transport = cmp.Or(at.Transport, o.Transport)
	return o
}

// Limits bound a session. Fields that are zero have the value of DefaultLimits.
type Limits struct {
	// Stall is how long a session may have no video, and StallCheck how often that is checked.
	Stall, StallCheck time.Duration
	// Answer bounds connecting, and the wait for each answer.
	Answer time.Duration
	// Opening bounds the whole time until the camera plays.
	Opening time.Duration
	// Close bounds the wait for what a camera had sent before the end of the session.
	Close time.Duration
	// Bytes is how many bytes of RTP payload may arrive within 10 s.
	Bytes int64
	// AccessUnit is the largest size of an access unit, in bytes: accessunit.MaxBytes, or less.
	AccessUnit int
}

// DefaultLimits returns the limits of the agent.
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
