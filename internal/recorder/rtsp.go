package recorder

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
)

// The files rtsp*.go are the only ones of the recorder that know the RTSP library.

const (
	// stallLimit is how long a session may bring no video.
	stallLimit = 10 * time.Second
	// stallCheck is how often that is looked at.
	stallCheck = time.Second
	// rtspTimeout bounds connecting, and the wait for an answer.
	rtspTimeout = 10 * time.Second
	// openingLimit bounds all of it until the camera plays.
	openingLimit = 30 * time.Second
	// farewell bounds the wait for what a camera sent before it was told that the session ends.
	farewell = 2 * time.Second
	// sourceLife is how long an encoder goes on with an SSRC at least.
	sourceLife = time.Second
	// udpSpace is asked of the system for packets that wait in a socket, in bytes.
	udpSpace = 4 << 20
)

// dialogue is how to talk to a camera.
type dialogue struct {
	camera
	udp        bool // RTP over UDP instead of TCP
	wantsAudio bool // when the camera has it
	roots      *x509.CertPool
	maxBytes   int64 // of RTP payload within floodWindow
	maxUnit    int   // bytes; see accessunit.MaxBytes
	now        func() time.Time

	openingLimit time.Duration // see openingLimit

	wrapCodec func(accessunit.Codec) accessunit.Codec // for tests; nil: none
}

// maxRedirects is how often a camera may send us elsewhere.
const maxRedirects = 3

// play runs one session with the camera until it ends, and says why.
func (d dialogue) play(ctx context.Context, to accessunit.Sink) error {
	s := &session{
		dialogue: d, to: to,
		keeper:  keeper{at: d.url.CloneWithoutCredentials(), login: newLogin(d.camera)},
		flood:   flood{limit: d.maxBytes},
		traffic: traffic{flood: flood{limit: d.maxBytes + d.maxBytes/overhead + maxUnasked}},
		ended:   make(chan error, 1),
	}
	s.keeper.breakOff = s.breakOff
	s.tap.readable = readable
	s.order = accessunit.NewReorder(s.push)
	s.client = s.newClient()
	if err := s.client.Start2(); err != nil {
		return err
	}
	defer func() { s.leftover.close() }()
	defer s.close()
	stop := context.AfterFunc(ctx, s.leave)
	defer stop()
	err := s.run(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if broken := s.broken.Load(); broken != nil {
		err = *broken // what else failed follows from it
	}
	return translate(err)
}

// translate hides the library's error types from the rest of the recorder.
func translate(err error) error {
	var (
		answer liberrors.ErrClientBadStatusCode
		login  *loginError
	)
	if errors.As(err, &login) {
		return login
	}
	if errors.As(err, &answer) {
		return &statusError{code: int(answer.Code), message: answer.Message}
	}
	var frame liberrors.ErrClientUnexpectedFrame
	if errors.As(err, &frame) {
		return errors.Join(errStale, err)
	}
	var wantsUDP liberrors.ErrClientServerRequestedUDP
	var wantsTCP liberrors.ErrClientServerRequestedTCP
	var noPorts liberrors.ErrClientServerPortsNotProvided
	if errors.As(err, &wantsUDP) || errors.As(err, &wantsTCP) || errors.As(err, &noPorts) {
		return errors.Join(errTransport, err)
	}
	return err
}
