package recorder

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	neturl "net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/pion/rtp"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// This is the only file of the recorder that knows the RTSP library.

const (
	// stallLimit is how long a session may bring no video.
	stallLimit = 10 * time.Second
	// stallCheck is how often that is looked at.
	stallCheck = time.Second
	// rtspTimeout bounds connecting and each request.
	rtspTimeout = 10 * time.Second
)

// sink takes what a session brings. Its methods are called from one goroutine.
type sink interface {
	// begin tells the codec, the clock rate and the parameter sets of the session description.
	begin(c codec, rate int, parameterSets [][]byte)
	// accessUnit takes the NAL units of one picture in decode order. They are the callee's to read
	// until it returns.
	accessUnit(nalus [][]byte, rtpTime uint32, now time.Time)
	// damaged tells that so many frames are known to be lost, so that those up to the next keyframe
	// cannot be decoded.
	damaged(frames int64, err error)
	// noticed tells of something left out that no picture misses.
	noticed(err error)
}

// camera is what of a URL may be shown, and what of it may not.
type camera struct {
	url  *base.URL
	host string // host and port
}

func parseCamera(url secret.String) (camera, error) {
	u, err := base.ParseURL(url.Reveal())
	if err != nil {
		u, err = base.ParseURL(escapeUser(url.Reveal()))
	}
	if err != nil || u.Host == "" { // the error would quote the URL with its password
		return camera{}, health.UserFault(codeCamera, nil, "The MediaURI in the camera's secret is not a URL such as rtsp://user:password@192.168.1.20:554/path: correct it.")
	}
	host := u.Host
	if u.Port() == "" {
		port := "554"
		if u.Scheme == "rtsps" {
			port = "322"
		}
		host = net.JoinHostPort(u.Hostname(), port)
	}
	return camera{url: u, host: host}, nil
}

// escapeUser escapes a password that was put into a URL as it is.
func escapeUser(raw string) string {
	scheme, rest, _ := strings.Cut(raw, "://")
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return raw
	}
	user, password, _ := strings.Cut(rest[:at], ":")
	return scheme + "://" + neturl.UserPassword(user, password).String() + rest[at:]
}

// play runs one session with the camera until it ends, and says why.
func play(ctx context.Context, cam camera, to sink, now func() time.Time) error {
	tcp := gortsplib.TransportTCP
	var playing atomic.Bool
	client := &gortsplib.Client{
		Scheme: cam.url.Scheme, Host: cam.url.Host,
		Transport: &tcp, ReadTimeout: rtspTimeout, WriteTimeout: rtspTimeout,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cam.url.Hostname()},
		UserAgent: "kvs-edge-agent",
		DialContext: gathered((&net.Dialer{
			Timeout:         rtspTimeout,
			KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: stallLimit, Interval: stallLimit / 2, Count: 3},
		}).DialContext, &playing),
		// The assembler finds out by itself what is missing; it only matters there.
		OnPacketsLost: func(uint64) {},
		OnDecodeError: func(error) {},
	}
	if err := client.Start2(); err != nil {
		return err
	}
	defer client.Close()
	stop := context.AfterFunc(ctx, client.Close)
	defer stop()
	err := converse(ctx, client, cam, to, now, &playing)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return translate(err)
}

// converse describes, sets up and plays, and watches over the session.
func converse(ctx context.Context, client *gortsplib.Client, cam camera, to sink, now func() time.Time, playing *atomic.Bool) error {
	desc, _, err := client.Describe(cam.url)
	if err != nil {
		return err
	}
	v, ok := chooseVideo(desc)
	if !ok {
		return &unsupportedError{codecs: videoCodecs(desc)}
	}
	if _, err := client.Setup(desc.BaseURL, v.media, 0, 0); err != nil {
		return err
	}
	to.begin(v.codec, v.format.ClockRate(), v.sets)

	var arrivals atomic.Int64 // access units so far
	assembler := newAssembler(v.codec, counting{to, &arrivals})
	ended := make(chan error, 2)
	client.OnPacketRTP(v.media, v.format, func(p *rtp.Packet) {
		// The library calls from a goroutine of its own, where a panic would end the process.
		defer func() {
			if p := recover(); p != nil {
				give(ended, health.SystemFault(codeCamera, fmt.Errorf("panic: %v\n%s", p, debug.Stack()),
					"An internal error ended the session with the camera at %s; it is begun anew. Please report it with the log.", cam.host))
			}
		}()
		if err := assembler.push(packet{p.SequenceNumber, p.Timestamp, p.Marker, p.Payload}, now()); err != nil {
			give(ended, err)
		}
	})
	if _, err := client.Play(nil); err != nil {
		return err
	}
	playing.Store(true)
	go func() { give(ended, client.Wait()) }() // ends with client.Close at the latest
	err = watch(ctx, ended, &arrivals, client.Close)
	assembler.flush() // no callback comes any more
	return err
}

