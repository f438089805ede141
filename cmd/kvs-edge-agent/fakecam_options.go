package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/script"
)

type fakecamOptions struct {
	listen       string
	listenGiven  bool
	user         string
	password     string
	passwordFile string
	size         string
	codec        string
	fps          float64
	bitrate      int
	audio        string
	mpegTS       bool
	file         string
	like         string
	listLike     bool
	oddities     []string
	listOddities bool
	stamps       bool
	tls          bool
	asJSON       bool

	tlsFingerprint string // of the certificate that --tls makes
}

// fakecamSizes are those of the films in the binary, by codec; the first is the default.
var fakecamSizes = map[string][]string{
	"h264":  {"1920x1080", "1280x720"},
	"h265":  {"640x360"},
	"mjpeg": {"640x360"},
}

// camera makes a camera's options from the flags, without the oddities.
func (o *fakecamOptions) camera() (*fakecam.Options, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	password, err := o.readPassword()
	if err != nil {
		return nil, err
	}
	options := &fakecam.Options{
		Addr: o.listen, User: o.user, Pass: password, Bitrate: o.bitrate, FPS: o.fps, Audio: o.audio,
		MJPEG: o.codec == "mjpeg", H265: o.codec == "h265", NoStamps: !o.stamps, MPEGTS: o.mpegTS,
	}
	if o.file != "" {
		film, err := readFilm(o.file)
		if err != nil {
			return nil, err
		}
		if options.Film, options.H265 = film.annexB, film.h265; o.fps == 0 {
			options.FPS = film.fps
		}
		if o.bitrate != 0 && film.h265 {
			return nil, errors.New("--bitrate works with H.264 only, and the film of --file is H.265")
		}
	}
	if o.like != "" {
		if options.Like, err = script.Load(o.like); err != nil {
			return nil, err
		}
	}
	if o.tls {
		certificate, fingerprint, err := fakecamCertificate()
		if err != nil {
			return nil, err
		}
		o.tlsFingerprint = fingerprint
		options.TLS, options.NoUDP = certificate, true // RTP over UDP would not be encrypted
	}
	return options, nil
}

// check looks for flags that do not go together, and for values that do not exist.
func (o *fakecamOptions) check() error {
	sizes, known := fakecamSizes[o.codec]
	kinds := []string{"", fakecam.AudioAAC, fakecam.AudioMuLaw, fakecam.AudioALaw}
	switch {
	case !known:
		return fmt.Errorf("--codec is %q, but must be h264, h265 or mjpeg", o.codec)
	case o.file != "" && (o.size != "" || o.codec != "h264"):
		return errors.New("--file decides on size and codec: leave out --size and --codec")
	case o.size != "" && !slices.Contains(sizes, o.size):
		return fmt.Errorf("--size is %q, but a camera of %s has %s", o.size, o.codec, strings.Join(sizes, " or "))
	case !slices.Contains(kinds, o.audio):
		return fmt.Errorf("--audio is %q, but must be aac, pcmu or pcma", o.audio)
	case o.mpegTS && (o.codec == "mjpeg" || o.audio != "" && o.audio != fakecam.AudioAAC):
		return errors.New("--mpegts can have no MJPEG, and no audio but AAC")
	case o.bitrate < 0 || o.bitrate != 0 && o.codec != "h264":
		return errors.New("--bitrate must be positive, and works with H.264 only")
	case o.fps < 0 || o.fps > 1000:
		return fmt.Errorf("--fps is %v, but must be between 0 and 1000", o.fps)
	case o.user == "" && (o.password != "" || o.passwordFile != ""):
		return errors.New("a password needs a user name: add --user")
	case o.password != "" && o.passwordFile != "":
		return errors.New("--password and --password-file exclude each other")
	}
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return fmt.Errorf("--listen is %q, but must be an address with a port, such as %s", o.listen, fakecamAddress)
	}
	return nil
}

func (o *fakecamOptions) readPassword() (string, error) {
	if o.passwordFile == "" {
		return o.password, nil
	}
	text, err := os.ReadFile(o.passwordFile)
	if err != nil {
		return "", fmt.Errorf("cannot read the password: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// fakecamAddress is where the fake camera listens unless another process does: the port of RTSP servers
// that run without rights.
const fakecamAddress = "127.0.0.1:8554"