// give tells why a session ended, unless that is known.
func give(ended chan<- error, err error) {
	select {
	case ended <- err:
	default:
	}
}

// counting counts the access units on their way to a sink.
type counting struct {
	sink
	units *atomic.Int64
}

func (c counting) accessUnit(nalus [][]byte, rtpTime uint32, now time.Time) {
	c.units.Add(1)
	c.sink.accessUnit(nalus, rtpTime, now)
}

// video is the track of a camera that is recorded.
type video struct {
	media  *description.Media
	format format.Format
	codec  codec
	sets   [][]byte // of the session description
}

// chooseVideo takes the first track that can be recorded: cameras put the one they were asked for
// before others.
func chooseVideo(desc *description.Session) (v video, ok bool) {
	for _, m := range desc.Medias {
		if m.IsBackChannel {
			continue
		}
		for _, f := range m.Formats {
			switch f := f.(type) {
			case *format.H264:
				sps, pps := f.SafeParams()
				return video{m, f, avc{}, present(sps, pps)}, true
			case *format.H265:
				vps, sps, pps := f.SafeParams()
				return video{m, f, hevc{}, present(vps, sps, pps)}, true
			}
		}
	}
	return video{}, false
}

func present(sets ...[]byte) [][]byte {
	return slices.DeleteFunc(sets, func(set []byte) bool { return len(set) == 0 })
}

// watch waits for the end of a session, and ends one that brings nothing. Of a session that is
// ended here it waits for the last callback.
func watch(ctx context.Context, ended <-chan error, arrivals *atomic.Int64, end func()) error {
	ticker := time.NewTicker(stallCheck)
	defer ticker.Stop()
	last, lastChange := arrivals.Load(), time.Now()
	for {
		select {
		case err := <-ended:
			end()
			return err
		case <-ctx.Done():
			end()
			return ctx.Err()
		case <-ticker.C:
			if n := arrivals.Load(); n != last {
				last, lastChange = n, time.Now()
			} else if time.Since(lastChange) >= stallLimit {
				end()
				return errStall
			}
		}
	}
}

// videoCodecs names what a camera offers of video, or of anything when it has none.
func videoCodecs(desc *description.Session) []string {
	var codecs []string
	for _, m := range desc.Medias {
		for _, f := range m.Formats {
			if name := codecName(f); m.Type == description.MediaTypeVideo && !slices.Contains(codecs, name) {
				codecs = append(codecs, name)
			}
		}
	}
	return codecs
}

func codecName(f format.Format) string {
	switch f.(type) {
	case *format.MJPEG:
		return "MJPEG"
	case *format.Generic:
		return "an unknown codec (" + f.RTPMap() + ")"
	default:
		return f.Codec()
	}
}

// translate hides the library's error types from the rest of the recorder.
func translate(err error) error {
	var answer liberrors.ErrClientBadStatusCode
	if errors.As(err, &answer) {
		return &statusError{code: int(answer.Code), message: answer.Message}
	}
	var timedOut liberrors.ErrClientRequestTimedOut
	var silent liberrors.ErrClientTCPTimeout
	if errors.As(err, &timedOut) || errors.As(err, &silent) {
		return errors.Join(context.DeadlineExceeded, err)
	}
	return err
}

func itoa(n int) string { return strconv.Itoa(n) }
